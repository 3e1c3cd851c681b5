"""Which services are looked at: the one that a notification names at once, the others now and then."""

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
from structlog.testing import capture_logs

from db import service
from db.connection import Pool
from resolvers import agenda
from tests.api import Api, wait_for
from tests.services import ECHO, act, deploy, events_of, import_version, key_of, package, pids, running, target

# As if it ran, so that only a look at it shows that nothing does: it is given an instance.
SETTLE = "UPDATE service SET status = 'RUNNING', desired_state = 'RUNNING' WHERE name = $1"
INSTANCES = """
SELECT count(*)
FROM service_instance
JOIN service ON service.id = service_instance.service_id
WHERE service.name = $1
"""
DEAFEN = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'modelyard listener'"
NOTIFY = "SELECT pg_notify('modelyard_service', $1)"
# Only a step that has something to write down needs the service's row to itself.
DIFFER = "UPDATE service SET progress = 0.5 WHERE name = 'iris'"
HOLD = "UPDATE service SET revision = revision + 1 WHERE name = 'iris'"
IS_HELD = """
SELECT EXISTS (
    SELECT FROM pg_stat_activity
    WHERE datname = current_database()
    AND wait_event_type = 'Lock'
    AND query = $1
)
"""
NEVER_SECONDS = 3600.0


@pytest.fixture
async def rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks at all services while the test lasts, but for the first time."""
    monkeypatch.setattr(agenda, "ALL_SECONDS", NEVER_SECONDS)


@pytest.fixture
async def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """All services are looked at every second."""
    monkeypatch.setattr(agenda, "ALL_SECONDS", agenda.UNSETTLED_SECONDS)


async def stop(api: Api, name: str) -> None:
    await act(api, "stopService", name)
    await api.service_in(name, "STOPPED")


async def settled(api: Api) -> None:
    """The service iris, of which nothing is left to hear: another has come and gone since."""
    version = await import_version(api, package(ECHO))
    for name in ("iris", "later"):
        await deploy(api, name, target(version))
        await stop(api, name)
    await api.pool.execute(SETTLE, "iris")


async def is_looked_at(pool: Pool) -> bool:
    """Whether iris is; true as long as it was once."""
    return bool(await pool.fetchval(INSTANCES, "iris"))


async def test_a_change_of_one_service_has_no_other_looked_at(pool: Pool, api: Api) -> None:
    version = await import_version(api, package(ECHO))
    for name in ("changed", "other"):
        await deploy(api, name, target(version))
    looked_at = agenda.Agenda(pool)
    assert looked_at.scope(is_deaf=False) is agenda.Scope.ALL
    assert len(await looked_at.rows(agenda.Scope.ALL, (), (), ())) == 2
    changed = str(await pool.fetchval("SELECT id FROM service WHERE name = 'changed'"))
    found = await looked_at.rows(agenda.Scope.NONE, {changed}, (), ())
    assert [row["name"] for row in found] == ["changed"]
    assert await looked_at.rows(agenda.Scope.NONE, (), (), ()) == []


@pytest.mark.usefixtures("often")
async def test_what_nobody_heard_of_is_found(pool: Pool, api: Api) -> None:
    await settled(api)
    await wait_for(lambda: is_looked_at(pool))


@pytest.mark.usefixtures("rarely")
async def test_all_are_looked_at_after_a_while_without_hearing(pool: Pool, api: Api) -> None:
    await settled(api)
    assert await pool.fetchval(DEAFEN)
    await wait_for(lambda: is_looked_at(pool))


@pytest.mark.usefixtures("rarely")
async def test_a_notification_that_names_no_service_has_all_looked_at(pool: Pool, api: Api) -> None:
    await settled(api)
    with capture_logs() as logs:
        await pool.execute("NOTIFY modelyard_service, 'iris'")
        await wait_for(lambda: is_looked_at(pool))
    assert [line for line in logs if line["log_level"] not in ("debug", "info")] == []


async def running_unheard_of(api: Api) -> dict[str, Any]:
    """The service iris, RUNNING, of which nothing is left to hear; and another, at rest."""
    version = await import_version(api, package(ECHO))
    iris = await running(api, "iris", target(version))
    await deploy(api, "later", target(version))
    await stop(api, "later")
    return iris


async def has_died(api: Api, iris: Mapping[str, Any]) -> bool:
    """Whether it was seen to have lost an instance."""
    return "SERVICE_INSTANCE_DIED" in await events_of(api, iris)


@pytest.mark.usefixtures("rarely")
async def test_a_service_of_which_an_instance_dies_is_looked_at_at_once(api: Api, data_dir: Path) -> None:
    iris = await running_unheard_of(api)
    (pid,) = pids(data_dir)
    os.kill(pid, signal.SIGKILL)
    await wait_for(lambda: has_died(api, iris), within_seconds=10)
    await api.service_in("iris", "RUNNING")


@pytest.mark.usefixtures("rarely")
async def test_a_service_that_is_named_during_its_step_is_looked_at_again_after_it(
    pool: Pool, api: Api, data_dir: Path
) -> None:
    iris = await running_unheard_of(api)
    (pid,) = pids(data_dir)
    await pool.execute(SETTLE, "later")
    later = await pool.fetchval("SELECT id FROM service WHERE name = 'later'")

    async def is_gone() -> bool:
        return not psutil.pid_exists(pid)

    await pool.execute(DIFFER)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(HOLD)
        await pool.execute(NOTIFY, str(key_of(iris)))
        await wait_for(lambda: pool.fetchval(IS_HELD, service.LOCK))
        # The step has seen the instance, and that it is ready.
        os.kill(pid, signal.SIGKILL)
        await wait_for(is_gone)
        await pool.execute(NOTIFY, str(later))
        # The round that heard of the end, or one before, has passed iris over.
        await wait_for(lambda: pool.fetchval(INSTANCES, "later"))
    await wait_for(lambda: has_died(api, iris), within_seconds=10)
    await api.service_in("iris", "RUNNING")
