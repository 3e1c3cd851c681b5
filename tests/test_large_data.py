"""The large data that other tests and the benchmarks read: what they take for granted of it."""

import pytest

from db.connection import Pool
from resolvers.workspace import create_workspace
from tests.large_data import Amounts, fill_database, fill_one_model

FEW = Amounts(training_jobs=7, models=20, versions_per_model=3, versions_with_files=10, services=12, events=50)
UNFINISHED = """
SELECT
    (SELECT count(*) FROM operation WHERE state IN ('QUEUED', 'RUNNING'))
    + (SELECT count(*) FROM model_version WHERE status IN ('IMPORTING', 'BUILDING'))
    + (SELECT count(*) FROM service WHERE deleted_at IS NULL AND (status <> 'STOPPED' OR desired_state <> 'STOPPED'))
"""


@pytest.fixture
async def filled(pool: Pool, database_url: str) -> Pool:
    for name in ("here", "there"):
        await create_workspace(pool, name=name)
    await fill_database(database_url, workspace="here", amounts=FEW, other_workspace="there", other_amounts=FEW)
    return pool


async def test_both_workspaces_have_as_much_as_was_asked_for(filled: Pool) -> None:
    expected = {"training_job": 7, "training_job_version": 60, "model": 20, "model_version": 60, "service": 12}
    for table, number in (expected | {"event": 50, "model_file": 40}).items():
        counts = await filled.fetch(f"SELECT count(*) FROM {table} GROUP BY workspace_id")
        assert [row["count"] for row in counts] == [number, number], table


@pytest.mark.parametrize("table", ["model", "model_version", "training_job_version", "service", "operation"])
async def test_ids_sort_by_the_time_they_were_made(filled: Pool, table: str) -> None:
    by_id = await filled.fetch(f"SELECT created_at FROM {table} ORDER BY workspace_id, id")
    by_time = await filled.fetch(f"SELECT created_at FROM {table} ORDER BY workspace_id, created_at")
    assert by_id == by_time


async def test_there_is_nothing_for_a_worker_to_do(filled: Pool) -> None:
    assert await filled.fetchval(UNFINISHED) == 0


async def test_events_are_numbered_as_the_next_one_will_go_on(filled: Pool) -> None:
    rows = await filled.fetch(
        """SELECT event_counter.last_number, max(event.number) AS highest
        FROM event_counter JOIN event USING (workspace_id) GROUP BY workspace_id"""
    )
    assert [(row["last_number"], row["highest"]) for row in rows] == [(50, 50), (50, 50)]


async def test_one_model_has_its_versions_from_the_first_number_on(pool: Pool, database_url: str) -> None:
    await create_workspace(pool, name="here")
    await fill_one_model(database_url, workspace="here", versions=250, training_job_versions=20)
    versions = await pool.fetch("SELECT version FROM model_version ORDER BY version_number")
    assert [versions[0]["version"], versions[-1]["version"], len(versions)] == ["0.0.0", "0.2.49", 250]


async def test_a_model_cannot_have_more_versions_than_there_are_numbers(database_url: str) -> None:
    with pytest.raises(ValueError, match="1,000,000"):
        await fill_one_model(database_url, workspace="here", versions=1_000_001)
