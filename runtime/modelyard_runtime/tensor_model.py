"""Models without inference code as the Open Inference Protocol sees them: named tensors in, named tensors out."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Protocol

from model_service.columns import choose_columns
from model_service.graph_model import GraphModel, TensorSpecification
from model_service.graph_service import GraphServingBaseService
from model_service.model_service import SingleNodeService
from model_service.python_model_service import XgSklServingBaseService
from model_service.tabular_model import TabularModel
from modelyard_runtime.tensor import DATATYPES, TEXT_KINDS, Array, TensorMetadata, as_array, datatype_of, invalid

ANY = -1
ROWS = "input-0"
VALUES, PROBABILITIES = "predict", "predict_proba"
# ONNX's own names of what NumPy and TensorFlow call otherwise.
OTHER_NAMES = {"float": "FP32", "double": "FP64", "string": "BYTES"}


class TensorModel(Protocol):
    """`platform` is the library that wrote it; `predict` gives all outputs. Raises InvalidInput and RequestError."""

    @property
    def platform(self) -> str: ...

    @property
    def inputs(self) -> tuple[TensorMetadata, ...]: ...

    @property
    def outputs(self) -> tuple[TensorMetadata, ...]: ...

    def predict(self, tensors: Mapping[str, Array]) -> dict[str, Array]: ...


def tensor_model_of(service: SingleNodeService, engine: str) -> TensorModel | None:
    """The model of a service without code of its own; None where it takes no tensors."""
    if isinstance(service, XgSklServingBaseService):
        model = service.load()
        return TabularTensors(model, choose_columns(service.declared_columns, model.feature_names), engine.lower())
    if isinstance(service, GraphServingBaseService):
        return GraphTensors(service.load(), engine.lower())
    return None


class TabularTensors:
    """Takes its rows as one matrix under any name, or as a tensor for each column; answers values and probabilities."""

    def __init__(self, model: TabularModel, columns: tuple[str, ...], platform: str) -> None:
        self._model = model
        self._columns = columns
        self.platform = platform

    @property
    def inputs(self) -> tuple[TensorMetadata, ...]:
        if self._model.takes_text:
            return (TensorMetadata(ROWS, "BYTES", (ANY, 1)),)
        return (TensorMetadata(ROWS, "FP64", (ANY, self._model.feature_count or len(self._columns) or ANY)),)

    @cached_property
    def outputs(self) -> tuple[TensorMetadata, ...]:
        """As a row of zeros shows them: no library says what an estimator predicts."""
        try:
            found = self._answer([["" if self._model.takes_text else 0.0] * max(1, self.inputs[0].shape[1])])
        except Exception:  # what a pipeline makes of zeros is its own affair
            return (TensorMetadata(VALUES, "FP64", (ANY,)),)
        return tuple(TensorMetadata(name, datatype_of(array), (ANY, *array.shape[1:])) for name, array in found.items())

    def predict(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        rows = self._rows(tensors)
        width = self._model.feature_count
        if not rows:
            raise invalid("the request has no rows")
        if width and len(rows[0]) != width:
            raise invalid(f"a row has {len(rows[0])} values, the model takes {width}")
        return self._answer(rows)

    def _rows(self, tensors: Mapping[str, Array]) -> list[list[object]]:
        if set(tensors) == set(self._columns) and len(tensors) > 1:
            columns = [_column(name, tensors[name]) for name in self._columns]
            if len({len(column) for column in columns}) > 1:
                raise invalid("the columns have different numbers of rows")
            return [list(row) for row in zip(*columns, strict=True)]
        if len(tensors) != 1:
            wanted = f" or one for each of {', '.join(self._columns)}" if self._columns else ""
            raise invalid(f"send one input, a matrix of rows,{wanted}")
        ((name, array),) = tensors.items()
        if len(array.shape) == 1:
            has_one_column = self._model.takes_text or self._model.feature_count == 1
            array = array.reshape((ANY, 1) if has_one_column else (1, ANY))
        if len(array.shape) != 2:
            raise invalid(f"the input {name!r} has the shape {list(array.shape)}, a matrix of rows is taken")
        values = _values(array)
        return [list(values[start : start + array.shape[1]]) for start in range(0, array.size, array.shape[1])]

    def _answer(self, rows: list[list[object]]) -> dict[str, Array]:
        predictions = self._model.predict(rows)
        answer = {VALUES: as_array(list(predictions))}
        if predictions.probabilities is not None:
            answer[PROBABILITIES] = as_array([list(row.values()) for row in predictions.probabilities])
        return answer


class GraphTensors:
    """Takes and gives the graph's own tensors, in the datatypes that it declares."""

    def __init__(self, graph: GraphModel, platform: str) -> None:
        self._graph = graph
        self.platform = platform
        self.inputs = tuple(map(_metadata, graph.inputs))
        # Other outputs of a graph, such as sequences of maps, have no form in the protocol.
        self.outputs = tuple(_metadata(one) for one in graph.outputs if _datatype(one) is not None)

    def predict(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        declared = {one.name: one for one in self.inputs}
        for name, array in tensors.items():
            if name not in declared:
                raise invalid(f"the model has no input {name!r}; it takes {', '.join(declared)}")
            if datatype_of(array) != declared[name].datatype:
                wanted = declared[name].datatype
                raise invalid(f"the input {name!r} was sent as {datatype_of(array)}, the model takes {wanted}")
        if missing := [name for name in declared if name not in tensors]:
            raise invalid(f"the request has no input {', '.join(missing)}")
        found = self._graph.run_arrays(tensors)
        return {one.name: as_array(found[one.name]) for one in self.outputs}


def _metadata(specification: TensorSpecification) -> TensorMetadata:
    shape = (ANY,) if specification.shape is None else tuple(length or ANY for length in specification.shape)
    return TensorMetadata(specification.name, _datatype(specification) or specification.type_name.upper(), shape)


def _datatype(specification: TensorSpecification) -> str | None:
    return OTHER_NAMES.get(specification.type_name) or DATATYPES.get(specification.type_name)


def _column(name: str, array: Array) -> Sequence[object]:
    if array.shape not in ((array.size,), (array.size, 1)):
        raise invalid(f"the column {name!r} has the shape {list(array.shape)}, one value a row is taken")
    return _values(array)


def _values(array: Array) -> Sequence[object]:
    values = array.ravel().tolist()
    if array.dtype.kind in TEXT_KINDS and any(isinstance(value, bytes) for value in values):
        raise invalid("the model takes text in UTF-8")
    return values
