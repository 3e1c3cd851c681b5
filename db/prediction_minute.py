"""What the gateways counted: predictions minute by minute, and how many are under way."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from uuid import UUID

from asyncpg import Record

from db.connection import Queryable

# Buckets of latency, the last one open at its end: resolvers/latency.py has their bounds.
BUCKETS = 16
# In order, so that two gateways never wait for each other's rows.
ADD = """
INSERT INTO prediction_minute AS stored (
    workspace_id, service_id, minute, model_version_id, call_count, failure_count, refusal_count, latency_seconds_sum,
    latency_counts, most_in_flight
)
SELECT given.workspace_id, given.service_id, given.minute, given.model_version_id, given.call_count,
    given.failure_count, given.refusal_count, given.latency_seconds_sum,
    ARRAY(SELECT value::bigint FROM json_array_elements_text(given.latency_counts) AS value), given.most_in_flight
FROM json_to_recordset($1::json) AS given (
    workspace_id uuid, service_id uuid, minute timestamptz, model_version_id uuid, call_count bigint,
    failure_count bigint, refusal_count bigint, latency_seconds_sum double precision, latency_counts json,
    most_in_flight integer
)
ORDER BY given.workspace_id, given.service_id, given.minute, given.model_version_id
ON CONFLICT (workspace_id, service_id, minute, model_version_id) DO UPDATE
SET call_count = stored.call_count + excluded.call_count,
    failure_count = stored.failure_count + excluded.failure_count,
    refusal_count = stored.refusal_count + excluded.refusal_count,
    latency_seconds_sum = stored.latency_seconds_sum + excluded.latency_seconds_sum,
    latency_counts = ARRAY(
        SELECT coalesce(pair.known, 0) + coalesce(pair.added, 0)
        FROM unnest(stored.latency_counts, excluded.latency_counts) WITH ORDINALITY AS pair (known, added, position)
        ORDER BY pair.position
    ),
    most_in_flight = greatest(stored.most_in_flight, excluded.most_in_flight)
"""
SHOW_IN_FLIGHT = """
INSERT INTO prediction_in_flight (workspace_id, service_id, model_version_id, gateway_id, in_flight)
SELECT given.workspace_id, given.service_id, given.model_version_id, $1, given.in_flight
FROM json_to_recordset($2::json) AS given (
    workspace_id uuid, service_id uuid, model_version_id uuid, in_flight integer
)
ON CONFLICT (workspace_id, service_id, model_version_id, gateway_id) DO UPDATE
SET in_flight = excluded.in_flight, seen_at = now()
"""
HIDE_IN_FLIGHT = """
DELETE FROM prediction_in_flight
WHERE gateway_id = $1
AND NOT EXISTS (
    SELECT 1
    FROM json_to_recordset($2::json) AS given (service_id uuid, model_version_id uuid)
    WHERE given.service_id = prediction_in_flight.service_id
    AND given.model_version_id = prediction_in_flight.model_version_id
)
"""
_LATENCY_COUNTS = ", ".join(f"sum(latency_counts[{number}])::bigint" for number in range(1, BUCKETS + 1))
SUM = f"""
SELECT model_version_id, date_bin($4, minute, $3) AS started_at, sum(call_count)::bigint AS call_count,
    sum(failure_count)::bigint AS failure_count, sum(refusal_count)::bigint AS refusal_count,
    sum(latency_seconds_sum) AS latency_seconds_sum, ARRAY[{_LATENCY_COUNTS}] AS latency_counts,
    max(most_in_flight) AS most_in_flight
FROM prediction_minute
WHERE workspace_id = $1
AND service_id = $2
AND minute >= $3
GROUP BY model_version_id, started_at
ORDER BY started_at, model_version_id
"""
IN_FLIGHT = """
SELECT model_version_id, sum(in_flight)::integer AS in_flight
FROM prediction_in_flight
WHERE workspace_id = $1
AND service_id = $2
AND seen_at > now() - make_interval(secs => $3)
GROUP BY model_version_id
"""
DELETE_OLD = """
DELETE FROM prediction_minute
WHERE ctid = ANY (ARRAY (
    SELECT ctid
    FROM prediction_minute
    WHERE minute < now() - make_interval(days => $1)
    LIMIT $2
))
"""
DELETE_SILENT = """
DELETE FROM prediction_in_flight
WHERE seen_at < now() - interval '1 day'
"""
LONGEST_SILENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Minute:
    """What one gateway counted of a service's version in a minute; of no version what was refused before one was drawn.

    `latency_counts` has BUCKETS numbers.
    """

    workspace_id: UUID
    service_id: UUID
    minute: datetime
    model_version_id: UUID | None
    call_count: int
    failure_count: int
    refusal_count: int
    latency_seconds_sum: float
    latency_counts: Sequence[int]
    most_in_flight: int


@dataclass(frozen=True, slots=True)
class InFlight:
    """How many predictions a gateway has under way with a version."""

    workspace_id: UUID
    service_id: UUID
    model_version_id: UUID
    in_flight: int


async def add(connection: Queryable, minutes: Sequence[Minute]) -> None:
    """Add what was counted to what is stored of these minutes."""
    await connection.execute(ADD, [_given(minute) for minute in minutes])


async def show_in_flight(connection: Queryable, gateway_id: UUID, shown: Sequence[InFlight]) -> None:
    """Say what a gateway has under way: this, and nothing else."""
    given = [_given(one) for one in shown]
    await connection.execute(HIDE_IN_FLIGHT, gateway_id, given)
    await connection.execute(SHOW_IN_FLIGHT, gateway_id, given)


async def sums(
    connection: Queryable, workspace_id: UUID, service_id: UUID, *, since: datetime, step: timedelta
) -> list[Record]:
    """What was counted of a service since a time, by version and by the step that begins at `started_at`."""
    return await connection.fetch(SUM, workspace_id, service_id, since, step)


async def in_flight(connection: Queryable, workspace_id: UUID, service_id: UUID) -> dict[UUID, int]:
    """How many predictions are under way now, by version; gateways that have gone silent are left out."""
    rows = await connection.fetch(IN_FLIGHT, workspace_id, service_id, LONGEST_SILENCE_SECONDS)
    return {row["model_version_id"]: row["in_flight"] for row in rows}


async def delete_old(connection: Queryable, *, days: int, limit: int) -> int:
    """Forget what was counted so many days ago in any workspace, so many rows at the most: how many."""
    done = await connection.execute(DELETE_OLD, days, limit)
    return int(done.rpartition(" ")[2])


async def delete_silent(connection: Queryable) -> None:
    """Forget what gateways that are gone had under way."""
    await connection.execute(DELETE_SILENT)


def _given(row: Minute | InFlight) -> dict[str, object]:
    # The ids that asyncpg makes are of a class of its own, which is not written as JSON.
    return {name: str(value) if isinstance(value, UUID) else value for name, value in asdict(row).items()}
