"""What an importer says in the place of config.json, or of parts of it."""

from artifacts.ai_engine import AiEngine
from artifacts.api import Api, read_api_choices
from artifacts.config import read_config_choice
from artifacts.dependency import Dependency
from artifacts.json_node import JsonObject
from tests.configs import config_of, packages


class TestChoices:
    def test_take_the_place_of_what_the_package_says(self) -> None:
        config = config_of(runtime="python3.6", **packages({"package_name": "numpy"}))
        chosen = config.with_choices(
            apis=(Api(protocol="https"),), dependencies=(Dependency("pip", "scipy"),), runtime="python3.11"
        )
        assert (chosen.apis, chosen.runtime) == ((Api(protocol="https"),), "python3.11")
        assert [found.package for found in chosen.dependencies] == ["scipy"]
        assert config.with_choices() == config
        assert config.with_choices(dependencies=()).dependencies == ()

    def test_a_whole_config_is_read_as_a_file_is(self) -> None:
        reading = read_config_choice('{"model_type": "sklearn", "model_algorithm": "x"}')
        assert reading.config is not None
        assert reading.config.ai_engine is AiEngine.SCIKIT_LEARN
        assert [warning.file for warning in reading.warnings] == ["config"]
        (problem,) = read_config_choice('{"model_type": }').problems
        assert problem.message == "config is not valid JSON at line 1, column 16."
        assert read_config_choice('"\ud800').problems

    def test_apis_are_read_as_those_of_a_file(self) -> None:
        entry: JsonObject = {
            "url": "/",
            "method": "post",
            "protocol": "https",
            "request": {"Content-type": "multipart/form-data", "data": {"properties": {"images": {"type": "file"}}}},
        }
        (found,), findings = read_api_choices([entry], ai_engine=AiEngine.PYTORCH)
        assert (found.protocol, found.method, [one.name for one in found.inputs]) == ("https", "POST", ["images"])
        assert (findings.problems, findings.warnings) == ([], [])

    def test_what_is_wrong_with_them_is_told_with_its_place(self) -> None:
        deep: object = {}
        for _ in range(100):
            deep = {"properties": {"a": deep}}
        for choice, engine, pointer in (
            ({"url": "/a"}, AiEngine.PYTORCH, "/0/url"),
            ({"method": "PUT"}, None, "/0/method"),
            ({"request": {"data": deep}}, None, None),
        ):
            _, findings = read_api_choices([choice], ai_engine=engine)
            assert [(problem.file, problem.pointer) for problem in findings.problems] == [("apis", pointer)]
