"""config.json is read with all its faults at once, and with understanding for those whose meaning is plain."""

import json

import pytest

from artifacts.ai_engine import AiEngine
from artifacts.api import Api
from artifacts.config import Config, Metrics
from artifacts.problem import ProblemCode
from tests.configs import BASE, PICTURE, api, config_of, packages, pointers, read, refused


class TestWholeFiles:
    def test_a_config_as_the_specification_has_it(self) -> None:
        config = config_of(
            runtime="python3.6",
            metrics={"f1": 0.1, "recall": 0, "precision": 0.0023493892851938493, "accuracy": 1},
            apis=[{
                "protocol": "https", "url": "/", "method": "post",
                "request": {"Content-type": "multipart/form-data", "data": PICTURE},
                "response": {"Content-type": "application/json", "data": {
                    "type": "object",
                    "properties": {"label": {"type": "string", "description": "What it is"}, "scores": {}},
                }},
            }],
            dependencies=[{"installer": "pip", "packages": [
                {"package_name": "numpy", "package_version": "1.15.0", "restraint": "EXACT"},
                {"package_name": "h5py", "package_version": "2.8.0", "restraint": "ATLEAST"},
                {"package_name": "Pillow", "package_version": "5.2.0", "restraint": "ATMOST"},
                {"package_name": "tqdm"},
            ]}],
        )  # fmt: skip
        assert (config.algorithm, config.ai_engine) == ("image_classification", AiEngine.PYTORCH)
        assert config.runtime == "python3.6"
        assert config.metrics == Metrics(f1=0.1, recall=0, precision=0.0023493892851938493, accuracy=1)
        assert [dependency.requirement for dependency in config.dependencies] == [
            "numpy==1.15.0", "h5py>=2.8.0", "Pillow<=5.2.0", "tqdm",
        ]  # fmt: skip
        (found,) = config.apis
        assert (found.url, found.method, found.protocol) == ("/", "POST", "https")
        assert (found.request_content_type, found.response_content_type) == ("multipart/form-data", "application/json")
        assert [(parameter.name, parameter.type) for parameter in found.inputs] == [("images", "file")]
        assert [(output.name, output.type, output.description) for output in found.outputs] == [
            ("label", "string", "What it is"), ("scores", "any", None),
        ]  # fmt: skip
        assert found.outputs[0].schema == {"type": "string", "description": "What it is"}

    def test_the_least_there_can_be(self) -> None:
        config = config_of()
        assert config.apis == (Api(),)
        assert (config.runtime, config.metrics, config.dependencies, config.health_check) == (None, None, (), None)

    def test_what_is_missing_is_named(self) -> None:
        reading = read({})
        assert pointers(reading.problems) == ["/model_type", "/model_algorithm"]
        assert pointers(read({"model_type": None, "model_algorithm": " "}).problems) == [
            "/model_type",
            "/model_algorithm",
        ]
        (problem,) = read({"model_type": "PyTorch", "model_algorithm": ""}).problems
        assert problem.hint is not None
        assert "image_classification" in problem.hint

    def test_everything_wrong_is_told_at_once(self) -> None:
        assert refused(
            model_type="Pytroch", model_algorithm="9", runtime=3, metrics={"f1": "good"}, apis=1, dependencies=[1]
        ) == ["/model_type", "/model_algorithm", "/apis", "/runtime", "/metrics/f1", "/dependencies/0"]

    def test_a_problem_says_what_was_expected_and_what_was_there(self) -> None:
        (problem,) = read(BASE | api(method="FETCH")).problems
        assert problem.message == 'In config.json, the value at /apis/0/method must be "POST" or "GET"; it is "FETCH".'
        assert (problem.pointer, problem.expected, problem.actual) == ("/apis/0/method", '"POST" or "GET"', '"FETCH"')

    @pytest.mark.parametrize("document", [[], 1, "x", None, True])
    def test_only_an_object_is_a_config(self, document: object) -> None:
        assert pointers(read(document).problems) == [""]

    def test_a_stored_config_comes_back_as_it_was(self) -> None:
        config = config_of(
            **packages({"package_name": "x", "package_version": "1", "restraint": "EXACT"}), metrics={"f1": 1}
        )
        again = Config.from_json(json.loads(json.dumps(config.to_json())), text=config.text)
        assert again == config
        image = read({
            "model_type": "Image", "model_algorithm": "x", "swr_location": "swr.example/a/b:1",
            "health": {"url": "/health", "initial_delay_seconds": "5"},
            "apis": [{"url": "/a"}, {"url": "/b", "method": "get"}],
        }).config  # fmt: skip
        assert image is not None
        assert Config.from_json(image.to_json(), text=image.text) == image

    def test_a_stored_config_that_is_none_is_refused(self) -> None:
        with pytest.raises(ValueError, match="model_type"):
            Config.from_json({"model_algorithm": "x"})


class TestEngine:
    @pytest.mark.parametrize(
        ("text", "engine"),
        [
            ("Scikit_Learn", AiEngine.SCIKIT_LEARN),
            ("scikit-learn", AiEngine.SCIKIT_LEARN),
            ("tensorflow", AiEngine.TENSORFLOW),
            ("XGBOOST", AiEngine.XGBOOST),
            ("Spark_MLlib", AiEngine.SPARK_MLLIB),
            ("MXNet", AiEngine.MXNET),
            ("onnx", AiEngine.ONNX),
        ],
    )
    def test_is_known_in_any_case(self, text: str, engine: AiEngine) -> None:
        assert AiEngine.from_model_type(text) is engine
        assert AiEngine.from_model_type(engine.model_type) is engine

    def test_that_is_unknown_is_refused_with_a_guess(self) -> None:
        (problem,) = read(BASE | {"model_type": "Pytroch"}).problems
        assert problem.hint == "Perhaps PyTorch is meant."
        assert problem.expected is not None
        assert "Scikit_Learn" in problem.expected

    @pytest.mark.parametrize(
        ("text", "engine"),
        [
            ("sklearn", AiEngine.SCIKIT_LEARN),
            ("torch", AiEngine.PYTORCH),
            ("PyTorch1.8", AiEngine.PYTORCH),
            ("TensorFlow-2.1", AiEngine.TENSORFLOW),
            ("pyspark", AiEngine.SPARK_MLLIB),
        ],
    )
    def test_that_goes_by_another_name_is_read_with_a_warning(self, text: str, engine: AiEngine) -> None:
        reading = read(BASE | {"model_type": text})
        assert reading.config is not None
        assert reading.config.ai_engine is engine
        assert [(warning.code, warning.expected) for warning in reading.warnings] == [
            (ProblemCode.CONFIG_DOUBTFUL_VALUE, engine.model_type)
        ]

    @pytest.mark.parametrize("text", ["9net", "名", "a&b", "a=b", "a" * 37, "a<b"])
    def test_an_algorithm_has_a_form(self, text: str) -> None:
        assert refused(model_algorithm=text) == ["/model_algorithm"]

    @pytest.mark.parametrize("text", ["LayoutLMv3", "clinical competition", "a" * 36, "x-1_y"])
    def test_an_algorithm_may_be_anything_else(self, text: str) -> None:
        assert config_of(model_algorithm=text).algorithm == text

    def test_metrics_are_numbers_and_others_are_left_out(self) -> None:
        metrics = {"f1": "95%", "recall": True, "precision": [], "accuracy": "0.9.1"}
        assert refused(metrics=metrics) == ["/metrics/f1", "/metrics/recall", "/metrics/precision", "/metrics/accuracy"]
        reading = read(BASE | {"metrics": {"MIoU": 0.76}})
        assert reading.config is not None
        assert reading.config.metrics == Metrics()
        assert pointers(reading.warnings) == ["/metrics/MIoU"]


class TestWhatIsMeant:
    """What no reader would take for anything else is read, with a warning."""

    @pytest.mark.parametrize("text", ["0.95", " 9.5e-1 ", "+.95"])
    def test_metrics_may_be_written_as_strings(self, text: str) -> None:
        reading = read(BASE | {"metrics": {"f1": text, "recall": "", "precision": None}})
        assert reading.config is not None
        assert reading.config.metrics == Metrics(f1=0.95)
        assert pointers(reading.warnings) == ["/metrics/f1", "/metrics/recall"]

    def test_metrics_have_other_names(self) -> None:
        reading = read(BASE | {"metrics": {"acc": 0.5, "f1_score": 0.25}})
        assert reading.config is not None
        assert reading.config.metrics == Metrics(f1=0.25, accuracy=0.5)
        assert pointers(reading.warnings) == ["/metrics/acc", "/metrics/f1_score"]

    @pytest.mark.parametrize("text", ["nan", "inf", "1_000", "٣", "1e999", "0x1", "1,5", "9" * 100])
    def test_not_every_string_is_a_number(self, text: str) -> None:
        assert refused(metrics={"f1": text}) == ["/metrics/f1"]

    @pytest.mark.parametrize("key", ["runtime", "metrics", "apis", "dependencies", "swr_location"])
    def test_an_empty_string_is_nothing(self, key: str) -> None:
        reading = read(BASE | {key: ""})
        assert reading.config is not None
        assert reading.config.to_json() == config_of().to_json()

    @pytest.mark.parametrize("key", ["runtime", "metrics", "apis", "dependencies", "swr_location", "health"])
    def test_null_is_nothing_and_needs_no_word(self, key: str) -> None:
        reading = read(BASE | {key: None})
        assert (reading.problems, reading.warnings) == ((), ())

    def test_one_object_is_an_array_of_it(self) -> None:
        group = {"installer": "pip", "packages": {"package_name": "numpy"}}
        reading = read(BASE | {"apis": {"url": "/", "protocol": "https"}, "dependencies": group})
        assert reading.config is not None
        assert reading.config.apis == (Api(protocol="https"),)
        assert [found.requirement for found in reading.config.dependencies] == ["numpy"]
        assert pointers(reading.warnings) == ["/apis", "/dependencies", "/dependencies/packages"]
        assert config_of(apis={}).apis == (Api(),)


def test_keys_that_nobody_knows_are_left_out_with_a_warning() -> None:
    reading = read(BASE | {"tunable": False, "algorithm": "resnet", "export": "blue"})
    assert reading.config is not None
    assert [(warning.code, warning.pointer) for warning in reading.warnings] == [
        (ProblemCode.CONFIG_UNKNOWN_KEY, pointer) for pointer in ("/tunable", "/algorithm", "/export")
    ]
