"""Where a package lies: below a training job's output, in a folder of object storage, or right where one points."""

import pytest

from artifacts.model_directory import locate_model_directory
from artifacts.problem import ProblemCode


class TestOutput:
    @pytest.mark.parametrize(
        ("keys", "prefix"),
        [
            (["V0001/model/config.json", "model/config.json", "config.json"], "V0001/model/"),
            (["model/config.json", "V0002/model/config.json"], "model/"),
            (["model/model.m"], "model/"),
            (["config.json", "model.m"], ""),
            (["V001/model/config.json"], "V001/model/"),
            (["V1/model/config.json", "V0001/model/config.json"], "V0001/model/"),
            (["config.json", "model/net.py"], ""),
        ],
    )
    def test_is_found(self, keys: list[str], prefix: str) -> None:
        reading = locate_model_directory(keys, "V0001")
        assert reading.problems == ()
        assert reading.directory is not None
        assert reading.directory.prefix == prefix

    @pytest.mark.parametrize(
        ("keys", "hint"),
        [
            ([], "empty"),
            (["model/", "V0001/"], "empty"),
            (["V0002/model/config.json"], "V0002/model/"),
            (["V0001/config.json"], "V0001/config.json"),
            (["output/customize_service.py"], "output/customize_service.py"),
            (["log.txt"], "Upload the package into V0001/model/"),
            (["model"], "Upload the package into V0001/model/"),
        ],
    )
    def test_is_missing_and_the_exact_place_is_said(self, keys: list[str], hint: str) -> None:
        reading = locate_model_directory(keys, "V0001")
        assert reading.directory is None
        (problem,) = reading.problems
        assert problem.code is ProblemCode.MODEL_DIRECTORY_MISSING
        assert problem.expected == "V0001/model/"
        assert problem.hint is not None
        assert hint in problem.hint

    @pytest.mark.parametrize("version_name", ["V0001", "version 1", "V", ""])
    def test_any_version_name_is_taken(self, version_name: str) -> None:
        reading = locate_model_directory(["model/config.json", "V0009/model/config.json"], version_name)
        assert reading.directory is not None
        assert reading.directory.prefix == "model/"


class TestObjectStorage:
    @pytest.mark.parametrize(
        ("keys", "key", "prefix"),
        [
            (["model/config.json", "V0001/model/config.json"], "exp/resnet", "model/"),
            (["model/net.pth"], "exp/resnet", "model/"),
            (["config.json", "net.pth"], "exp/resnet", ""),
            (["config.json", "model/layers.py"], "exp/resnet", ""),
            (["saved_model.pb", "variables/variables.index"], "exp/V0001/model", ""),
            (["saved_model.pb"], "model/", ""),
            (["saved_model.pb", "model/config.json"], "exp/model", "model/"),
        ],
    )
    def test_is_named_by_the_directory_or_its_parent(self, keys: list[str], key: str, prefix: str) -> None:
        reading = locate_model_directory(keys, key=key)
        assert reading.problems == ()
        assert reading.directory is not None
        assert reading.directory.prefix == prefix

    @pytest.mark.parametrize(
        ("keys", "key", "message", "hint"),
        [
            ([], "exp/model", "There is nothing at the location.", "Check the location"),
            (["V0001/model/a", "V0002/model/a"], "exp", "holds no model/", "V0001/model/, V0002/model/"),
            (["a/b/config.json"], "exp", "holds no model/", "a/b/config.json was found"),
            (["saved_model.pb"], "exp/mymodel", "it has no config.json", "Move the package into model/"),
            (["saved_model.pb"], None, "it has no config.json", "Move the package into model/"),
        ],
    )
    def test_that_holds_none_is_described(self, keys: list[str], key: str | None, message: str, hint: str) -> None:
        reading = locate_model_directory(keys, key=key)
        assert reading.directory is None
        (problem,) = reading.problems
        assert (problem.code, problem.expected) == (ProblemCode.MODEL_DIRECTORY_MISSING, "model/")
        assert message in problem.message
        assert "output" not in problem.message
        assert problem.hint is not None
        assert hint in problem.hint
