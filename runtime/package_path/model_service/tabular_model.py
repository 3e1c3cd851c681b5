"""Models that predict rows of a table."""

from collections.abc import Iterable, Mapping
from typing import Protocol


class Predictions(list[object]):
    """One predicted value for each row; `probabilities` are by class name, None where the model gives none."""

    def __init__(self, values: Iterable[object], probabilities: list[Mapping[str, float]] | None = None) -> None:
        super().__init__(values)
        self.probabilities = probabilities


class TabularModel(Protocol):
    """`feature_names` is empty and `feature_count` None where the model does not know them."""

    @property
    def feature_names(self) -> tuple[str, ...]: ...

    @property
    def feature_count(self) -> int | None: ...

    @property
    def takes_text(self) -> bool:
        """Whether a row is one text."""

    def predict(self, rows: object) -> Predictions:
        """Takes lists of values, or whatever the model's library takes. Raises InvalidInput for values it refuses."""
        ...
