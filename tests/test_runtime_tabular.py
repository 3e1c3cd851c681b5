"""Tabular models, with and without inference code: real files of scikit-learn and XGBoost, asked over a real socket."""

import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import joblib
import numpy
import pytest
import xgboost
from sklearn.datasets import load_iris
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

from tests.instance_process import Instance, Start, starting, write_api, write_code

pytest_plugins = ("tests.instance_fixture",)

IRIS_COLUMNS = ("sepal_length", "sepal_width", "petal_length", "petal_width")
SETOSA, VIRGINICA = [5.1, 3.5, 1.4, 0.2], [6.3, 2.9, 5.6, 1.8]


def iris_classifier() -> DecisionTreeClassifier:
    iris = load_iris()
    return DecisionTreeClassifier(max_depth=2, random_state=0).fit(iris.data, iris.target_names[iris.target])


def ask(instance: Instance, *rows: object, meta: object = None) -> httpx.Response:
    content: dict[str, object] = {"data": {"req_data": list(rows)}}
    return instance.client.post("/", json=content if meta is None else {"meta": meta, **content})


def results(response: httpx.Response) -> list[object]:
    assert response.status_code == 200, response.text
    found = response.json()["data"]["resp_data"]
    assert isinstance(found, list)
    return [result["predictresult"] for result in found]


@pytest.fixture(scope="module")
def iris_instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """One for all the tests that only ask: importing scikit-learn is what takes time."""
    package = tmp_path_factory.mktemp("iris") / "model"
    package.mkdir()
    joblib.dump(iris_classifier(), package / "model.m")
    with starting(package) as start:
        yield start("model.m", write_api(package, *IRIS_COLUMNS))


def test_a_classifier_answers_its_labels_with_their_probabilities(iris_instance: Instance) -> None:
    assert iris_instance.client.get("/health").json() == {"health": "true"}
    response = ask(iris_instance, dict(zip(IRIS_COLUMNS, SETOSA, strict=True)), VIRGINICA, meta={"uuid": "u1"})

    assert response.headers["content-type"] == "application/json"
    assert response.json()["meta"] == {"uuid": "u1"}
    assert results(response) == ["setosa", "virginica"]
    first = response.json()["data"]["resp_data"][0]
    assert first["probability"] == {"setosa": 1.0, "versicolor": 0.0, "virginica": 0.0}


def test_declared_columns_put_values_in_order_and_are_missed_by_name(iris_instance: Instance) -> None:
    shuffled = dict(reversed(list(zip(IRIS_COLUMNS, VIRGINICA, strict=True))))

    assert results(ask(iris_instance, shuffled | {"comment": "not a column"})) == ["virginica"]
    response = ask(iris_instance, shuffled, {"sepal_length": 5.1, "petal_width": 0.2})

    assert response.status_code == 400
    assert response.json() == {
        "code": "INVALID_INPUT",
        "message": "row 1 of req_data has no 'sepal_width', 'petal_length'",
    }


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (b"{", "INVALID_JSON", "The body is not JSON"),
        (b"\xff", "INVALID_JSON", "The body is not JSON"),
        (b"[" * 100_000, "INVALID_JSON", "The body is not JSON"),
        (b"[]", "INVALID_INPUT", '{"data": {"req_data": [row, …]}}'),
        (b'{"data": {"req_data": []}}', "INVALID_INPUT", "at least one row"),
        (b'{"data": {"req_data": [7]}}', "INVALID_INPUT", "row 0 of req_data must be an object or an array"),
        (b'{"data": {"req_data": [[1, 2]]}}', "INVALID_INPUT", "has 2 values, the model takes 4"),
        (b'{"data": {"req_data": [[1, 2, 3, "x"]]}}', "INVALID_INPUT", "could not convert string to float"),
        (b'{"data": {"req_data": [[1, 2, 3, []]]}}', "INVALID_INPUT", ""),
    ],
)
def test_bad_input_is_refused(iris_instance: Instance, content: bytes, code: str, message: str) -> None:
    response = iris_instance.client.post("/", content=content)

    assert response.status_code == 400, response.text
    assert response.json()["code"] == code
    assert message in response.json()["message"]


def test_unknown_paths_methods_and_content_types_are_refused(iris_instance: Instance) -> None:
    client = iris_instance.client
    assert (client.post("/other").status_code, client.post("/other").json()["code"]) == (404, "NOT_FOUND")
    assert (client.get("/").status_code, client.get("/").json()["code"]) == (405, "METHOD_NOT_ALLOWED")
    response = client.post("/", content=b"a,b", headers={"content-type": "text/csv"})
    assert (response.status_code, response.json()["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


def test_many_callers_get_each_their_own_answer(iris_instance: Instance) -> None:
    expected = ["setosa", "virginica"] * 50
    rows = [SETOSA, VIRGINICA] * 50
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda row: results(ask(iris_instance, row))[0], rows))
    assert answers == expected


def test_trained_feature_names_give_the_order(package: Path, start: Start) -> None:
    model = LinearRegression().fit([[0, 0], [1, 0], [0, 1]], [0, 1, 10])
    model.feature_names_in_ = numpy.array(["ones", "tens"], dtype=object)
    joblib.dump(model, package / "model.joblib")
    # The declared order differs: what the model was trained with counts.
    instance = start("model.joblib", write_api(package, "tens", "ones"))

    response = ask(instance, {"tens": 3, "ones": 4})

    assert response.json()["data"]["resp_data"][0].keys() == {"predictresult"}
    assert results(response) == [pytest.approx(34)]
    assert ask(instance, {"tens": 3}).json()["message"] == "row 0 of req_data has no 'ones'"


def test_a_pipeline_that_starts_from_text_gets_text(package: Path, start: Start) -> None:
    texts, labels = ["good fine", "bad poor", "fine good", "poor bad"], ["+", "-", "+", "-"]
    joblib.dump(make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, labels), package / "model.m")
    assert results(ask(start("model.m"), {"text": "so good"}, ["so bad"])) == ["+", "-"]


@pytest.mark.parametrize("name", ["model.json", "model.m"])
def test_xgboost_files_are_read_by_their_content(package: Path, start: Start, name: str) -> None:
    booster = xgboost.train(
        {"objective": "binary:logistic"},
        xgboost.DMatrix(numpy.array([[0.0], [1.0]] * 20), label=[0, 1] * 20, feature_names=["x"]),
        num_boost_round=5,
    )
    (package / name).write_bytes(booster.save_raw("json" if name.endswith("json") else "ubj"))
    response = ask(start(name, engine="XGBOOST"), {"x": 0}, {"x": 1}, {"x": None})

    assert results(response)[:2] == [0, 1]
    probability = response.json()["data"]["resp_data"][1]["probability"]
    assert probability["1"] > 0.5
    assert probability["0"] == pytest.approx(1 - probability["1"])


def test_a_pickled_xgboost_classifier_numbers_its_classes(package: Path, start: Start) -> None:
    iris = load_iris()
    classifier = xgboost.XGBClassifier(n_estimators=5, n_jobs=1).fit(iris.data, iris.target)
    (package / "model.pkl").write_bytes(pickle.dumps(classifier))
    response = ask(start("model.pkl", engine="XGBOOST"), SETOSA, VIRGINICA)
    assert results(response) == [0, 2]
    assert response.json()["data"]["resp_data"][0]["probability"].keys() == {"0", "1", "2"}


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["multi:softprob", "multi:softmax", "reg:squarederror"])
def test_an_xgboost_file_is_predicted_by_its_objective(package: Path, start: Start, objective: str) -> None:
    iris = load_iris()
    parameters = {"objective": objective} | ({"num_class": 3} if objective.startswith("multi") else {})
    booster = xgboost.train(parameters, xgboost.DMatrix(iris.data, label=iris.target), num_boost_round=20)
    booster.save_model(package / "model.json")
    assert results(ask(start("model.json", engine="XGBOOST"), SETOSA, VIRGINICA)) == [
        pytest.approx(0, abs=0.1),
        pytest.approx(2, abs=0.1),
    ]


def test_tabular_code_gets_the_text_and_its_list_is_wrapped(package: Path, start: Start) -> None:
    joblib.dump(iris_classifier(), package / "model.m")
    write_code(
        package,
        """
        import collections
        import json
        import joblib
        from model_service.python_model_service import XgSklServingBaseService

        class user_Service(XgSklServingBaseService):
            def _preprocess(self, data):
                content = json.loads(data, object_pairs_hook=collections.OrderedDict)
                return [list(row.values()) for row in content["data"]["req_data"]]

            def _inference(self, data):
                return joblib.load(self.model_path).predict(data).tolist()
        """,
    )
    instance = start("model.m")
    response = ask(instance, dict(zip(IRIS_COLUMNS, VIRGINICA, strict=True)), meta={"uuid": "u2"})
    assert response.json() == {"meta": {"uuid": "u2"}, "data": {"resp_data": [{"predictresult": "virginica"}]}}


def test_tabular_code_may_replace_one_step_of_the_default(package: Path, start: Start) -> None:
    joblib.dump(iris_classifier(), package / "model.m")
    write_code(
        package,
        """
        from model_service.python_model_service import XgSklServingBaseService

        class Service(XgSklServingBaseService):
            def _postprocess(self, data):
                return {"data": {"flowers": [value.upper() for value in data]}}
        """,
    )
    assert ask(start("model.m"), SETOSA).json() == {"data": {"flowers": ["SETOSA"]}}


def test_tabular_code_may_have_a_load_of_its_own(package: Path, start: Start) -> None:
    joblib.dump(iris_classifier(), package / "model.m")
    (package / "names.txt").write_text("Iris")
    write_code(
        package,
        """
        from model_service.python_model_service import XgSklServingBaseService

        class Service(XgSklServingBaseService):
            def __init__(self, model_path):
                super().__init__(model_path)
                self.encoding = "utf-8"
                self.genus = self.load("names.txt")

            def load(self, path):
                return open(path, encoding=self.encoding).read()

            def _postprocess(self, data):
                return [f"{self.genus} {value}" for value in data]
        """,
    )
    assert ask(start("model.m"), SETOSA).json() == {"data": {"resp_data": ["Iris setosa"]}}
