"""Packages and requests with the slips of people: each is told for what it is."""

import os
from pathlib import Path
from typing import Any

import pytest

from engines.runtime_catalogue import INSTALLED
from tests.api import Api, config
from tests.packages import assert_told, dependency, mxnet_package, scikit_learn_package, without
from tests.test_import_source import granted, imported_from, put

KEY = "shared/iris"
FOUND = "code message hint ... on PackageProblem { file pointer expected actual }"
PREVIEW = f"""query ($input: ImportModelInput!) {{ previewImport(input: $input) {{
    isImportable runtime dependencies {{ package }} metrics {{ accuracy }}
    problems {{ {FOUND} }} warnings {{ {FOUND} }} }} }}"""


async def previewed(api: Api, key: str = KEY, **fields: Any) -> Any:
    """What a preview of a folder says, having stored nothing."""
    before = await api.counts()
    source = fields.pop("source", {"objectStorage": {"key": key}})
    shown = (await api.ask(PREVIEW, input={"name": "iris", "source": source, **fields}))["previewImport"]
    assert await api.counts() == before
    for found in shown["problems"]:
        assert_told(found)
    return shown


def told(found: list[dict[str, Any]], code: str) -> dict[str, Any]:
    [problem] = [problem for problem in found if problem["code"] == code]
    return problem


def config_of(**changes: Any) -> dict[str, bytes]:
    return {**scikit_learn_package(), "model/config.json": config(**{"model_type": "Scikit_Learn", **changes})}


async def doubted(api: Api, data_dir: Path, **changes: Any) -> tuple[dict[str, Any], Any]:
    """The one warning CONFIG_DOUBTFUL_VALUE of a scikit-learn package with such a config, and all that is shown."""
    await granted(api, data_dir, config_of(**changes))
    shown = await previewed(api)
    assert shown["isImportable"], shown
    return told(shown["warnings"], "CONFIG_DOUBTFUL_VALUE"), shown


@pytest.mark.parametrize("name", ["weights.bin", "data", "config.json", "a\nb", b"caf\xe9"])
async def test_what_a_folder_would_leave_out_of_a_version_is_refused(
    api: Api, data_dir: Path, name: str | bytes
) -> None:
    await granted(
        api, data_dir, without(mxnet_package(), "model/config.json") if name == "config.json" else mxnet_package()
    )
    place = os.path.join(os.fsencode(data_dir / "objects" / KEY / "model"), os.fsencode(name))
    if isinstance(name, bytes) or "\n" in name:
        Path(os.fsdecode(place)).write_bytes(b"x")
    else:
        put(data_dir, "elsewhere/data", {"file": config()})
        target = data_dir / "objects/elsewhere/data" / ("" if name == "data" else "file")
        os.symlink(target, os.fsdecode(place))
    [problem] = (await previewed(api))["problems"]
    assert (problem["code"], problem["file"]) == ("FILE_PATH_INVALID", os.fsencode(name).decode(errors="replace"))
    version = await imported_from(api, {"objectStorage": {"key": KEY}})
    assert version["status"] == "IMPORT_FAILED"
    assert [found["message"] for found in version["problems"]] == [problem["message"]]


@pytest.mark.parametrize("link", ["iris", "iris/model"])
async def test_a_location_that_is_a_symbolic_link_is_told_as_one(api: Api, data_dir: Path, link: str) -> None:
    await granted(api, data_dir, {"readme": b"x"}, "shared/other")
    put(data_dir, "elsewhere", mxnet_package())
    place = data_dir / "objects/shared" / link
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(data_dir / "objects/elsewhere")
    version = await imported_from(api, {"objectStorage": {"key": KEY}})
    assert version["status"] == "IMPORT_FAILED"
    assert "symbolic link" in told(version["problems"], "FILE_PATH_INVALID")["message"]


async def test_a_file_in_the_place_of_its_folder_is_told_as_one(api: Api, data_dir: Path) -> None:
    await granted(api, data_dir, mxnet_package())
    [problem] = (await previewed(api, f"{KEY}/model/config.json"))["problems"]
    assert problem["code"] == "MODEL_DIRECTORY_MISSING"
    assert "config.json is a file" in problem["message"]
    assert problem["hint"] == f"Name its folder: {KEY}/model."


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ({"key": "obs://shared/iris"}, "Give the key alone, 'shared/iris'"),
        ({"key": "s3://shared/iris/"}, "Give the key alone, 'shared/iris'"),
        ({"key": "shared/../iris"}, "Give the whole key"),
        ({"key": KEY, "store": "attic"}, "There are: default."),
        ({"key": "private/iris"}, "workspace grant"),
    ],
)
async def test_a_location_that_cannot_be_one_says_how_it_is_written(
    api: Api, data_dir: Path, location: dict[str, str], words: str
) -> None:
    await granted(api, data_dir, mxnet_package())
    before = await api.counts()
    [error] = await api.refused("importModel", name="iris", source={"objectStorage": location})
    assert error["code"] == "LOCATION_REFUSED"
    assert words in error["hint"]
    assert ("workspace grant" in error["hint"]) == (location["key"] == "private/iris")
    assert ("no store named 'attic'" in error["message"]) == ("store" in location)
    assert await api.counts() == before


@pytest.mark.parametrize("written", [INSTALLED.capitalize(), INSTALLED.replace("python", "python ")])
async def test_a_runtime_in_other_case_or_with_blanks_is_the_one_that_is_here(
    api: Api, data_dir: Path, written: str
) -> None:
    warning, shown = await doubted(api, data_dir, runtime=written)
    assert warning["message"] == f"The runtime {written!r} is read as {INSTALLED}."
    assert shown["runtime"] == INSTALLED


async def test_a_runtime_that_is_nearly_the_one_here_is_refused_with_that(api: Api, data_dir: Path) -> None:
    await granted(api, data_dir, config_of(runtime=f"{INSTALLED}.7"))
    shown = await previewed(api)
    assert f"Did you mean {INSTALLED}?" in told(shown["problems"], "RUNTIME_UNAVAILABLE")["hint"]
    for runtime, hint in ((f"{INSTALLED}.7", f"Did you mean {INSTALLED}?"), ("python2.7", f"There are: {INSTALLED}.")):
        source = {"objectStorage": {"key": KEY}}
        before = await api.counts()
        [error] = await api.refused("importModel", name="iris", source=source, runtime=runtime)
        assert (error["code"], error["hint"]) == ("RUNTIME_UNAVAILABLE", hint)
        assert await api.counts() == before


async def test_a_version_behind_the_engine_s_name_is_said_not_to_count(api: Api, data_dir: Path) -> None:
    warning, _ = await doubted(api, data_dir, model_type="Sklearn 1.2")
    assert warning["message"] == '"Sklearn 1.2" is read as "Scikit_Learn"; 1.2 is not taken for a version.'
    assert "dependencies" in warning["hint"]


async def test_a_module_s_name_among_the_dependencies_is_kept_and_doubted(api: Api, data_dir: Path) -> None:
    await granted(api, data_dir, config_of(dependencies=dependency({"package_name": "PIL"})))
    shown = await previewed(api)
    assert (shown["isImportable"], [needed["package"] for needed in shown["dependencies"]]) == (True, ["PIL"])
    assert told(shown["warnings"], "CONFIG_DOUBTFUL_VALUE")["file"] == "config.json"
    chosen = [{"package": "cv2"}, {"package": "numpy"}]
    warnings = (await previewed(api, dependencies=chosen))["warnings"]
    assert told(warnings, "CONFIG_DOUBTFUL_VALUE")["file"] is None


async def test_two_pins_of_one_package_are_refused_before_anything_is_built(api: Api, data_dir: Path) -> None:
    pins = [
        {"package_name": name, "package_version": version, "restraint": "EXACT"}
        for name, version in (("ruamel.yaml", "0.18.6"), ("six", "1.17.0"), ("Ruamel_YAML", "0.18.5"))
    ]
    await granted(api, data_dir, config_of(dependencies=dependency(*pins)))
    [problem] = (await previewed(api))["problems"]
    assert (problem["code"], problem["pointer"]) == ("CONFIG_INVALID", "/dependencies")
    assert "ruamel.yaml==0.18.6 (dependency 1) and Ruamel_YAML==0.18.5 (dependency 3)" in problem["message"]
    assert (await previewed(api, dependencies=[]))["isImportable"]


async def test_a_template_s_package_is_not_asked_for_a_config(api: Api, data_dir: Path) -> None:
    await granted(api, data_dir, {"weights.om": b"x"})
    source = {"template": {"template": "arm-ascend", "location": {"key": KEY}}}
    [problem] = (await previewed(api, source=source))["problems"]
    assert problem["code"] == "MODEL_DIRECTORY_MISSING"
    assert "config.json" not in problem["message"] + problem["hint"]


async def test_a_template_s_runtime_is_the_template_s(api: Api, data_dir: Path) -> None:
    await granted(api, data_dir, {"model/model.pth": b"x", "model/customize_service.py": b"x = 1"})
    source = {"template": {"template": "pytorch-py36", "location": {"key": KEY}}}
    problem = told((await previewed(api, source=source))["problems"], "RUNTIME_UNAVAILABLE")
    assert problem["message"].startswith("The template pytorch-py36 is for the runtime 'python3.6'")
    assert (problem["file"], problem["pointer"]) == (None, None)
    warnings = (await previewed(api, source=source, runtime=INSTALLED))["warnings"]
    assert told(warnings, "RUNTIME_SUBSTITUTED")["file"] is None


async def test_a_schema_without_properties_is_said_to_declare_no_parameters(api: Api, data_dir: Path) -> None:
    request = {"Content-type": "application/json", "data": {"data": {"type": "object"}}}
    warning, _ = await doubted(api, data_dir, apis=[{"request": request}])
    assert warning["pointer"] == "/apis/0/request/data"
    assert "has no properties" in warning["message"]


async def test_a_metric_that_is_no_share_is_kept_and_doubted(api: Api, data_dir: Path) -> None:
    warning, shown = await doubted(api, data_dir, metrics={"f1": 0.5, "accuracy": 93})
    assert warning["pointer"] == "/metrics/accuracy"
    assert shown["metrics"] == {"accuracy": 93.0}


async def test_an_empty_model_is_told_once(api: Api, data_dir: Path) -> None:
    await granted(api, data_dir, {**config_of(), "model/model.m": b"", "model/other/data.pkl": b""})
    shown = await previewed(api)
    assert [(problem["code"], problem["file"]) for problem in shown["problems"]] == [("MODEL_FILE_EMPTY", "model.m")]
    assert [(warning["code"], warning["file"]) for warning in shown["warnings"]] == [("NOT_SCANNED", "other/data.pkl")]


async def test_a_config_that_is_too_large_is_told_with_its_size(api: Api, data_dir: Path) -> None:
    await granted(api, data_dir, {**mxnet_package(), "model/config.json": b" " * 1_100_000})
    problem = told((await previewed(api))["problems"], "FILE_TOO_LARGE")
    assert problem["actual"] == "1100000 bytes"
