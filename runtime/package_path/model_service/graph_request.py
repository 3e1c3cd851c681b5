"""What a request gives a graph: rows, named inputs, or the value of its only input."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from model_service.columns import read_rows
from model_service.graph_model import TensorSpecification
from model_service.model_service import InvalidInput


@dataclass(frozen=True, slots=True)
class GraphRequest:
    """`row_count` is set where rows were sent, and rows are to be answered; `is_wrapped` where `inputs` were."""

    values: Mapping[str, object]
    row_count: int | None = None
    is_wrapped: bool = False


def read_request(data: object, inputs: Sequence[TensorSpecification], columns: tuple[str, ...]) -> GraphRequest:
    """Understands `{"data": {"req_data": [row, …]}}`, `{"inputs": {name: value}}`, `{name: value}` and a bare value.

    Raises InvalidInput where that names an input that the model lacks, or lacks one that it has.
    """
    if not isinstance(data, Mapping):
        return GraphRequest({_only(inputs).name: data})
    section = data.get("data")
    if isinstance(section, Mapping) and "req_data" in section:
        return _read_rows(section["req_data"], inputs, columns)
    named = data.get("inputs")
    if isinstance(named, Mapping):
        return GraphRequest(_checked(named, inputs), is_wrapped=True)
    if "inputs" in data and all(specification.name != "inputs" for specification in inputs):
        return GraphRequest({_only(inputs).name: named}, is_wrapped=True)
    return GraphRequest(_checked(data, inputs))


def _only(inputs: Sequence[TensorSpecification]) -> TensorSpecification:
    if len(inputs) != 1:
        raise InvalidInput(f"send the inputs by their names: {_listed(inputs)}")
    return inputs[0]


def _checked(named: Mapping[str, object], inputs: Sequence[TensorSpecification]) -> Mapping[str, object]:
    by_name = {specification.name: specification for specification in inputs}
    unknown = [str(name) for name in named if name not in by_name]
    missing = [specification for specification in inputs if specification.name not in named]
    if unknown:
        raise InvalidInput(f"the model has no input {', '.join(map(repr, unknown))}; it takes {_listed(inputs)}")
    if missing:
        raise InvalidInput(f"the request has no {_listed(missing)}")
    return {str(name): _read_files(value, by_name[name]) for name, value in named.items()}


def _read_files(value: object, specification: TensorSpecification) -> object:
    """The bytes of a form's files, one element for each; other values as they are."""
    if not isinstance(value, dict) or not value or not all(hasattr(file, "read") for file in value.values()):
        return value
    if specification.type_name != "string":
        raise InvalidInput(f"the input {specification} is no file: send JSON, or have the package's code read files")
    return [file.read() for file in value.values()]


def _read_rows(req_data: object, inputs: Sequence[TensorSpecification], columns: tuple[str, ...]) -> GraphRequest:
    names = {specification.name for specification in inputs}
    if len(inputs) == 1 and not _has_rows_of(req_data, names):
        specification = inputs[0]
        rows = read_rows(req_data, columns=columns, width=_width(specification))
        values = [row[0] for row in rows] if _dimensions(specification) == 1 else rows
        return GraphRequest({specification.name: values}, row_count=len(rows))
    rows = read_rows(req_data, columns=tuple(specification.name for specification in inputs), width=len(inputs))
    by_input = zip(inputs, zip(*rows, strict=True), strict=True)
    return GraphRequest({one.name: _column(one, values) for one, values in by_input}, row_count=len(rows))


def _has_rows_of(req_data: object, names: set[str]) -> bool:
    first = req_data[0] if isinstance(req_data, list) and req_data else None
    return isinstance(first, dict) and first.keys() == names


def _column(specification: TensorSpecification, values: Sequence[object]) -> list[object]:
    """One value a row; a column that the model takes as a matrix of width 1 gets each in a list of its own."""
    if _dimensions(specification) == 2 and not isinstance(values[0], list):
        return [[value] for value in values]
    return list(values)


def _dimensions(specification: TensorSpecification) -> int | None:
    return None if specification.shape is None else len(specification.shape)


def _width(specification: TensorSpecification) -> int | None:
    match specification.shape:
        case (_,):
            return 1
        case (_, width):
            return width
        case None:
            return None
    raise InvalidInput(f"rows do not fit {specification}: send {{'inputs': {{name: nested lists}}}}")


def _listed(inputs: Sequence[TensorSpecification]) -> str:
    return ", ".join(map(str, inputs))
