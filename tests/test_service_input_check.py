"""Services that are to check their inputs, and versions whose schemas nothing can be held to: nothing runs here."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from db.connection import Pool
from resolvers.service import ServiceStatus
from server.settings import Placement
from tests import batches
from tests.api import Api, running_server
from tests.packages import import_package, mxnet_package
from tests.services import deploy, target
from tests.test_service_action import put_into

CHECKED, UNCHECKED, REFERRING, COSTLY = "0.0.1", "0.0.2", "0.0.3", "0.0.4"
PATTERN = {"type": "object", "properties": {"id": {"type": "string", "pattern": "(?=a)"}}}
LARGE = {"type": "object", "properties": {str(n): {"type": "string", "pattern": r"\p{L}{200}"} for n in range(50)}}
TREE = {"type": "object", "properties": {"below": {"$ref": "#"}}}

TWO_APIS = """
UPDATE model_version
SET apis = json_build_array(
    (apis -> 0)::jsonb || jsonb_build_object('url', '/a', 'request_schema', $2::jsonb),
    (apis -> 0)::jsonb || jsonb_build_object('url', '/b', 'request_schema', $2::jsonb)
)
WHERE version = $1
"""


@pytest.fixture
async def api(pool: Pool, database_url: str, data_dir: Path) -> AsyncIterator[Api]:
    """Of a server with four versions of the model iris, and nobody who runs what is deployed."""
    async with running_server(pool, database_url, data_dir) as importing:
        for schema in (batches.ROW_SCHEMA, PATTERN, TREE, LARGE):
            await import_package(importing.client(), mxnet_package(apis=batches.apis(schema)))
        await pool.execute("UPDATE model_version SET ai_engine = 'SCIKIT_LEARN', runtime = 'python3.11'")
    async with running_server(pool, database_url, data_dir, worker=Placement.NONE) as server:
        yield server.client()


async def refuse(api: Api, mutation: str, /, **fields: Any) -> list[tuple[list[str], str]]:
    """The paths and messages of what is wrong; nothing stored has changed."""
    selection = (
        "lastConfiguration: configurations(first: 1) { nodes { number } } ... on RealTimeService { checksInputs }"
    )
    before = await api.counts(), await api.service("iris", f"revision status {selection}")
    errors = await api.refused(mutation, **fields)
    assert (await api.counts(), await api.service("iris", f"revision status {selection}")) == before
    assert {error["code"] for error in errors} == {"INVALID_INPUT"}
    return [(error["path"], error["message"]) for error in errors]


async def test_a_schema_that_nothing_can_be_held_to_is_told_at_deployment(api: Api) -> None:
    targets = [target(version, weight=50) for version in (UNCHECKED, REFERRING)]
    told = await refuse(api, "deployRealTimeService", name="iris", targets=targets, checksInputs=True)
    assert [path for path, _ in told] == [["checksInputs"]] * 2
    messages = sorted(message for _, message in told)
    assert messages[0].startswith("iris 0.0.2 declares a schema for / that no input can be held to: at /properties/id/")
    assert messages[1].endswith("it refers to '#'.")
    await deploy(api, "unchecked", *targets)
    await deploy(api, "checked", target(CHECKED), checksInputs=True)


async def test_patterns_that_are_costly_to_compile_are_told_at_deployment(api: Api) -> None:
    wanted = {"name": "iris", "targets": [target(COSTLY)], "checksInputs": True}
    ((path, message),) = await refuse(api, "deployRealTimeService", **wanted)
    assert path == ["checksInputs"]
    assert 'at /properties/0/pattern, the pattern "\\\\p{L}{200}" is too large' in message


async def test_the_patterns_of_all_apis_of_a_version_are_counted(api: Api) -> None:
    await api.pool.execute(TWO_APIS, CHECKED, {"properties": {str(n): {"pattern": "a"} for n in range(26)}})
    ((_, message),) = await refuse(
        api, "deployRealTimeService", name="iris", targets=[target(CHECKED)], checksInputs=True
    )
    assert "a schema for /b that no input can be held to: there are more than 50 patterns." in message


async def test_checks_are_turned_on_only_where_they_can_be_made(api: Api) -> None:
    service = await deploy(api, "iris", target(UNCHECKED))
    await put_into(api, service, ServiceStatus.RUNNING)
    ((path, _),) = await refuse(api, "updateRealTimeService", serviceName="iris", checksInputs=True)
    assert path == ["checksInputs"]
    fields = {"serviceName": "iris", "targets": [target(CHECKED)]}
    payload = await api.mutate("updateRealTimeService", "__typename", checksInputs=True, **fields)
    assert payload["errors"] == []


async def test_no_update_and_no_return_brings_an_unchecked_version_to_a_service_that_checks(api: Api) -> None:
    service = await deploy(api, "iris", target(UNCHECKED))
    await put_into(api, service, ServiceStatus.RUNNING)
    fields: dict[str, Any] = {"serviceName": "iris", "targets": [target(CHECKED)], "checksInputs": True}
    assert (await api.mutate("updateRealTimeService", "__typename", **fields))["errors"] == []
    await put_into(api, service, ServiceStatus.RUNNING)
    # What it is to run serves: what served before is not what "the one that serves" is any more.
    await api.pool.execute("UPDATE service SET routed_configuration_number = last_configuration_number")

    for changes in ({}, {"checksInputs": True}):
        wanted = [target(UNCHECKED)]
        ((path, _),) = await refuse(api, "updateRealTimeService", serviceName="iris", targets=wanted, **changes)
        assert path == ["checksInputs"]
    ((path, _),) = await refuse(api, "rollBackService", serviceName="iris")
    assert path == ["configurationNumber"]

    off = {"serviceName": "iris", "targets": [target(UNCHECKED)], "checksInputs": False}
    assert (await api.mutate("updateRealTimeService", "__typename", **off))["errors"] == []


async def test_what_was_let_in_before_can_be_changed_otherwise(api: Api) -> None:
    service = await deploy(api, "iris", target(UNCHECKED))
    await put_into(api, service, ServiceStatus.RUNNING)
    await api.pool.execute("UPDATE service SET checks_inputs = true")
    payload = await api.mutate("updateRealTimeService", "__typename", serviceName="iris", timeoutSeconds=1)
    assert payload["errors"] == []
