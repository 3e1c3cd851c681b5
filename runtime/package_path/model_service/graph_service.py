"""What the base classes of TensorFlow and ONNX inference code have in common."""

from collections.abc import Mapping
from functools import cached_property

from model_service.graph_model import GraphModel
from model_service.graph_request import GraphRequest, read_request
from model_service.model_service import InvalidInput, SingleNodeService


class Outputs(dict[str, object]):
    """The outputs as plain lists by their names, and the request that they answer."""

    def __init__(self, values: Mapping[str, object], request: GraphRequest) -> None:
        super().__init__(values)
        self.request = request


class GraphServingBaseService(SingleNodeService):
    """`_inference` takes what `_preprocess` returns: lists or arrays by the names of the model's inputs.

    As it is, it answers `{"data": {"req_data": [row, …]}}` with rows and `{"inputs": {name: value}}` with outputs.
    """

    declared_columns: tuple[str, ...] = ()

    def __init__(self, model_name: str, model_path: str) -> None:
        super().__init__(model_name, model_path)
        if self._predicts_as(GraphServingBaseService):
            # A package's class may have another `load`, which is not ready to be called yet.
            GraphServingBaseService.load(self)

    def load(self) -> GraphModel:
        """The model, loaded once. Raises what its library raises."""
        return self._graph

    def _read_model(self) -> GraphModel:
        raise NotImplementedError

    def _inference(self, data: object) -> object:
        graph = self._graph
        request = read_request(data, graph.inputs, self.declared_columns)
        return Outputs(graph.run(request.values), request)

    def _postprocess(self, data: object) -> object:
        if not isinstance(data, Outputs):
            return data
        if data.request.row_count is not None:
            return {"data": {"resp_data": _rows(data, data.request.row_count)}}
        return {"outputs": {**data}} if data.request.is_wrapped else data

    @cached_property
    def _graph(self) -> GraphModel:
        return self._read_model()


def _rows(outputs: Mapping[str, object], count: int) -> list[dict[str, object]]:
    columns: dict[str, list[object]] = {}
    for name, values in outputs.items():
        if not isinstance(values, list) or len(values) != count:
            raise InvalidInput(f"the output {name!r} has not one value for each row: send {{'inputs': …}} instead")
        columns[name] = values
    return [{name: values[number] for name, values in columns.items()} for number in range(count)]
