"""Resource pools: made, changed and ended; what runs in them holds them to their size."""

import asyncio
from typing import Any

import pytest

from db import resource_pool
from tests.api import Api, RunningServer, running_server, wait_for
from tests.pools import GIBIBYTE, create_pool, pool_named, refuse
from tests.services import ECHO, act, deploy, import_version, is_gone, package, target


async def test_a_workspace_has_the_shared_pool_which_nobody_bounds_and_nobody_changes(api: Api) -> None:
    found = (await api.ask("{ resourcePools { id name kind cpuCount memoryBytes instanceCount usedCpuCount } }"))[
        "resourcePools"
    ]
    (shared,) = found
    assert shared["id"].startswith("pool_")
    assert (shared["name"], shared["kind"], shared["cpuCount"], shared["memoryBytes"]) == (
        "shared",
        "SHARED",
        None,
        None,
    )
    for mutation, fields in (("updateResourcePool", {"cpuCount": 8}), ("deleteResourcePool", {})):
        (error,) = await refuse(api, mutation, name="shared", **fields)
        assert (error["code"], error["path"]) == ("INVALID_STATE", ["name"])
    (error,) = await refuse(api, "createResourcePool", name="shared", cpuCount=1, memoryBytes=GIBIBYTE)
    assert error["code"] == "ALREADY_EXISTS"
    assert (await api.ask("{ resourcePools { name cpuCount } }"))["resourcePools"] == [
        {"name": "shared", "cpuCount": None}
    ]


async def test_a_pool_is_changed_while_somebody_deploys_into_it_and_not_ended(api: Api) -> None:
    await create_pool(api, "gpu-a", cpuCount=4, memoryBytes=8 * GIBIBYTE)
    workspace_id = await api.pool.fetchval("SELECT id FROM workspace WHERE name = 'default'")
    async with api.pool.acquire() as deploying, deploying.transaction():
        assert await resource_pool.hold(deploying, workspace_id, "gpu-a") is not None
        async with asyncio.timeout(10):
            changed = await api.mutate("updateResourcePool", "resourcePool { cpuCount }", name="gpu-a", cpuCount=5)
        assert changed == {"resourcePool": {"cpuCount": 5}, "errors": []}
        ending = asyncio.create_task(api.mutate("deleteResourcePool", "__typename", name="gpu-a"))
        await asyncio.wait({ending}, timeout=0.5)
        assert not ending.done()
    assert (await ending)["errors"] == []


async def test_a_dedicated_pool_is_made_changed_and_ended(api: Api) -> None:
    made = await create_pool(api, "gpu-a", cpuCount=4, memoryBytes=8 * GIBIBYTE, description="for tests")
    assert (made["kind"], made["revision"], made["gpuCount"], made["createdBy"]) == (
        "DEDICATED",
        1,
        0,
        "MODELYARD_TOKEN",
    )
    found = await api.ask("query ($id: ID!) { node(id: $id) { ... on ResourcePool { name cpuCount } } }", id=made["id"])
    assert found["node"] == {"name": "gpu-a", "cpuCount": 4}
    changed = await api.mutate(
        "updateResourcePool",
        "resourcePool { cpuCount memoryBytes description revision }",
        name="gpu-a",
        cpuCount=6.5,
        description=None,
        expectedRevision=1,
    )
    assert changed["errors"] == []
    assert changed["resourcePool"] == {
        "cpuCount": 6.5,
        "memoryBytes": 8 * GIBIBYTE,
        "description": None,
        "revision": 2,
    }
    (error,) = await refuse(api, "deleteResourcePool", name="gpu-a", expectedRevision=1)
    assert (error["code"], error["actualRevision"]) == ("CONFLICT", 2)
    gone = await api.mutate("deleteResourcePool", "resourcePoolId", name="gpu-a", expectedRevision=2)
    assert gone == {"resourcePoolId": made["id"], "errors": []}
    assert [pool["name"] for pool in (await api.ask("{ resourcePools { name } }"))["resourcePools"]] == ["shared"]
    for mutation in ("updateResourcePool", "deleteResourcePool"):
        (error,) = await refuse(api, mutation, name="gpu-a")
        assert (error["code"], error["path"]) == ("NOT_FOUND", ["name"])
    kinds = await api.ask(
        '{ auditEvents(filter: {kind: ["RESOURCE_POOL_CREATED", "RESOURCE_POOL_UPDATED", '
        '"RESOURCE_POOL_DELETED"]}) { totalCount } }'
    )
    assert kinds["auditEvents"]["totalCount"] == 3


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"name": "a b"}, ["name"]),
        ({"name": "a\0"}, ["name"]),
        ({"cpuCount": 0}, ["cpuCount"]),
        ({"cpuCount": 1e9}, ["cpuCount"]),
        ({"memoryBytes": 1}, ["memoryBytes"]),
        ({"memoryBytes": 2**53 - 1}, ["memoryBytes"]),
        ({"gpuCount": -1}, ["gpuCount"]),
        ({"ascendCount": -1}, ["ascendCount"]),
        ({"description": "x" * 1001}, ["description"]),
    ],
)
async def test_each_field_of_a_pool_has_its_rule(api: Api, fields: dict[str, Any], path: list[str]) -> None:
    usual = {"name": "gpu-a", "cpuCount": 1, "memoryBytes": GIBIBYTE}
    (error,) = await refuse(api, "createResourcePool", **{**usual, **fields})
    assert (error["code"], error["path"]) == ("INVALID_INPUT", path)
    if path != ["name"]:
        before = await create_pool(api, "gpu-a", cpuCount=1, memoryBytes=GIBIBYTE)
        (error,) = await refuse(api, "updateResourcePool", **{"name": "gpu-a", **fields})
        assert (error["code"], error["path"]) == ("INVALID_INPUT", path)
        assert await pool_named(api, "gpu-a") == before


async def test_a_pool_is_made_once_for_one_key_and_a_name_is_taken_once(api: Api) -> None:
    fields = {"name": "gpu-a", "cpuCount": 1, "memoryBytes": GIBIBYTE}
    first = await api.mutate("createResourcePool", "resourcePool { id }", **fields, idempotencyKey="one")
    again = await api.mutate("createResourcePool", "resourcePool { id }", **fields, idempotencyKey="one")
    assert again == first
    (error,) = await refuse(api, "createResourcePool", **fields)
    assert (error["code"], error["path"]) == ("ALREADY_EXISTS", ["name"])


async def test_a_workspace_has_at_most_a_hundred_pools(api: Api) -> None:
    await api.pool.execute(
        """INSERT INTO resource_pool (workspace_id, name, kind, cpu_count, memory_bytes)
        SELECT workspace_id, 'pool-' || number, 'DEDICATED', 1, 1 FROM resource_pool, generate_series(1, 99) AS number
        WHERE workspace_id = (SELECT id FROM workspace WHERE name = 'default')"""
    )
    (error,) = await refuse(api, "createResourcePool", name="one-more", cpuCount=1, memoryBytes=GIBIBYTE)
    assert error["code"] == "LIMIT_REACHED"
    assert len((await api.ask("{ resourcePools { name } }"))["resourcePools"]) == 100


async def test_pools_are_of_their_workspace(server: RunningServer, api: Api) -> None:
    made = await create_pool(api, "gpu-a", cpuCount=1, memoryBytes=GIBIBYTE)
    other = await server.client_of_new_workspace("other")
    assert [pool["name"] for pool in (await other.ask("{ resourcePools { name } }"))["resourcePools"]] == ["shared"]
    assert (await other.ask("query ($id: ID!) { node(id: $id) { id } }", id=made["id"]))["node"] is None
    for mutation in ("updateResourcePool", "deleteResourcePool"):
        (error,) = await refuse(other, mutation, name="gpu-a")
        assert error["code"] == "NOT_FOUND"
    deployed = {"name": "iris", "targets": [target("0.0.1", model="none")], "resourcePool": "gpu-a"}
    errors = await refuse(other, "deployRealTimeService", **deployed)
    assert ("NOT_FOUND", ["resourcePool"]) in [(error["code"], error["path"]) for error in errors]


async def test_a_pool_with_services_is_neither_ended_nor_made_smaller_than_they_are(api: Api) -> None:
    version = await import_version(api, package(ECHO))
    await create_pool(api, "gpu-a", cpuCount=4, memoryBytes=16 * GIBIBYTE)
    await deploy(api, "iris", target(version, inferenceSpecification="modelarts.vm.cpu.2u"), resourcePool="gpu-a")
    await api.service_in("iris", "RUNNING")
    pool = await pool_named(api, "gpu-a")
    assert (pool["usedCpuCount"], pool["usedMemoryBytes"], pool["instanceCount"]) == (2, 8 * GIBIBYTE, 1)
    assert [service["name"] for service in pool["services"]["nodes"]] == ["iris"]
    errors = await refuse(api, "updateResourcePool", name="gpu-a", cpuCount=1, memoryBytes=GIBIBYTE)
    assert [(error["code"], error["path"]) for error in errors] == [
        ("INSUFFICIENT_CAPACITY", ["cpuCount"]),
        ("INSUFFICIENT_CAPACITY", ["memoryBytes"]),
    ]
    assert "2 processors" in errors[0]["message"]
    (error,) = await refuse(api, "deleteResourcePool", name="gpu-a")
    assert (error["code"], "iris" in error["message"]) == ("IN_USE", True)
    service = await api.service("iris", "resourcePool { name }")
    assert service["resourcePool"] == {"name": "gpu-a"}
    await act(api, "deleteService", "iris")
    await wait_for(lambda: is_gone(api, "iris"))
    assert (await pool_named(api, "gpu-a"))["instanceCount"] == 0
    gone = await api.mutate("deleteResourcePool", "resourcePoolId", name="gpu-a")
    assert gone["errors"] == []


async def test_the_operator_says_what_the_shared_pool_of_every_workspace_holds(
    pool: Any, database_url: str, data_dir: Any
) -> None:
    settings = {"shared_pool_cpu_count": 1.5, "shared_pool_memory_bytes": 8 * GIBIBYTE}
    async with running_server(pool, database_url, data_dir, **settings) as server:
        await server.client_of_new_workspace("later")

        async def bounds() -> bool:
            rows = await pool.fetch("SELECT cpu_count, memory_bytes FROM resource_pool")
            return {tuple(row) for row in rows} == {(1.5, 8 * GIBIBYTE)}

        await wait_for(bounds)
        newest = await server.client_of_new_workspace("newest")
        assert (await pool_named(newest, "shared"))["cpuCount"] == 1.5
    async with running_server(pool, database_url, data_dir):

        async def unbounded() -> bool:
            rows = await pool.fetch("SELECT cpu_count, memory_bytes FROM resource_pool")
            return {tuple(row) for row in rows} == {(None, None)}

        await wait_for(unbounded)
