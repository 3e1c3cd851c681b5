"""What happened, numbered per workspace without gaps in the order of commits."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from db.connection import Connection

# The update locks the workspace's counter until the transaction ends, so this statement comes last in it:
# an event that commits late would otherwise be passed over by a reader. Its time is read behind that lock, not
# when the transaction began, so that times follow the numbers.
INSERT = """
WITH counter AS (
    UPDATE event_counter
    SET last_number = last_number + cardinality($2::text[])
    WHERE workspace_id = $1
    RETURNING last_number - cardinality($2::text[]) AS last_number
)
INSERT INTO event (workspace_id, number, kind, subject_id, actor, data, occurred_at)
SELECT $1, counter.last_number + given.position, given.kind, given.subject_id, given.actor, given.data,
    clock_timestamp()
FROM counter,
    unnest($2::text[], $3::uuid[], $4::text[], $5::jsonb[])
        WITH ORDINALITY AS given (kind, subject_id, actor, data, position)
"""


@dataclass(frozen=True, slots=True)
class Event:
    kind: str
    subject_id: UUID
    actor: str
    data: dict[str, object] = field(default_factory=dict)


async def insert(connection: Connection, workspace_id: UUID, events: Sequence[Event]) -> None:
    """Write the events of a transaction; the last statement before its commit."""
    await connection.execute(
        INSERT,
        workspace_id,
        [event.kind for event in events],
        [event.subject_id for event in events],
        [event.actor for event in events],
        [event.data for event in events],
    )
