"""Placement: what a pool holds, who waits for it and why, and that nothing is given away twice."""

import asyncio
from typing import Any

import pytest

from db.connection import Pool
from resolvers.placement import place
from tests.api import Api, running_server, wait_for
from tests.pools import GIBIBYTE, create_pool, pool_named
from tests.services import ECHO, act, deploy, import_version, is_gone, package, running_again, target

# As the engine's owner has them before it asks for places.
WAITING = """
INSERT INTO service_instance (workspace_id, service_id, service_target_id, number, state, created_at)
SELECT service.workspace_id, service.id, target.id, 1000 + $2, 'PENDING', now() - make_interval(secs => $3)
FROM service
JOIN service_configuration AS configuration ON configuration.service_id = service.id
JOIN service_target AS target ON target.service_configuration_id = configuration.id
WHERE service.name = $1
RETURNING *
"""
TARGET = "SELECT * FROM service_target WHERE id = $1"


async def stopped_service(api: Api, name: str, version: str, pool: str, **size: Any) -> None:
    """A service whose instances nobody but the test asks places for."""
    custom = {"cpuCount": 1, "memoryBytes": GIBIBYTE, **size}
    await deploy(api, name, target(version, customInferenceSpecification=custom), resourcePool=pool)
    await act(api, "stopService", name)
    await api.service_in(name, "STOPPED")


async def waiting(pool: Pool, service: str, number: int = 1, *, seconds: float = 0) -> Any:
    return await pool.fetchrow(WAITING, service, number, seconds)


async def ask(pool: Pool, instance: Any) -> str | None:
    row = await pool.fetchrow(TARGET, instance["service_target_id"])
    assert row is not None
    return await place(pool, instance, row)


@pytest.fixture
async def version(api: Api) -> str:
    return await import_version(api, package(ECHO))


async def test_a_pool_places_what_fits_and_says_of_the_rest_what_is_missing(api: Api, version: str) -> None:
    await create_pool(api, "gpu-a", cpuCount=4, memoryBytes=64 * GIBIBYTE)
    await stopped_service(api, "iris", version, "gpu-a", cpuCount=1.5)
    instances = [await waiting(api.pool, "iris", number) for number in range(3)]
    assert [await ask(api.pool, instance) for instance in instances[:2]] == [None, None]
    assert await ask(api.pool, instances[2]) == (
        "The pool gpu-a has 1 of 4 processors free; an instance takes 1.5 processors."
    )
    assert await ask(api.pool, instances[0]) is None
    await api.pool.execute("DELETE FROM service_instance WHERE id = $1", instances[0]["id"])
    assert await ask(api.pool, instances[2]) is None
    assert (await pool_named(api, "gpu-a"))["usedCpuCount"] == 3


async def test_memory_is_counted_as_processors_are(api: Api, version: str) -> None:
    await create_pool(api, "gpu-a", cpuCount=4, memoryBytes=2 * GIBIBYTE)
    await stopped_service(api, "iris", version, "gpu-a", cpuCount=0.1, memoryBytes=3 * GIBIBYTE // 2)
    assert await ask(api.pool, await waiting(api.pool, "iris", 1)) is None
    reason = await ask(api.pool, await waiting(api.pool, "iris", 2))
    assert reason == "The pool gpu-a has 0.5 of 2 GiB of memory free; an instance takes 1.5 GiB of memory."


async def test_tenths_add_up_to_the_whole(api: Api, version: str) -> None:
    await create_pool(api, "gpu-a", cpuCount=0.3, memoryBytes=64 * GIBIBYTE)
    await stopped_service(api, "iris", version, "gpu-a", cpuCount=0.1)
    reasons = [await ask(api.pool, await waiting(api.pool, "iris", number)) for number in range(4)]
    assert reasons[:3] == [None, None, None]
    assert reasons[3] is not None


async def test_many_that_ask_at_once_are_not_given_more_than_there_is(api: Api, version: str) -> None:
    await create_pool(api, "gpu-a", cpuCount=5, memoryBytes=64 * GIBIBYTE)
    for name in ("first", "second"):
        await stopped_service(api, name, version, "gpu-a")
    instances = [await waiting(api.pool, name, number) for number in range(6) for name in ("first", "second")]
    reasons = await asyncio.gather(*[ask(api.pool, instance) for instance in instances * 2])
    assert await api.count("service_instance WHERE placed_at IS NOT NULL") == 5
    assert reasons.count(None) == 10


async def test_one_that_waits_is_not_overtaken_by_smaller_ones_for_ten_minutes(api: Api, version: str) -> None:
    await create_pool(api, "gpu-a", cpuCount=4, memoryBytes=64 * GIBIBYTE)
    await stopped_service(api, "large", version, "gpu-a", cpuCount=3)
    await stopped_service(api, "small", version, "gpu-a")
    await api.pool.execute("UPDATE service SET desired_state = 'RUNNING', status = 'STOPPED'")
    first = await waiting(api.pool, "small", 1)
    assert await ask(api.pool, first) is None
    second = await waiting(api.pool, "small", 2)
    assert await ask(api.pool, second) is None
    large = await waiting(api.pool, "large", seconds=300)
    late = await waiting(api.pool, "small", 3)
    assert await ask(api.pool, large) is not None
    assert await ask(api.pool, late) == (
        "The pool gpu-a has 2 of 4 processors free, and keeps 3 processors for instances that have waited longer;"
        " an instance takes 1 processor."
    )
    await api.pool.execute(
        "UPDATE service_instance SET created_at = now() - interval '11 minutes' WHERE id = $1", large["id"]
    )
    assert await ask(api.pool, late) is None


async def test_a_service_waits_as_pending_with_the_reason_and_goes_on_when_there_is_room(
    api: Api, version: str
) -> None:
    await create_pool(api, "gpu-a", cpuCount=2, memoryBytes=64 * GIBIBYTE)
    await deploy(api, "first", target(version), resourcePool="gpu-a")
    await api.service_in("first", "RUNNING")
    await deploy(api, "second", target(version), resourcePool="gpu-a")

    async def told() -> Any:
        found = await api.service("second")
        return found if found["status"] == "PENDING" and found["statusMessage"] else None

    found = await wait_for(told)
    assert "0 of 2 processors free" in found["statusMessage"]
    await act(api, "deleteService", "first")
    await wait_for(lambda: is_gone(api, "first"))
    assert (await running_again(api, "second"))["status"] == "RUNNING"


async def test_the_shared_pool_is_one_for_all_workspaces(pool: Any, database_url: str, data_dir: Any) -> None:
    async with running_server(pool, database_url, data_dir, shared_pool_cpu_count=3) as server:
        one = server.client()
        other = await server.client_of_new_workspace("other")
        for api in (one, other):
            version = await import_version(api, package(ECHO))
            await deploy(api, "iris", target(version))
            if api is one:
                await api.service_in("iris", "RUNNING")

        async def told() -> Any:
            found = await other.service("iris")
            return found if found["status"] == "PENDING" and found["statusMessage"] else None

        found = await wait_for(told)
        assert found["statusMessage"].endswith(
            "The pool shared has 1 of 3 processors free; an instance takes 2 processors."
        )
        assert (await pool_named(other, "shared"))["usedCpuCount"] == 0
        await act(one, "stopService", "iris")
        await other.service_in("iris", "RUNNING")
