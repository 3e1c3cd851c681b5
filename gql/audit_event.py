"""What happened in a workspace."""

from datetime import datetime
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from db.reading import Comparison
from gql.context import Context
from gql.filter import Restriction, restriction
from gql.identifier import parse
from gql.mapping import BY_NUMBER, stored
from gql.scalar import BigInt


@stored("audit_event")
@strawberry.type(
    description="Something that happened in this workspace, numbered in the order in which it became true."
)
class AuditEvent:
    number: BigInt = strawberry.field(description="Counts up from 1 in each workspace, without gaps.")
    kind: str = strawberry.field(description="What happened, such as MODEL_VERSION_IMPORTED; docs/events.md has all.")
    is_abnormal: bool = strawberry.field(description="Whether it tells of something that should not be so.")
    actor: str = strawberry.field(description="The token that asked for it, or the part of the server that did it.")
    data: JSON = strawberry.field(description="Details, by the kind of event.")
    occurred_at: datetime = strawberry.field(description="When it happened.")


def _subject_key(given: str, _context: Context) -> UUID:
    return parse(given)[1]


@strawberry.input(description="Which events.")
class AuditEventFilter:
    kind: list[str] | None = restriction(Restriction("kind"), description="Only those of one of these kinds.")
    subject_id: strawberry.ID | None = restriction(
        Restriction("subject_id", "uuid", read=_subject_key, orders=(BY_NUMBER.name,)),
        description="Only what happened to this: a service, a model version, or anything else by its id.",
    )
    is_abnormal: bool | None = restriction(
        Restriction("is_abnormal", "boolean", orders=(BY_NUMBER.name,)),
        description="Only what should not be so; with `false` only the rest.",
    )
    actor: str | None = restriction(Restriction("actor"), description="Only what this token or part of the server did.")
    occurred_after: datetime | None = restriction(
        Restriction("occurred_at", "timestamptz", Comparison.AT_LEAST, orders=()),
        description="Only from this moment on.",
    )
    occurred_before: datetime | None = restriction(
        Restriction("occurred_at", "timestamptz", Comparison.BELOW, orders=()), description="Only before this moment."
    )
