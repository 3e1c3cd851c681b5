"""A scikit-learn estimator or pipeline, or anything with its interface such as XGBClassifier."""

import contextlib
import importlib
import warnings
from collections.abc import Mapping, Sequence
from typing import Protocol, cast

from model_service.array import Array, mixed_array
from model_service.model_service import InvalidInput
from model_service.tabular_model import Predictions


class DataFrameClass(Protocol):
    """What is used of pandas.DataFrame."""

    def __call__(self, data: Sequence[object], *, columns: Sequence[str]) -> object: ...


class Estimator(Protocol):
    """What is used of an estimator; `predict_proba` and `classes_` may be absent."""

    @property
    def classes_(self) -> Array: ...

    def predict(self, data: object) -> Array: ...

    def predict_proba(self, data: object) -> Array: ...


class EstimatorModel:
    """Predicts values, with probabilities where the estimator has classes. Raises TypeError if it cannot predict."""

    def __init__(self, estimator: object) -> None:
        if not hasattr(estimator, "predict"):
            raise TypeError(f"a {type(estimator).__name__} has no predict method")
        self._estimator = cast("Estimator", estimator)
        self.feature_names = tuple(str(name) for name in getattr(estimator, "feature_names_in_", ()))
        self.feature_count = _feature_count(estimator)
        self.takes_text = hasattr(_first_step(estimator), "build_analyzer")
        self._data_frame = _data_frame_for(estimator) if self.feature_names else None
        self._classes = _class_names(estimator)
        _use_one_thread(estimator)
        # Rows are put in the order of the names; a data frame for each request would only cost time.
        warnings.filterwarnings("ignore", message="X does not have valid feature names")

    def predict(self, rows: object) -> Predictions:
        data = self._data(rows) if isinstance(rows, list) else rows
        try:
            values = self._estimator.predict(data).tolist()
            return Predictions(values, self._probabilities(data))
        except ValueError as error:
            raise InvalidInput(str(error)) from error

    def _data(self, rows: list[list[object]]) -> object:
        if self.takes_text:
            return [str(row[0]) for row in rows]
        if self._data_frame is not None:
            return self._data_frame(rows, columns=self.feature_names)
        return mixed_array(rows)

    def _probabilities(self, data: object) -> list[Mapping[str, float]] | None:
        if not self._classes:
            return None
        rows = cast("list[list[float]]", self._estimator.predict_proba(data).tolist())
        return [dict(zip(self._classes, row, strict=True)) for row in rows]


def _use_one_thread(estimator: object) -> None:
    """Waking a thread on every processor costs a small request more than its prediction does.

    A pickle of another library version may lack parameters: then it stays as it is.
    """
    if not hasattr(estimator, "get_params") or not hasattr(estimator, "set_params"):
        return
    with contextlib.suppress(AttributeError, TypeError, ValueError):
        names = [name for name in estimator.get_params() if name.rpartition("__")[2] == "n_jobs"]
        estimator.set_params(**dict.fromkeys(names, 1))


def _feature_count(estimator: object) -> int | None:
    """None as well where the estimator does not say, as a pipeline that starts from text."""
    count = getattr(estimator, "n_features_in_", None)
    return int(count) if count is not None else None


def _first_step(estimator: object) -> object:
    steps = getattr(estimator, "steps", None)
    return steps[0][1] if steps else estimator


def _data_frame_for(estimator: object) -> DataFrameClass | None:
    """Only what picks its columns by name, alone or in a pipeline, needs a data frame."""
    if not hasattr(estimator, "steps") and not hasattr(estimator, "transformers"):
        return None
    try:
        return cast("DataFrameClass", importlib.import_module("pandas").DataFrame)
    except ModuleNotFoundError:
        return None


def _class_names(estimator: object) -> tuple[str, ...]:
    """The names of a classifier's classes; none for several outputs, whose probabilities have no such form."""
    if not hasattr(estimator, "predict_proba"):
        return ()
    classes = getattr(estimator, "classes_", None)
    return () if classes is None or isinstance(classes, list) else tuple(str(name) for name in classes.tolist())
