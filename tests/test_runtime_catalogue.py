"""The runtimes that the API shows: those there are, those there are not, and those that the operator replaces."""

from pathlib import Path
from typing import Any

import pytest

from db.connection import Pool
from engines.runtime_catalogue import INSTALLED, default_runtime
from server.failure import StartFailure
from tests.api import Api, running_server
from tests.packages import SCIKIT_LEARN, import_package, scikit_learn_package

DOCUMENT = """query ($engine: AiEngine) { runtimes(aiEngine: $engine) {
    name aiEngine isDefault isAvailable interpreter requirements nearest mapsTo reason } }"""


async def runtimes_of(api: Api, engine: str | None) -> dict[str, Any]:
    shown = (await api.ask(DOCUMENT, engine=engine))["runtimes"]
    return {runtime["name"]: runtime for runtime in shown}


async def test_each_runtime_says_what_it_brings_or_what_could_take_its_place(api: Api) -> None:
    shown = await runtimes_of(api, "TENSORFLOW")
    default = default_runtime("TENSORFLOW")
    assert default is not None
    assert shown.pop(INSTALLED) == {
        "name": INSTALLED,
        "aiEngine": "TENSORFLOW",
        "isDefault": True,
        "isAvailable": True,
        "interpreter": INSTALLED,
        "requirements": list(default.requirements),
        "nearest": None,
        "mapsTo": None,
        "reason": None,
    }
    assert "tf1.13-python3.7-cpu" in shown
    for name, runtime in shown.items():
        assert (runtime["isAvailable"], runtime["nearest"], runtime["mapsTo"]) == (False, INSTALLED, None)
        assert (runtime["interpreter"], runtime["requirements"]) == (None, [])
        assert name in runtime["reason"]


async def test_an_engine_without_environment_has_none_that_is_near_and_says_why(api: Api) -> None:
    for engine, why in (("MXNET", "retired"), ("SPARK_MLLIB", "Java"), ("CAFFE", "no package index")):
        shown = await runtimes_of(api, engine)
        assert shown
        for runtime in shown.values():
            assert (runtime["isAvailable"], runtime["nearest"]) == (False, None)
            assert why in runtime["reason"]
    assert await runtimes_of(api, "IMAGE") == {}


async def test_what_the_operator_replaces_is_shown_with_what_packages_get(
    pool: Pool, database_url: str, data_dir: Path
) -> None:
    runtime_map = (f"python3.6={INSTALLED}", f"PYTORCH:mine={INSTALLED}")
    async with running_server(pool, database_url, data_dir, runtime_map=runtime_map) as running:
        api = running.client()
        for engine, name in (("PYTORCH", "python3.6"), ("PYTORCH", "mine"), ("SCIKIT_LEARN", "python3.6")):
            runtime = (await runtimes_of(api, engine))[name]
            assert (runtime["mapsTo"], runtime["interpreter"]) == (INSTALLED, INSTALLED)
            assert runtime["requirements"]
            assert "operator" in runtime["reason"]
        assert "mine" not in await runtimes_of(api, "SCIKIT_LEARN")
        assert (await runtimes_of(api, "MXNET"))["python3.6"]["mapsTo"] is None


@pytest.mark.parametrize("item", ["python3.6=python9.9", f"MXNET:python3.6={INSTALLED}", f"{INSTALLED}={INSTALLED}"])
async def test_a_map_that_could_never_hold_stops_the_start(
    pool: Pool, database_url: str, data_dir: Path, item: str
) -> None:
    with pytest.raises(StartFailure, match="MODELYARD_RUNTIME_MAP is not valid"):
        async with running_server(pool, database_url, data_dir, runtime_map=(item,)):
            pass


@pytest.mark.slow
async def test_a_package_that_asks_for_what_the_operator_replaces_gets_the_other_and_both_are_told(
    pool: Pool, database_url: str, data_dir: Path
) -> None:
    async with running_server(pool, database_url, data_dir, runtime_map=(f"python3.6={INSTALLED}",)) as running:
        package = scikit_learn_package(runtime="python3.6")
        imported = await import_package(running.client(), package, algorithm=SCIKIT_LEARN)
    assert (imported["status"], imported["problems"]) == ("NORMAL", [])
    assert (imported["requestedRuntime"], imported["runtime"]) == ("python3.6", INSTALLED)
    assert "RUNTIME_SUBSTITUTED" in [warning["code"] for warning in imported["warnings"]]
