"""Models that are graphs: named tensors in, named tensors out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class TensorSpecification:
    """An input or output: `shape` has None for each length that may vary, and is None where the model does not say."""

    name: str
    type_name: str
    shape: tuple[int | None, ...] | None

    def accepts(self, shape: Sequence[int]) -> bool:
        if self.shape is None:
            return True
        pairs = zip(self.shape, shape, strict=False)
        return len(self.shape) == len(shape) and all(own in (None, given) for own, given in pairs)

    def __str__(self) -> str:
        if self.shape is None:
            return f"{self.name!r} ({self.type_name})"
        lengths = ", ".join("any" if length is None else str(length) for length in self.shape)
        return f"{self.name!r} ({self.type_name}, [{lengths}])"


class GraphModel(Protocol):
    """`inputs` and `outputs` are in the model's order."""

    @property
    def inputs(self) -> tuple[TensorSpecification, ...]: ...

    @property
    def outputs(self) -> tuple[TensorSpecification, ...]: ...

    def run(self, values: Mapping[str, object]) -> dict[str, object]:
        """Outputs as plain lists by their names. Takes lists or arrays; raises InvalidInput for what does not fit."""

    def run_arrays(self, values: Mapping[str, object]) -> dict[str, object]:
        """As `run`, but the outputs as the model's library gives them: arrays, where they are tensors."""
        ...
