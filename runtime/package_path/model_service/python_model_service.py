"""The base class of scikit-learn and XGBoost inference code; as it is, the service of models that come without code."""

import json
from collections.abc import Iterable
from functools import cached_property

from model_service.columns import choose_columns, read_rows
from model_service.model_file import load_model
from model_service.model_service import InvalidInput, SingleNodeService
from model_service.tabular_model import Predictions, TabularModel

__all__ = ["XgSklServingBaseService"]


class XgSklServingBaseService(SingleNodeService):
    """`data` is the JSON text `{"data": {"req_data": [row, …]}}`, a row an object of columns or an array of values.

    The result is an array of `{"predictresult": value}`, for classifiers with `"probability": {class: number}`.
    """

    declared_columns: tuple[str, ...] = ()

    def __init__(self, model_path: str) -> None:
        super().__init__("", model_path)
        if self._predicts_as(XgSklServingBaseService):
            # A package's class may have another `load`, which is not ready to be called yet.
            XgSklServingBaseService.load(self)

    def load(self) -> TabularModel:
        """The model, loaded once. Raises what its library raises."""
        return self._model

    def _preprocess(self, data: object) -> object:
        """A list of rows, each a list of values in the model's order of columns."""
        return read_rows(_req_data(data), columns=self._columns, width=self._width)

    def _inference(self, data: object) -> object:
        return self._model.predict(data)

    def _postprocess(self, data: object) -> object:
        if not isinstance(data, Iterable):
            raise TypeError("_inference must return one element for each row")
        probabilities = data.probabilities if isinstance(data, Predictions) else None
        if probabilities is None:
            return [{"predictresult": value} for value in data]
        return [
            {"predictresult": value, "probability": probability}
            for value, probability in zip(data, probabilities, strict=True)
        ]

    @cached_property
    def _model(self) -> TabularModel:
        return load_model(self.model_path)

    @cached_property
    def _columns(self) -> tuple[str, ...]:
        """Inference code that runs a model of its own is not made to load this one too."""
        if not self._predicts_as(XgSklServingBaseService):
            return self.declared_columns
        return choose_columns(self.declared_columns, self._model.feature_names)

    @cached_property
    def _width(self) -> int | None:
        return self._model.feature_count if self._predicts_as(XgSklServingBaseService) else None


def _req_data(data: object) -> object:
    content: object = json.loads(data) if isinstance(data, str | bytes) else data
    section = content.get("data") if isinstance(content, dict) else None
    if not isinstance(section, dict) or "req_data" not in section:
        raise InvalidInput('the request must have the form {"data": {"req_data": [row, …]}}')
    return section["req_data"]
