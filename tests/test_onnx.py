"""ONNX graphs, made by the onnx library, imported and asked: without code and with it."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api import Api, config
from tests.built_environment import files_made, python_of, python_with
from tests.packages import api_of
from tests.services import ask, import_version, running, target

ONNX = {"framework": {"aiEngine": "ONNX"}}
MAKERS = ("onnx==1.23.2", "numpy==2.4.6")
START = """
import sys
from onnx import TensorProto, helper, save
def save_graph(nodes, inputs, outputs, constants=()):
    graph = helper.make_graph(list(nodes), "graph", list(inputs), list(outputs), list(constants))
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), sys.argv[1] + "/a.onnx")
value = helper.make_tensor_value_info
"""
# Prices of houses: 2 for a room, 3 for an area, 10 to begin with.
PRICES = """
weights = helper.make_tensor("weights", TensorProto.FLOAT, [2, 1], [2.0, 3.0])
start = helper.make_tensor("start", TensorProto.FLOAT, [1], [10.0])
save_graph(
    [helper.make_node("MatMul", ["houses", "weights"], ["sum"]), helper.make_node("Add", ["sum", "start"], ["price"])],
    [value("houses", TensorProto.FLOAT, ["N", 2])],
    [value("price", TensorProto.FLOAT, ["N", 1])],
    [weights, start],
)
"""
COLUMNS = """
save_graph(
    [helper.make_node("Mul", ["count", "count"], ["square"]), helper.make_node("Identity", ["city"], ["place"])],
    [value("count", TensorProto.INT64, ["N", 1]), value("city", TensorProto.STRING, ["N", 1])],
    [value("square", TensorProto.INT64, ["N", 1]), value("place", TensorProto.STRING, ["N", 1])],
)
"""
CODE = b"""from model_service.onnx_model_service import OnnxServingBaseService


class Prices(OnnxServingBaseService):
    def __init__(self, model_name, model_path):
        super().__init__(model_name, model_path)
        self.field = self.load("price")

    def load(self, name):
        # Another one than the base class's.
        return name

    def _preprocess(self, data):
        return {"houses": [[data["rooms"], data["area"]]]}

    def _postprocess(self, data):
        return {self.field: data["price"][0][0]}
"""
HOUSE_SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {
        "data": {
            "type": "object",
            "properties": {
                "req_data": {
                    "type": "array",
                    "items": {"type": "object", "properties": {"rooms": {}, "area": {}}},
                }
            },
        }
    },
}


async def package(program: str, environments: Path, tmp_path: Path, **changes: Any) -> dict[str, bytes]:
    """The graph that a program makes, with a config."""
    await python_of("ONNX", environments)
    made = await files_made(await python_with(MAKERS, environments), START + program, tmp_path / "made")
    return {"model/config.json": config(model_type="ONNX", **changes), **made}


async def service_of(api: Api, files: dict[str, bytes]) -> Any:
    return await running(api, "iris", target(await import_version(api, files, algorithm=ONNX)))


async def refusal(api: Api, service: Any, body: object) -> str:
    response: httpx.Response = await api.http.post(service["predictionUrl"], json=body)
    assert (response.status_code, response.json()["code"]) == (400, "INVALID_INPUT"), response.text
    message: str = response.json()["message"]
    return message


async def test_a_graph_with_one_matrix_answers_rows_and_named_inputs_without_code(
    api: Api, environments: Path, tmp_path: Path
) -> None:
    files = await package(PRICES, environments, tmp_path, apis=api_of(HOUSE_SCHEMA, {"type": "object"}))
    service = await service_of(api, files)
    prices = [{"price": [17.0]}, {"price": [22.0]}]
    objects = {"data": {"req_data": [{"area": 1, "rooms": 2}, {"rooms": "0", "area": 4}]}, "meta": {"uuid": "1"}}
    assert await ask(api, service, objects) == {"meta": {"uuid": "1"}, "data": {"resp_data": prices}}
    assert await ask(api, service, {"data": {"req_data": [[2, 1], [0, 4]]}}) == {"data": {"resp_data": prices}}
    outputs = {"price": [[17.0]]}
    assert await ask(api, service, {"inputs": {"houses": [[2, 1]]}}) == {"outputs": outputs}
    assert await ask(api, service, {"inputs": [[2, 1]]}) == {"outputs": outputs}
    assert await ask(api, service, {"houses": [[2, 1]]}) == outputs

    assert "row 0 of req_data has no 'area'" in await refusal(api, service, {"data": {"req_data": [{"rooms": 1}]}})
    assert "'house'" in await refusal(api, service, {"inputs": {"house": [[2, 1]]}})
    assert "'houses' (float, [any, 2])" in await refusal(api, service, {})
    assert "the shape [1, 3]" in await refusal(api, service, {"inputs": {"houses": [[1, 2, 3]]}})
    assert "'many'" in await refusal(api, service, {"inputs": {"houses": [["many", 1]]}})
    assert "cannot be" in await refusal(api, service, {"inputs": {"houses": [[1, 2], [3]]}})


async def test_a_graph_with_a_column_for_each_input_answers_rows_without_code(
    api: Api, environments: Path, tmp_path: Path
) -> None:
    service = await service_of(api, await package(COLUMNS, environments, tmp_path))
    rows = [{"city": "Rome", "count": 3}, {"count": 4, "city": "桜"}]
    answer = {"data": {"resp_data": [{"square": [9], "place": ["Rome"]}, {"square": [16], "place": ["桜"]}]}}
    assert await ask(api, service, {"data": {"req_data": rows}}) == answer
    named = {"count": [[3]], "city": [["Rome"]]}
    assert await ask(api, service, {"inputs": named}) == {"outputs": {"square": [[9]], "place": [["Rome"]]}}

    assert "has no 'city'" in await refusal(api, service, {"data": {"req_data": [{"count": 3}]}})
    assert "'city' (string, [any, 1])" in await refusal(api, service, {"inputs": {"count": [[3]]}})
    assert "cannot be [[1.5]]" in await refusal(api, service, {"inputs": {**named, "count": [[1.5]]}})
    assert "cannot be [[1]]" in await refusal(api, service, {"inputs": {**named, "city": [[1]]}})
    assert "by their names" in await refusal(api, service, [[1]])


async def infer(api: Api, service: Any, *inputs: dict[str, Any], **fields: Any) -> httpx.Response:
    """What it answers by the Open Inference Protocol."""
    body = {"inputs": list(inputs), **fields}
    response: httpx.Response = await api.http.post(f"{service['predictionUrl']}/v2/models/iris/infer", json=body)
    return response


async def test_a_graph_is_described_and_asked_by_the_open_inference_protocol(
    api: Api, environments: Path, tmp_path: Path
) -> None:
    service = await service_of(api, await package(COLUMNS, environments, tmp_path))
    described = (await api.http.get(f"{service['predictionUrl']}/v2/models/iris")).json()
    assert described["platform"] == "onnx"
    assert described["inputs"] == [
        {"name": "count", "datatype": "INT64", "shape": [-1, 1]},
        {"name": "city", "datatype": "BYTES", "shape": [-1, 1]},
    ]
    assert [(each["name"], each["datatype"]) for each in described["outputs"]] == [
        ("square", "INT64"),
        ("place", "BYTES"),
    ]

    count = {"name": "count", "datatype": "INT64", "shape": [2, 1], "data": [3, 4]}
    city = {"name": "city", "datatype": "BYTES", "shape": [2, 1], "data": [["Rome"], ["桜"]]}
    square = {"name": "square", "datatype": "INT64", "shape": [2, 1], "data": [9, 16]}
    place = {"name": "place", "datatype": "BYTES", "shape": [2, 1], "data": ["Rome", "桜"]}
    found = (await infer(api, service, count, city)).json()
    assert found == {"model_name": "iris", "model_version": "0.0.1", "outputs": [square, place]}
    assert (await infer(api, service, count, city, outputs=[{"name": "place"}])).json()["outputs"] == [place]

    for given, message in (
        ([count], "the request has no input city"),
        ([count, city, {**city, "name": "town"}], "the model has no input 'town'"),
        ([count, count], "the input 'count' is given twice"),
        ([{**count, "datatype": "INT32"}, city], "sent as INT32, the model takes INT64"),
        ([{**count, "shape": [2]}, city], "the shape [2]"),
    ):
        refused = await infer(api, service, *given)
        assert refused.status_code == 400
        assert message in refused.json()["error"]


async def test_code_prepares_what_the_graph_is_given_and_shapes_what_it_gives(
    api: Api, environments: Path, tmp_path: Path
) -> None:
    files = {**await package(PRICES, environments, tmp_path), "model/customize_service.py": CODE}
    service = await service_of(api, files)
    assert await ask(api, service, {"rooms": 2, "area": 1}) == {"price": 17.0}


@pytest.mark.slow
async def test_a_file_that_is_no_graph_fails_its_service_with_the_reason(
    api: Api, environments: Path, tmp_path: Path
) -> None:
    await python_of("ONNX", environments)
    files = {"model/config.json": config(model_type="ONNX"), "model/a.onnx": b"no graph"}
    version = await import_version(api, files, algorithm=ONNX)
    payload = await api.mutate("deployRealTimeService", "service { name }", name="iris", targets=[target(version)])
    assert payload["errors"] == []
    failed = await api.service_in("iris", "FAILED", within_seconds=300)
    assert "a.onnx could not be loaded" in failed["targets"][0]["instances"][0]["reason"]
