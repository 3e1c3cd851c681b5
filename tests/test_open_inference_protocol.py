"""The Open Inference Protocol, version 2: a public client through the gateway, and requests to the instance itself."""

import json
import pickle
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy
import pytest
from sklearn.datasets import load_iris
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier
from tritonclient.http import InferInput, InferRequestedOutput
from tritonclient.http.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException
from xgboost import XGBClassifier

from server.route import Instance as Replica
from tests.gateway_house import SIGNED_IN, House
from tests.instance_process import PASS_THROUGH, Instance, Start, starting, write_api, write_code
from tests.routes import service, target

pytest_plugins = ("tests.gateway_fixture", "tests.instance_fixture")

SETOSA, VIRGINICA = [5.1, 3.5, 1.4, 0.2], [6.3, 2.9, 5.6, 1.8]
INFER = "/v2/models/iris/infer"


def save(package: Path, model: object) -> None:
    (package / "model.m").write_bytes(pickle.dumps(model))


def iris_classifier() -> DecisionTreeClassifier:
    iris = load_iris()
    return DecisionTreeClassifier(max_depth=2, random_state=0).fit(iris.data, iris.target_names[iris.target])


@pytest.fixture(scope="module")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """One for all the tests that only ask: importing scikit-learn is what takes time."""
    package = tmp_path_factory.mktemp("iris") / "model"
    package.mkdir()
    save(package, iris_classifier())
    with starting(package) as start:
        yield start("model.m", write_api(package, "a", "b", "c", "d"), "--max-body-bytes=100000")


@pytest.fixture
async def triton(home: House, iris: Instance) -> AsyncIterator[InferenceServerClient]:
    """Triton's public client, which is told a service's address and nothing else."""
    await home.swap(service("svc_one", targets=[target("ver_1", 100, Replica("ins_a", f"unix:{iris.socket_path}"))]))
    client = InferenceServerClient(f"{home.url}/svc_one".removeprefix("http://"))
    yield client
    await client.close()


def rows_of(*rows: list[float], name: str = "input-0", datatype: str = "FP64") -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [len(rows), len(rows[0])], "data": list(rows)}


def ask(instance: Instance, *inputs: dict[str, Any], **fields: Any) -> httpx.Response:
    return instance.client.post(INFER, json={"inputs": list(inputs), **fields})


def answered(response: httpx.Response) -> dict[str, Any]:
    """The outputs of an answer by their names."""
    assert response.status_code == 200, response.text
    return {output["name"]: output for output in response.json()["outputs"]}


def refused(response: httpx.Response, status: int = 400) -> str:
    assert response.status_code == status, response.text
    assert list(response.json()) == ["error"]
    message: str = response.json()["error"]
    return message


def matrix(*rows: list[float], datatype: str = "FP64", is_binary: bool = True) -> InferInput:
    given = InferInput("input-0", [len(rows), len(rows[0])], datatype)
    values = numpy.array(rows, dtype={"FP64": "float64", "FP32": "float32"}[datatype])
    return given.set_data_from_numpy(values, binary_data=is_binary)


def signed_in() -> dict[str, str]:
    """The client adds to the headers that it is given."""
    return dict(SIGNED_IN)


async def test_the_public_client_learns_of_the_server_and_its_model(triton: InferenceServerClient) -> None:
    assert await triton.is_server_live(headers=signed_in())
    assert await triton.is_server_ready(headers=signed_in())
    assert await triton.is_model_ready("iris", headers=signed_in())
    assert await triton.is_model_ready("iris", "0.0.1", headers=signed_in())
    assert not await triton.is_model_ready("iris", "0.0.2", headers=signed_in())
    described = await triton.get_server_metadata(headers=signed_in())
    assert described == {"name": "modelyard", "version": "2", "extensions": ["binary_tensor_data"]}
    assert await triton.get_model_metadata("iris", headers=signed_in()) == {
        "name": "iris",
        "versions": ["0.0.1"],
        "platform": "scikit_learn",
        "inputs": [{"name": "input-0", "datatype": "FP64", "shape": [-1, 4]}],
        "outputs": [
            {"name": "predict", "datatype": "BYTES", "shape": [-1]},
            {"name": "predict_proba", "datatype": "FP64", "shape": [-1, 3]},
        ],
    }


@pytest.mark.parametrize("datatype", ["FP32", "FP64"])
async def test_the_public_client_asks_in_binary_as_it_does_by_default(
    triton: InferenceServerClient, datatype: str
) -> None:
    inputs = [matrix(SETOSA, VIRGINICA, datatype=datatype)]
    found = await triton.infer("iris", inputs, request_id="mine", headers=signed_in())
    assert found.get_response()["id"] == "mine"
    assert (found.get_response()["model_name"], found.get_response()["model_version"]) == ("iris", "0.0.1")
    assert found.as_numpy("predict").tolist() == [b"setosa", b"virginica"]
    probabilities = found.as_numpy("predict_proba")
    assert (probabilities.dtype, probabilities.shape) == (numpy.dtype("float64"), (2, 3))
    assert probabilities[0].tolist() == [1.0, 0.0, 0.0]


async def test_the_public_client_chooses_outputs_and_their_form(triton: InferenceServerClient) -> None:
    outputs = [InferRequestedOutput("predict", binary_data=False)]
    inputs = [matrix(SETOSA, is_binary=False)]
    found = await triton.infer("iris", inputs, model_version="0.0.1", outputs=outputs, headers=signed_in())
    (answer,) = found.get_response()["outputs"]
    assert answer == {"name": "predict", "datatype": "BYTES", "shape": [1], "data": ["setosa"]}


async def test_the_public_client_is_told_what_was_wrong(triton: InferenceServerClient, home: House) -> None:
    with pytest.raises(InferenceServerException, match="there is no model 'rose' here, only 'iris'") as unknown:
        await triton.infer("rose", [matrix(SETOSA)], headers=signed_in())
    assert unknown.value.status() == "404"
    with pytest.raises(InferenceServerException, match="a row has 3 values, the model takes 4"):
        await triton.infer("iris", [matrix([1.0, 2.0, 3.0])], headers=signed_in())
    with pytest.raises(InferenceServerException, match="has no output 'odds'; it has predict, predict_proba"):
        await triton.infer("iris", [matrix(SETOSA)], outputs=[InferRequestedOutput("odds")], headers=signed_in())
    with pytest.raises(InferenceServerException) as stranger:
        await triton.infer("iris", [matrix(SETOSA)])
    assert stranger.value.status() == "401"


async def test_the_public_client_asks_by_version_where_a_service_runs_several(
    home: House, iris: Instance, package: Path, start: Start
) -> None:
    save(package, iris_classifier())
    new = start("model.m", "--model-version=0.0.2")
    places = [Replica(name, f"unix:{path}") for name, path in (("ins_a", iris.socket_path), ("ins_b", new.socket_path))]
    targets = [target("ver_1", 100, places[0], number="0.0.1"), target("ver_2", 0, places[1], number="0.0.2")]
    await home.swap(service("svc_one", targets=targets))
    async with InferenceServerClient(f"{home.url}/svc_one".removeprefix("http://")) as client:
        for version in ("0.0.1", "0.0.2"):
            found = await client.infer("iris", [matrix(SETOSA)], model_version=version, headers=signed_in())
            assert found.get_response()["model_version"] == version
            assert (await client.get_model_metadata("iris", version, headers=signed_in()))["versions"] == [version]
        with pytest.raises(InferenceServerException) as unknown:
            await client.infer("iris", [matrix(SETOSA)], model_version="0.0.3", headers=signed_in())
        assert unknown.value.status() == "404"
        assert unknown.value.message() == "there is no version '0.0.3' here; the one that answers is '0.0.1'"


def test_rows_are_taken_nested_and_flat_whatever_the_input_is_called(iris: Instance) -> None:
    nested = answered(ask(iris, rows_of(SETOSA, VIRGINICA), id="7", parameters={"anything": 1}))
    assert nested["predict"]["data"] == ["setosa", "virginica"]
    assert nested["predict_proba"]["shape"] == [2, 3]
    flat = {"name": "x", "datatype": "FP32", "shape": [2, 4], "data": [*SETOSA, *VIRGINICA]}
    assert answered(ask(iris, flat)) == nested
    assert answered(ask(iris, {**rows_of(SETOSA), "shape": [4]}))["predict"]["data"] == ["setosa"]
    integers = {"name": "x", "datatype": "INT8", "shape": [1, 4], "data": [5, 3, 1, 0]}
    assert answered(ask(iris, integers))["predict"]["data"] == ["setosa"]


def test_columns_are_taken_by_their_names_in_any_order(iris: Instance) -> None:
    columns = [
        {"name": name, "datatype": "FP64", "shape": [2, 1], "data": [first, second]}
        for name, first, second in zip("abcd", SETOSA, VIRGINICA, strict=True)
    ]
    assert answered(ask(iris, *reversed(columns)))["predict"]["data"] == ["setosa", "virginica"]
    columns[0] |= {"shape": [1], "data": [1.0]}
    assert "different numbers of rows" in refused(ask(iris, *columns))
    assert "or one for each of a, b, c, d" in refused(ask(iris, *columns[:3]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"datatype": "FP8"}, "the datatype 'FP8', not one of BOOL, INT8"),
        ({"datatype": None}, "the datatype None"),
        ({"shape": [2, 3]}, "has 4 values, its shape [2, 3] takes 6"),
        ({"shape": [-1, 4]}, "needs a shape"),
        ({"shape": None}, "needs a shape"),
        ({"shape": [1, 2, 2]}, "a matrix of rows is taken"),
        ({"shape": [0, 4], "data": []}, "has no rows"),
        ({"data": ["a", "b", "c", "d"]}, "is no FP64"),
        ({"data": [[1], [2, 3]]}, "is no FP64"),
        ({"data": [True, True, True, True]}, "is no FP64"),
        ({"datatype": "INT8", "data": [1.5, 2, 3, 4]}, "is no INT8"),
        ({"datatype": "INT8", "data": [300, 2, 3, 4]}, "is no INT8"),
        ({"datatype": "UINT64", "data": [-1, 2, 3, 4]}, "is no UINT64"),
        ({"datatype": "BOOL", "data": [1, 0, 0, 0]}, "is no BOOL"),
        ({"datatype": "BYTES", "data": [1, 2, 3, 4]}, "is no BYTES"),
        ({"name": 3}, "needs a name"),
        ({"parameters": []}, None),
        ({"parameters": 3}, '"parameters" must be an object'),
        ({"parameters": {"shared_memory_region": "r"}}, "'shared_memory_region' is not supported"),
        ({"parameters": {"binary_data_size": 32}}, "names 32 bytes of data, 0 are left"),
        ({"data": {"a": 1}}, "is no FP64"),
    ],
)
def test_a_tensor_that_is_not_what_it_says_is_refused(
    iris: Instance, change: dict[str, Any], message: str | None
) -> None:
    response = ask(iris, {**rows_of(SETOSA), **change})
    if message is None:
        assert answered(response)
    else:
        assert message in refused(response)


@pytest.mark.parametrize(
    ("content", "status", "message"),
    [
        (b"[1", 400, "the request is not JSON"),
        (b"\xff", 400, "the request is not JSON"),
        (b"[]", 400, "must be an object"),
        (b"{}", 400, '"inputs" must be an array'),
        (b'{"inputs": [1]}', 400, '"inputs" must be an array'),
        (b'{"inputs": []}', 400, "send one input"),
        (b'{"inputs": [], "id": 3}', 400, '"id" must be text'),
        (b'{"inputs": [], "outputs": [{}]}', 400, "needs a name"),
        (b'{"inputs": ' + b"[" * 50_000 + b"]" * 49_000, 400, "the request is not JSON"),
        (b" " * 100_001, 413, "larger than the limit"),
    ],
)
def test_a_request_that_cannot_be_read_is_refused(iris: Instance, content: bytes, status: int, message: str) -> None:
    assert message in refused(iris.client.post(INFER, content=content), status)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/health/live", 200),
        ("GET", "/v2/health/ready", 200),
        ("GET", "/v2/", 200),
        ("GET", "/v2/models/iris/versions/0.0.1", 200),
        ("GET", "/v2/models/iris/versions/0.0.1/ready", 200),
        ("POST", "/v2/models/iris/versions/0.0.2/infer", 404),
        ("GET", "/v2/models/rose", 404),
        ("GET", "/v2/models", 404),
        ("POST", "/v2/repository/index", 404),
        ("GET", INFER, 405),
        ("POST", "/v2/health/ready", 405),
    ],
)
def test_each_path_answers_its_method(iris: Instance, method: str, path: str, status: int) -> None:
    response = iris.client.request(method, path)
    assert response.status_code == status
    assert status == 200 or refused(response, status)


def binary(header: dict[str, Any], data: bytes, *, size: str | None = None) -> dict[str, Any]:
    """A request's body and headers in the binary form."""
    text = json.dumps(header).encode()
    return {"content": text + data, "headers": {"Inference-Header-Content-Length": size or str(len(text))}}


@pytest.mark.parametrize(
    ("size", "data", "message"),
    [
        (32, b"1234", "names 32 bytes of data, 4 are left"),
        (5, b"12345", "has 5 bytes, FP64 takes 8 each"),
        (8, bytes(8), "has 1 values, its shape [1, 4] takes 4"),
        (32, bytes(40), "8 bytes are left after the last tensor"),
        (-1, b"", "names -1 bytes"),
        (True, b"", "names True bytes"),
    ],
)
def test_bytes_that_do_not_fit_their_tensor_are_refused(iris: Instance, size: int, data: bytes, message: str) -> None:
    tensor = {"name": "x", "datatype": "FP64", "shape": [1, 4], "parameters": {"binary_data_size": size}}
    assert message in refused(iris.client.post(INFER, **binary({"inputs": [tensor]}, data)))


@pytest.mark.parametrize("data", [b"\1\0", b"\5\0\0\0abc", b"\xff\xff\xff\xffabc"])
def test_text_that_is_cut_short_is_refused(iris: Instance, data: bytes) -> None:
    tensor = {"name": "x", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": len(data)}}
    assert "ends within an element" in refused(iris.client.post(INFER, **binary({"inputs": [tensor]}, data)))


@pytest.mark.parametrize("size", ["many", "-1", "1.5"])
def test_a_header_that_is_no_size_is_refused(iris: Instance, size: str) -> None:
    response = iris.client.post(INFER, **binary({"inputs": []}, b"", size=size))
    assert "Inference-Header-Content-Length is no number" in refused(response)


def test_json_that_ends_early_and_bodies_that_are_compressed_are_refused(iris: Instance) -> None:
    short = iris.client.post(INFER, **binary({"inputs": []}, b"", size="100"))
    assert "names 100 bytes, the body has 14" in refused(short)
    compressed = iris.client.post(INFER, content=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})
    assert "send it without Content-Encoding" in refused(compressed, 415)


def test_outputs_are_binary_where_the_request_says_so_for_all(iris: Instance) -> None:
    response = ask(iris, rows_of(SETOSA), parameters={"binary_data_output": True})
    assert response.headers["content-type"] == "application/octet-stream"
    size = int(response.headers["inference-header-content-length"])
    outputs = json.loads(response.content[:size])["outputs"]
    assert [output["parameters"]["binary_data_size"] for output in outputs] == [10, 24]
    assert response.content[size : size + 10] == b"\6\0\0\0setosa"
    assert numpy.frombuffer(response.content[size + 10 :]).tolist() == [1.0, 0.0, 0.0]


def test_text_goes_in_and_numbers_come_out(package: Path, start: Start) -> None:
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(["good", "bad", "fine", "awful"], [1, 0, 1, 0])
    save(package, model)
    instance = start("model.m")
    described = instance.client.get("/v2/models/iris").json()
    assert described["inputs"] == [{"name": "input-0", "datatype": "BYTES", "shape": [-1, 1]}]
    assert described["outputs"][0] == {"name": "predict", "datatype": "INT64", "shape": [-1]}
    text = {"name": "x", "datatype": "BYTES", "shape": [2], "data": ["good", "bad"]}
    assert answered(ask(instance, text))["predict"]["data"] == [1, 0]
    data = b"\4\0\0\0good\2\0\0\0\xff\xfe"
    tensor = {"name": "x", "datatype": "BYTES", "shape": [2], "parameters": {"binary_data_size": len(data)}}
    assert "text in UTF-8" in refused(instance.client.post(INFER, **binary({"inputs": [tensor]}, data)))


def test_several_values_for_each_row_are_a_matrix(package: Path, start: Start) -> None:
    save(package, LinearRegression().fit([[0.0], [1.0]], [[0.0, 1.0], [2.0, 3.0]]))
    instance = start("model.m")
    described = instance.client.get("/v2/models/iris").json()
    assert described["outputs"] == [{"name": "predict", "datatype": "FP64", "shape": [-1, 2]}]
    found = answered(ask(instance, {"name": "x", "datatype": "FP64", "shape": [3], "data": [0, 1, 2]}))["predict"]
    assert found["shape"] == [3, 2]
    assert found["data"] == pytest.approx([0, 1, 2, 3, 4, 5])


def test_xgboost_in_its_own_form_answers_classes_and_probabilities(package: Path, start: Start) -> None:
    iris = load_iris()
    classifier = XGBClassifier(n_estimators=4, max_depth=2).fit(iris.data, iris.target)
    classifier.get_booster().save_model(package / "model.json")
    (package / "model.json").rename(package / "model.m")
    instance = start("model.m", engine="XGBOOST")
    assert instance.client.get("/v2/models/iris").json()["platform"] == "xgboost"
    found = answered(ask(instance, rows_of(SETOSA, VIRGINICA)))
    assert (found["predict"]["datatype"], found["predict"]["data"]) == ("INT64", [0, 2])
    assert found["predict_proba"]["shape"] == [2, 3]


def test_a_package_with_code_is_asked_by_its_own_apis(package: Path, start: Start) -> None:
    write_code(package, PASS_THROUGH)
    instance = start("customize_service.py", engine="PYTORCH")
    for path in ("/v2", "/v2/health/ready", "/v2/models/iris"):
        assert "code of its own" in refused(instance.client.get(path), 404)
    assert "code of its own" in refused(instance.client.post(INFER, json={}), 404)


def test_what_a_package_declares_below_v2_is_its_own(package: Path, start: Start) -> None:
    save(package, iris_classifier())
    instance = start("model.m", write_api(package, "a", "b", "c", "d", url="/v2/models/iris/infer"))
    asked = {"data": {"req_data": [SETOSA]}}
    assert instance.client.post(INFER, json=asked).json()["data"]["resp_data"][0]["predictresult"] == "setosa"
    assert instance.client.get("/v2/health/live").json() == {"live": True}


def test_a_model_that_fails_is_told_without_its_traceback(package: Path, start: Start) -> None:
    model = iris_classifier()
    model.tree_ = None
    save(package, model)
    instance = start("model.m")
    assert instance.client.get("/v2/models/iris").json()["outputs"][0]["name"] == "predict"
    assert "the prediction failed: AttributeError" in refused(ask(instance, rows_of(SETOSA)), 500)
    assert "Traceback" in instance.log()
