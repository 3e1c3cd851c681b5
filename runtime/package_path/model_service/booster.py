"""An XGBoost model in the library's own form, predicted without its scikit-learn wrapper."""

import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, cast

from model_service.array import Array, number_array
from model_service.tabular_model import Predictions


class Booster(Protocol):
    """What is used of xgboost.Booster."""

    @property
    def feature_names(self) -> Sequence[str] | None: ...

    def num_features(self) -> int: ...

    def attr(self, key: str) -> str | None: ...

    def save_config(self) -> str: ...

    def set_param(self, params: dict[str, int]) -> None: ...

    def predict(self, data: object, *, validate_features: bool) -> Array: ...

    def inplace_predict(self, data: object, iteration_range: tuple[int, int]) -> Array: ...


def read_booster(path: str) -> Booster:
    """Reads JSON and UBJSON, told apart by the content: from a file the library would go by its extension."""
    booster = importlib.import_module("xgboost").Booster()
    booster.load_model(bytearray(Path(path).read_bytes()))
    return cast("Booster", booster)


def is_booster(value: object) -> bool:
    return hasattr(value, "inplace_predict") and hasattr(value, "save_config")


class BoosterModel:
    """Predicts by the objective the model was trained with; classes are numbered, their names are not in the file."""

    takes_text = False

    def __init__(self, booster: object) -> None:
        self._booster = cast("Booster", booster)
        self.feature_names = tuple(self._booster.feature_names or ())
        self.feature_count: int | None = self._booster.num_features()
        learner = json.loads(self._booster.save_config())["learner"]
        self._objective = str(learner["objective"]["name"])
        self._is_linear = learner["gradient_booster"]["name"] == "gblinear"
        best_iteration = self._booster.attr("best_iteration")
        # (0, 0) is every tree; a training that stopped early has more trees than are its best.
        self._iterations = (0, int(best_iteration) + 1) if best_iteration else (0, 0)
        # Waking a thread on every processor costs a small request ten times what its prediction does.
        self._booster.set_param({"nthread": 1})

    def predict(self, rows: object) -> Predictions:
        values = self._values(number_array(rows) if isinstance(rows, list) else rows)
        if self._objective == "binary:logistic":
            return _from_class_probabilities([[1 - value, value] for value in cast("list[float]", values)])
        if self._objective == "multi:softprob":
            return _from_class_probabilities(cast("list[list[float]]", values))
        if self._objective in ("multi:softmax", "binary:hinge"):
            return Predictions(int(value) for value in cast("list[float]", values))
        return Predictions(values)

    def _values(self, data: object) -> list[object]:
        """Linear models take no arrays."""
        if self._is_linear:
            matrix = importlib.import_module("xgboost").DMatrix(data)
            return self._booster.predict(matrix, validate_features=False).tolist()
        return self._booster.inplace_predict(data, self._iterations).tolist()


def _from_class_probabilities(rows: list[list[float]]) -> Predictions:
    classes = [max(range(len(row)), key=row.__getitem__) for row in rows]
    return Predictions(classes, [{str(number): value for number, value in enumerate(row)} for row in rows])
