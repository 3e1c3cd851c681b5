"""Auto-stop: a service whose time has come is stopped once, whoever looks and however long nobody did."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from db.connection import Pool
from resolvers.auto_stop import stop_due
from tests.api import Api, running_server
from tests.services import ECHO, act, deploy, events_of, import_version, package, target

AUTO_STOP = "... on RealTimeService { autoStop { afterSeconds stopsAt } }"
DUE = "UPDATE service SET auto_stop_at = now() - interval '1 second' WHERE name = $1"


async def stopping(api: Api, name: str) -> Any:
    return (await api.service(name, AUTO_STOP))["autoStop"]


async def deployed(api: Api, name: str = "iris") -> dict[str, Any]:
    version = await import_version(api, package(ECHO))
    service = await deploy(api, name, target(version), autoStopAfterSeconds=3600)
    await api.service_in(name, "RUNNING")
    return service


async def test_a_service_is_stopped_when_its_time_comes_and_the_next_start_sets_it_anew(api: Api) -> None:
    service = await deployed(api)
    shown = await stopping(api, "iris")
    assert shown["afterSeconds"] == 3600
    assert timedelta(minutes=50) < datetime.fromisoformat(shown["stopsAt"]) - datetime.now(UTC) <= timedelta(hours=1)
    await api.pool.execute(DUE, "iris")
    found = await api.service_in("iris", "STOPPED")
    assert (found["desiredState"], found["revision"]) == ("STOPPED", 2)
    assert await stopping(api, "iris") == {"afterSeconds": 3600, "stopsAt": None}
    assert (await events_of(api, service)).count("SERVICE_AUTO_STOPPED") == 1
    await act(api, "startService", "iris")
    again = await stopping(api, "iris")
    assert datetime.fromisoformat(again["stopsAt"]) > datetime.fromisoformat(shown["stopsAt"])
    assert (await api.service_in("iris", "RUNNING"))["desiredState"] == "RUNNING"


async def test_many_who_look_at_once_stop_it_once(api: Api, pool: Pool) -> None:
    service = await deployed(api)
    await api.pool.execute(DUE, "iris")
    await asyncio.gather(*[stop_due(pool) for _ in range(5)])
    await api.service_in("iris", "STOPPED")
    assert (await events_of(api, service)).count("SERVICE_AUTO_STOPPED") == 1
    kinds = await pool.fetchval("SELECT count(*) FROM operation WHERE kind = 'STOP_SERVICE'")
    assert kinds == 1


async def test_a_service_whose_time_came_while_the_server_was_away_is_stopped_when_it_is_back(
    pool: Pool, database_url: str, data_dir: Path
) -> None:
    async with running_server(pool, database_url, data_dir) as server:
        service = await deployed(server.client())
    await pool.execute(DUE, "iris")
    async with running_server(pool, database_url, data_dir) as server:
        api = server.client()
        await api.service_in("iris", "STOPPED")
        assert (await events_of(api, service)).count("SERVICE_AUTO_STOPPED") == 1


async def test_a_service_that_was_stopped_by_hand_is_not_stopped_again(api: Api) -> None:
    service = await deployed(api)
    await act(api, "stopService", "iris")
    await api.service_in("iris", "STOPPED")
    assert (await stopping(api, "iris"))["stopsAt"] is None
    assert "SERVICE_AUTO_STOPPED" not in await events_of(api, service)
