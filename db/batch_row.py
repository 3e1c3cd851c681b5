"""Answers to rows of CSV inputs that are not finished: where a run goes on after a crash."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from asyncpg import Record

from db.connection import Connection, Queryable

INSERT = """
INSERT INTO batch_row (workspace_id, batch_run_id, input_number, number, line, is_failed)
SELECT $1, $2, $3, given.number, given.line, given.is_failed
FROM unnest($4::bigint[], $5::text[], $6::boolean[]) AS given (number, line, is_failed)
ON CONFLICT (workspace_id, batch_run_id, input_number, number) DO NOTHING
"""
NUMBERS = """
SELECT number
FROM batch_row
WHERE workspace_id = $1
AND batch_run_id = $2
AND input_number = $3
"""
COUNTS = """
SELECT count(*) AS row_count, count(*) FILTER (WHERE is_failed) AS failed_row_count,
    coalesce(max(octet_length(line)), 0) AS longest_bytes
FROM batch_row
WHERE workspace_id = $1
AND batch_run_id = $2
AND input_number = $3
"""
# At most so many, and no more after $6 bytes.
LINES = """
SELECT number, line
FROM (
    SELECT number, line, sum(octet_length(line)) OVER (ORDER BY number) - octet_length(line) AS bytes_before
    FROM (
        SELECT number, line
        FROM batch_row
        WHERE workspace_id = $1
        AND batch_run_id = $2
        AND input_number = $3
        AND number > $4
        ORDER BY number
        LIMIT $5
    ) AS following
) AS page
WHERE bytes_before < $6
ORDER BY number
"""
# Of runs that nobody goes on with.
FORGET_ABANDONED = """
DELETE FROM batch_row
WHERE ctid = ANY (ARRAY(
    SELECT batch_row.ctid
    FROM batch_run
    JOIN batch_row
        ON batch_row.workspace_id = batch_run.workspace_id
        AND batch_row.batch_run_id = batch_run.id
    WHERE batch_run.workspace_id = $1
    AND batch_run.service_id = $2
    AND batch_run.state = 'ABANDONED'
    LIMIT $3
))
"""
DELETE_OF_SERVICE = """
DELETE FROM batch_row
USING batch_run
WHERE batch_row.workspace_id = $1
AND batch_run.workspace_id = $1
AND batch_run.service_id = $2
AND batch_row.batch_run_id = batch_run.id
"""


@dataclass(frozen=True, slots=True)
class NewRow:
    number: int
    line: str
    is_failed: bool


async def insert(
    connection: Queryable, workspace_id: UUID, run_id: UUID, input_number: int, rows: Sequence[NewRow]
) -> None:
    await connection.execute(
        INSERT,
        workspace_id,
        run_id,
        input_number,
        [row.number for row in rows],
        [row.line for row in rows],
        [row.is_failed for row in rows],
    )


async def numbers(connection: Queryable, workspace_id: UUID, run_id: UUID, input_number: int) -> set[int]:
    """Which rows of an input were answered."""
    return {row["number"] for row in await connection.fetch(NUMBERS, workspace_id, run_id, input_number)}


async def counts(connection: Queryable, workspace_id: UUID, run_id: UUID, input_number: int) -> Record:
    row = await connection.fetchrow(COUNTS, workspace_id, run_id, input_number)
    assert row is not None
    return row


async def lines(
    connection: Queryable,
    workspace_id: UUID,
    run_id: UUID,
    input_number: int,
    *,
    after: int,
    limit: int,
    limit_bytes: int,
) -> list[Record]:
    """The next lines: at most so many, and no further one once they have so many bytes."""
    return await connection.fetch(LINES, workspace_id, run_id, input_number, after, limit, limit_bytes)


async def forget_abandoned(connection: Queryable, workspace_id: UUID, service_id: UUID, *, limit: int) -> bool:
    """Drop rows of abandoned runs of a service, at most so many; whether there were any."""
    return await connection.execute(FORGET_ABANDONED, workspace_id, service_id, limit) != "DELETE 0"


async def delete_of_service(connection: Connection, workspace_id: UUID, service_id: UUID) -> None:
    await connection.execute(DELETE_OF_SERVICE, workspace_id, service_id)
