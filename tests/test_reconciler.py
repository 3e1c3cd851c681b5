"""Which services are looked at: the one that a notification names at once, the others now and then."""

import pytest

from db.connection import Pool
from resolvers import agenda
from tests.api import Api, wait_for
from tests.services import ECHO, act, deploy, import_version, package, target

# As if it ran, so that only a look at it shows that nothing does: it is given an instance.
SETTLE = "UPDATE service SET status = 'RUNNING', desired_state = 'RUNNING' WHERE name = $1"
INSTANCES = """
SELECT count(*)
FROM service_instance
JOIN service ON service.id = service_instance.service_id
WHERE service.name = $1
"""
DEAFEN = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'modelyard listener'"
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
    await pool.execute("NOTIFY modelyard_service, 'iris'")
    await wait_for(lambda: is_looked_at(pool))
