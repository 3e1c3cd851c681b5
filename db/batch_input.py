"""Inputs of batch runs, and how far each is."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from asyncpg import Record

from db.connection import Connection, Queryable

# Listing again after a crash finds the rows that are there already.
INSERT = """
INSERT INTO batch_input (workspace_id, batch_run_id, number, store, key, written, size_bytes, etag)
SELECT $1, $2, given.number, given.store, given.key, given.written, given.size_bytes, given.etag
FROM unnest($3::bigint[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::text[])
    AS given (number, store, key, written, size_bytes, etag)
ON CONFLICT (workspace_id, batch_run_id, number) DO NOTHING
"""
FORGET = """
DELETE FROM batch_input
WHERE workspace_id = $1
AND batch_run_id = $2
"""
FORGET_UP_TO = """
DELETE FROM batch_input
WHERE ctid = ANY (ARRAY(
    SELECT batch_input.ctid
    FROM batch_run
    JOIN batch_input
        ON batch_input.workspace_id = batch_run.workspace_id
        AND batch_input.batch_run_id = batch_run.id
    WHERE batch_run.workspace_id = $1
    AND batch_run.service_id = $2
    AND batch_run.number <= $3
    LIMIT $4
))
"""
PENDING = """
SELECT number, store, key, written, size_bytes, etag
FROM batch_input
WHERE workspace_id = $1
AND batch_run_id = $2
AND state = 'PENDING'
AND number > $3
ORDER BY number
LIMIT $4
"""
# Each is counted by the statement that ends it, and by that alone.
FINISH = """
WITH given AS (
    SELECT *
    FROM unnest($3::bigint[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::bigint[], $9::jsonb[])
        AS given (number, state, result_store, result_key, row_count, failed_row_count, error)
), ended AS (
    UPDATE batch_input
    SET state = given.state, result_store = given.result_store, result_key = given.result_key,
        row_count = given.row_count, failed_row_count = given.failed_row_count, error = given.error,
        finished_at = now()
    FROM given
    WHERE batch_input.workspace_id = $1
    AND batch_input.batch_run_id = $2
    AND batch_input.number = given.number
    AND batch_input.state = 'PENDING'
    RETURNING batch_input.number, batch_input.state
), forgotten AS (
    DELETE FROM batch_row
    USING ended
    WHERE batch_row.workspace_id = $1
    AND batch_row.batch_run_id = $2
    AND batch_row.input_number = ended.number
)
UPDATE batch_run
SET succeeded_count = succeeded_count + (SELECT count(*) FROM ended WHERE state = 'SUCCEEDED'),
    failed_count = failed_count + (SELECT count(*) FROM ended WHERE state = 'FAILED')
WHERE workspace_id = $1
AND id = $2
RETURNING input_count, succeeded_count, failed_count
"""
PAGE = """
SELECT number, store, key, written, state, result_store, result_key, error
FROM batch_input
WHERE workspace_id = $1
AND batch_run_id = $2
AND number > $3
ORDER BY number
LIMIT $4
"""
DELETE_OF_SERVICE = """
DELETE FROM batch_input
USING batch_run
WHERE batch_input.workspace_id = $1
AND batch_run.workspace_id = $1
AND batch_run.service_id = $2
AND batch_input.batch_run_id = batch_run.id
"""


@dataclass(frozen=True, slots=True)
class NewInput:
    """`written` is how a manifest names it; without `etag` nothing is known of the object."""

    number: int
    store: str
    key: str
    written: str | None
    size_bytes: int | None
    etag: str | None


@dataclass(frozen=True, slots=True)
class Ending:
    """What became of an input: a result in storage, or an error."""

    number: int
    state: str
    result_store: str | None = None
    result_key: str | None = None
    row_count: int | None = None
    failed_row_count: int | None = None
    error: dict[str, object] | None = None


async def insert(connection: Queryable, workspace_id: UUID, run_id: UUID, inputs: Sequence[NewInput]) -> None:
    await connection.execute(
        INSERT,
        workspace_id,
        run_id,
        [new.number for new in inputs],
        [new.store for new in inputs],
        [new.key for new in inputs],
        [new.written for new in inputs],
        [new.size_bytes for new in inputs],
        [new.etag for new in inputs],
    )


async def forget(connection: Queryable, workspace_id: UUID, run_id: UUID) -> None:
    """Drop what a listing that did not come to its end has found."""
    await connection.execute(FORGET, workspace_id, run_id)


async def forget_up_to(
    connection: Queryable, workspace_id: UUID, service_id: UUID, run_number: int, *, limit: int
) -> bool:
    """Drop inputs of runs of a service up to a number, at most so many; whether there were any."""
    return await connection.execute(FORGET_UP_TO, workspace_id, service_id, run_number, limit) != "DELETE 0"


async def pending(connection: Queryable, workspace_id: UUID, run_id: UUID, *, after: int, limit: int) -> list[Record]:
    return await connection.fetch(PENDING, workspace_id, run_id, after, limit)


async def finish(connection: Queryable, workspace_id: UUID, run_id: UUID, endings: Sequence[Ending]) -> Record | None:
    """Write down what became of inputs, those that have ended already left out; the run's counts after that."""
    return await connection.fetchrow(
        FINISH,
        workspace_id,
        run_id,
        [ending.number for ending in endings],
        [ending.state for ending in endings],
        [ending.result_store for ending in endings],
        [ending.result_key for ending in endings],
        [ending.row_count for ending in endings],
        [ending.failed_row_count for ending in endings],
        [ending.error for ending in endings],
    )


async def page(connection: Queryable, workspace_id: UUID, run_id: UUID, *, after: int, limit: int) -> list[Record]:
    return await connection.fetch(PAGE, workspace_id, run_id, after, limit)


async def delete_of_service(connection: Connection, workspace_id: UUID, service_id: UUID) -> None:
    await connection.execute(DELETE_OF_SERVICE, workspace_id, service_id)
