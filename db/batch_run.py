"""Runs of batch services: each one pass over the inputs of a configuration."""

from uuid import UUID

from asyncpg import Record

from db.connection import Connection, Queryable

COLUMNS = """id, workspace_id, service_id, number, service_configuration_id, state, input_count, succeeded_count,
    failed_count, claimed_number, is_reported, error, started_at, finished_at"""
INSERT = f"""
INSERT INTO batch_run (workspace_id, service_id, number, service_configuration_id)
SELECT $1, $2, coalesce(max(number), 0) + 1, $3
FROM batch_run
WHERE workspace_id = $1
AND service_id = $2
RETURNING {COLUMNS}
"""
NEWEST = f"""
SELECT {COLUMNS}
FROM batch_run
WHERE workspace_id = $1
AND service_id = $2
ORDER BY number DESC
LIMIT 1
"""
FIND = f"""
SELECT {COLUMNS}
FROM batch_run
WHERE workspace_id = $1
AND id = $2
"""
LISTED = """
UPDATE batch_run
SET state = 'RUNNING',
    input_count = (SELECT count(*) FROM batch_input WHERE workspace_id = $1 AND batch_run_id = $2)
WHERE workspace_id = $1
AND id = $2
AND state = 'LISTING'
RETURNING input_count
"""
CLAIM = """
UPDATE batch_run
SET claimed_number = greatest(claimed_number, $3)
WHERE workspace_id = $1
AND id = $2
"""
FINISH = """
UPDATE batch_run
SET state = $3, error = $4, finished_at = now()
WHERE workspace_id = $1
AND id = $2
AND state IN ('LISTING', 'RUNNING')
RETURNING true
"""
REPORT = """
UPDATE batch_run
SET is_reported = true
WHERE workspace_id = $1
AND id = $2
"""
# Progress alone: no status changes, and nobody is woken up.
TELL = """
UPDATE service
SET progress = $3
WHERE workspace_id = $1
AND id = $2
AND desired_state = 'RUNNING'
"""
ABANDON = """
UPDATE batch_run
SET state = 'ABANDONED', is_reported = true, finished_at = now()
WHERE workspace_id = $1
AND service_id = $2
AND state IN ('LISTING', 'RUNNING')
"""


async def insert(connection: Connection, workspace_id: UUID, service_id: UUID, configuration_id: UUID) -> Record:
    """The next run of a service that is locked."""
    row = await connection.fetchrow(INSERT, workspace_id, service_id, configuration_id)
    assert row is not None
    return row


async def newest(connection: Queryable, workspace_id: UUID, service_id: UUID) -> Record | None:
    return await connection.fetchrow(NEWEST, workspace_id, service_id)


async def find(connection: Queryable, workspace_id: UUID, run_id: UUID) -> Record | None:
    return await connection.fetchrow(FIND, workspace_id, run_id)


async def note_listed(connection: Connection, workspace_id: UUID, run_id: UUID) -> int:
    """All of its inputs are there: how many."""
    count: int = await connection.fetchval(LISTED, workspace_id, run_id)
    return count


async def claim(connection: Queryable, workspace_id: UUID, run_id: UUID, number: int) -> None:
    """Note that inputs up to a number may have been asked from now on."""
    await connection.execute(CLAIM, workspace_id, run_id, number)


async def finish(
    connection: Connection, workspace_id: UUID, run_id: UUID, state: str, error: dict[str, object] | None
) -> bool:
    """False where it has ended already."""
    return await connection.fetchval(FINISH, workspace_id, run_id, state, error) is not None


async def report(connection: Connection, workspace_id: UUID, run_id: UUID) -> None:
    """Note that the service says by now how it ended."""
    await connection.execute(REPORT, workspace_id, run_id)


async def tell(connection: Queryable, workspace_id: UUID, service_id: UUID, progress: float) -> None:
    """Show how much of a run is done."""
    await connection.execute(TELL, workspace_id, service_id, progress)


async def abandon(connection: Connection, workspace_id: UUID, service_id: UUID) -> None:
    """End what is under way: its service reads or writes something else from now on."""
    await connection.execute(ABANDON, workspace_id, service_id)
