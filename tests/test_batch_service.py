"""What may be asked of a batch service, and what is refused, all of it at once and without a trace."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from db.connection import Pool
from resolvers.workspace import grant_prefix
from tests import batches
from tests.api import Api
from tests.batches import RULE, deploy, file_version, own, put, row_version, service, wish
from tests.packages import found as problems_found
from tests.packages import import_package, mxnet_package
from tests.services import act, import_version, package

WAITS = "import time\ntime.sleep(60)"


def found_in(errors: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return sorted((error["code"], ".".join(error["path"])) for error in errors)


async def refuse(api: Api, mutation: str = "deployBatchService", /, **fields: Any) -> list[dict[str, Any]]:
    """The errors of a request that must change nothing."""
    before = await stored(api)
    errors = await api.refused(mutation, **fields)
    assert await stored(api) == before
    return errors


async def stored(api: Api) -> dict[str, int]:
    """How many rows there are of all but events: those of services that run go on."""
    counts = {**await api.counts(), "batch_configuration": await api.count("batch_configuration")}
    del counts["event"]
    return counts


@pytest.fixture
async def source(pool: Pool, data_dir: Path) -> str:
    """The key of a folder with one input."""
    key = await own(pool, "questions")
    put(data_dir, key, {"1.json": b"{}"})
    return key


async def test_everything_that_is_wrong_is_told_at_once(api: Api, pool: Pool, source: str) -> None:
    output = await own(pool, "answers")
    fields = wish("0.0.1", "somebody/else", f"{output}/../up", maxConcurrency=65, target={"instanceCount": 0})
    assert found_in(await refuse(api, name="a b", **fields)) == [
        ("INVALID_INPUT", "maxConcurrency"),
        ("INVALID_INPUT", "name"),
        ("INVALID_INPUT", "target.instanceCount"),
        ("LOCATION_REFUSED", "input"),
        ("LOCATION_REFUSED", "output"),
        ("NOT_FOUND", "target.modelVersion.modelName"),
    ]


async def test_a_version_must_be_imported_for_batch_and_declare_inputs(api: Api, pool: Pool, source: str) -> None:
    output = await own(pool, "answers")
    version = await file_version(api, "return data", deploymentTypes=["REAL_TIME"])
    assert found_in(await refuse(api, name="one", **wish(version, source, output))) == [
        ("DEPLOYMENT_TYPE_NOT_CHOSEN", "target.modelVersion")
    ]
    failed = await import_package(api, mxnet_package(apis=None), deploymentTypes=["BATCH"])
    assert problems_found(failed["problems"]) == [("BATCH_INPUTS_MISSING", "config.json", "/apis")]


async def test_what_is_read_must_be_there_and_the_workspace_s(api: Api, pool: Pool, data_dir: Path) -> None:
    version = await file_version(api, "return data")
    output, nothing = await own(pool, "answers"), await own(pool, "nothing")
    put(data_dir, "shared/questions", {"1.json": b"{}"})
    assert found_in(await refuse(api, name="one", **wish(version, nothing, output))) == [("INPUT_EMPTY", "input")]
    fields = wish(version, "shared/questions", output)
    assert found_in(await refuse(api, name="one", **fields)) == [("LOCATION_REFUSED", "input")]
    (error,) = await refuse(api, name="one", **fields)
    workspace = (await api.ask("{ modelyard { workspace { storagePrefix } } }"))["modelyard"]["workspace"]
    assert f"default:{workspace['storagePrefix']}" in error["hint"]
    assert output == f"{workspace['storagePrefix']}answers"
    await grant_prefix(pool, name="default", store="default", prefix="shared")
    assert found_in(await refuse(api, name="one", **wish(version, "shared/questions", "shared/answers"))) == [
        ("LOCATION_READ_ONLY", "output")
    ]
    await deploy(api, "one", fields)


async def test_an_output_is_empty_and_no_other_service_s(api: Api, pool: Pool, data_dir: Path, source: str) -> None:
    version = await file_version(api, WAITS)
    output = await own(pool, "answers/first")
    put(data_dir, await own(pool, "full"), {"a/b.txt": b"something"})
    cases = {
        await own(pool, "full"): "OUTPUT_NOT_EMPTY",
        await own(pool, "full/a/b.txt"): "OUTPUT_NOT_EMPTY",
        f"{source}/answers": "OUTPUT_IN_USE",
        output: "OUTPUT_IN_USE",
        f"{output}/below": "OUTPUT_IN_USE",
        await own(pool, "answers"): "OUTPUT_IN_USE",
    }
    await deploy(api, "first", wish(version, source, output))
    for key, code in cases.items():
        (error,) = await refuse(api, name="second", **wish(version, source, key))
        assert error["code"] == code, key
    await deploy(api, "second", wish(version, source, await own(pool, "answers/first-and-more")))


async def test_of_deployments_at_once_into_one_output_one_wins(api: Api, pool: Pool, source: str) -> None:
    version = await file_version(api, WAITS)
    output = await own(pool, "answers")
    asked = [
        api.mutate("deployBatchService", "service { name }", name=f"batch-{number}", **wish(version, source, output))
        for number in range(5)
    ]
    payloads = await asyncio.gather(*asked)
    assert sum(payload["service"] is not None for payload in payloads) == 1
    codes = [error["code"] for payload in payloads for error in payload["errors"]]
    assert codes == ["OUTPUT_IN_USE"] * 4
    assert await api.count("service") == await api.count("batch_configuration") == 1


async def test_a_file_mapping_needs_one_parameter_of_type_file(api: Api, pool: Pool, source: str) -> None:
    output = await own(pool, "answers")
    rows = await row_version(api, "return data")
    (error,) = await refuse(api, name="one", **wish(rows, source, output))
    assert (error["code"], error["path"]) == ("INVALID_INPUT", ["mapping"])
    assert "name: string, size: number" in error["message"]
    files = await file_version(api, "return data")
    other = {"mapping": {"file": {"parameter": "image"}}, "apiPath": "/elsewhere"}
    assert found_in(await refuse(api, name="one", **wish(files, source, output, **other))) == [("NOT_FOUND", "apiPath")]
    named = {"mapping": {"file": {"parameter": "image"}}}
    assert found_in(await refuse(api, name="one", **wish(files, source, output, **named))) == [
        ("INVALID_INPUT", "mapping.file.parameter")
    ]


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("text", "A rule is an object"),
        ({}, "The rule is none of"),
        ({"type": "object", "properties": {"name": {"type": "string"}}}, "No parameter of the rule"),
        ({"type": "object", "properties": {"name": {"type": "string", "index": -1}}}, "No parameter of the rule"),
        ({"type": "object", "properties": {"name": "string"}}, "A schema is an object"),
        ({"type": "object", "properties": {"name": {"type": "file", "index": 0}}}, "name is none of"),
    ],
)
async def test_a_rule_without_a_usable_parameter_is_refused(
    api: Api, pool: Pool, source: str, rule: object, told: str
) -> None:
    fields = wish("0.0.1", source, await own(pool, "answers"), mapping={"csv": {"rule": rule}})
    errors = [error for error in await refuse(api, name="one", **fields) if error["path"][0] == "mapping"]
    assert told in errors[0]["message"]


async def test_a_parameter_with_a_bad_index_is_left_out_with_a_warning(api: Api, pool: Pool, data_dir: Path) -> None:
    version = await row_version(api, WAITS)
    key = await own(pool, "tables")
    put(data_dir, key, {"a.csv": b"1,2\n", "notes.txt": b""})
    rule = {"type": "object", "properties": {**RULE["properties"], "color": {"type": "string", "index": -1}}}
    fields = wish(version, key, await own(pool, "answers"), mapping={"csv": {"rule": rule}})
    (error,) = await refuse(api, name="rows", **fields)
    assert "notes.txt" in error["message"]
    (data_dir / "objects" / key / "notes.txt").unlink()
    payload = await deploy(api, "rows", fields)
    (warning,) = payload["warnings"]
    assert "color" in warning["message"]
    mapping = (await service(api, "rows"))["mapping"]
    assert mapping == {"kind": "CSV", "apiPath": "/", "parameter": None, "rule": rule, "maxConcurrency": 4}


async def test_a_rule_that_does_not_fit_what_the_api_declares_is_told(
    api: Api, pool: Pool, data_dir: Path, source: str
) -> None:
    schema = {"type": "object", "properties": {"name": {"type": "string"}, "id": {}}, "required": ["id"]}
    version = await import_version(api, package("return data", apis=batches.apis(schema)))
    key = await own(pool, "tables")
    put(data_dir, key, {"a.csv": b"1,2\n"})
    fields = wish(version, key, await own(pool, "answers"), mapping={"csv": {"rule": RULE}})
    warnings = [warning["message"] for warning in (await deploy(api, "rows", fields))["warnings"]]
    told = [
        "The API does not declare size, which the rule fills.",
        "The API requires id, which the rule leaves out.",
    ]
    assert warnings == told
    assert (await service(api, "rows"))["mapping"]["rule"] == RULE

    await batches.ended(api, "rows")
    other = {"serviceName": "rows", "output": {"key": await own(pool, "others")}}
    payload = await api.mutate("updateBatchService", "warnings { message path }", **other)
    assert [warning["message"] for warning in payload["warnings"]] == told, "the rule that it has fits no better"
    assert payload["warnings"][0]["path"] == ["mapping", "csv", "rule"]


async def test_every_wrong_line_of_a_manifest_is_told(api: Api, pool: Pool, data_dir: Path, source: str) -> None:
    version = await file_version(api, WAITS)
    output = await own(pool, "answers")
    sources = [f"{source}/1.json", "https://example.com/a.png", "obs://elsewhere/a.png", f"{source}/", "others/a.png"]
    lines = [json.dumps({"source": name}) for name in sources]
    put(data_dir, await own(pool, "lists"), {"all.manifest": "\n".join([*lines, "{", '{"source": 1}', ""]).encode()})
    key = await own(pool, "lists/all.manifest")
    errors = await refuse(api, name="one", **wish(version, key, output, input={"kind": "MANIFEST"}))
    assert {error["code"] for error in errors} == {"MANIFEST_INVALID"}
    assert [error["message"].partition(":")[0] for error in errors] == [f"Line {number}" for number in range(2, 8)]
    misnamed = wish(version, f"{source}/1.json", output, input={"kind": "MANIFEST"})
    assert ("MANIFEST_INVALID", "input.key") in found_in(await refuse(api, name="one", **misnamed))


async def test_a_running_service_is_not_changed(api: Api, pool: Pool, source: str) -> None:
    version = await file_version(api, WAITS)
    await deploy(api, "one", wish(version, source, await own(pool, "answers")))
    change = {"serviceName": "one", "maxConcurrency": 2}
    (error,) = await refuse(api, "updateBatchService", **change)
    assert (error["code"], error["path"]) == ("INVALID_STATE", ["serviceName"])
    (error,) = (await api.mutate("predict", "json", serviceName="one", json={}))["errors"]
    assert (error["code"], error["path"]) == ("INVALID_STATE", ["serviceName"])
    await act(api, "stopService", "one")
    stopped = await batches.service_in(api, "one", "STOPPED")
    (error,) = await refuse(api, "updateBatchService", **change, expectedRevision=stopped["revision"] - 1)
    assert error["code"] == "CONFLICT"
    shown = "service { status description mapping { maxConcurrency } }"
    payload = await api.mutate("updateBatchService", shown, **change, description="By night.")
    assert payload["errors"] == []
    assert payload["service"] == {"status": "STOPPED", "description": "By night.", "mapping": {"maxConcurrency": 2}}


async def test_the_same_key_with_the_same_input_deploys_once(api: Api, pool: Pool, source: str) -> None:
    version = await file_version(api, "return data")
    fields = {**wish(version, source, await own(pool, "answers")), "idempotencyKey": "once"}
    first = await deploy(api, "one", fields)
    await batches.ended(api, "one")
    # By now something lies in its output.
    again = await deploy(api, "one", fields)
    assert again["service"]["id"] == first["service"]["id"]
    assert await api.count("service") == 1


async def test_an_update_of_a_real_time_service_is_refused(api: Api) -> None:
    version = await import_version(api, package(WAITS))
    target = {"modelVersion": {"modelName": "iris", "version": version}}
    payload = await api.mutate("deployRealTimeService", "service { id }", name="live", targets=[target])
    assert payload["errors"] == []
    (error,) = await refuse(api, "updateBatchService", serviceName="live", maxConcurrency=2)
    assert error["code"] == "INVALID_STATE"
