"""What happened in a workspace."""

from datetime import datetime

import strawberry
from strawberry.scalars import JSON

from db.reading import Comparison
from gql.filter import Restriction, restriction
from gql.mapping import stored
from gql.scalar import BigInt


@stored("audit_event")
@strawberry.type(
    description="Something that happened in this workspace, numbered in the order in which it became true."
)
class AuditEvent:
    number: BigInt = strawberry.field(description="Counts up from 1 in each workspace, without gaps.")
    kind: str = strawberry.field(description="What happened, such as MODEL_VERSION_IMPORTED.")
    actor: str = strawberry.field(description="The token that asked for it, or the part of the server that did it.")
    data: JSON = strawberry.field(description="Details, by the kind of event.")
    occurred_at: datetime = strawberry.field(description="When it happened.")


@strawberry.input(description="Which events.")
class AuditEventFilter:
    kind: list[str] | None = restriction(Restriction("kind"), description="Only those of one of these kinds.")
    actor: str | None = restriction(Restriction("actor"), description="Only what this token or part of the server did.")
    occurred_after: datetime | None = restriction(
        Restriction("occurred_at", "timestamptz", Comparison.AT_LEAST, orders=()),
        description="Only from this moment on.",
    )
    occurred_before: datetime | None = restriction(
        Restriction("occurred_at", "timestamptz", Comparison.BELOW, orders=()), description="Only before this moment."
    )
