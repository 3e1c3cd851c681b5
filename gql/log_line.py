"""Lines that services' instances print."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import strawberry

from db.reading import Comparison
from gql.context import Context
from gql.filter import Restriction, part_of_text, restriction
from gql.identifier import Prefix, decode
from gql.mapping import BY_NUMBER, stored
from gql.model_version import ModelVersion
from gql.scalar import BigInt
from gql.stored_field import identifier, to_one

if TYPE_CHECKING:
    from gql.edge_node import EdgeNode


@stored("log_line")
@strawberry.type(description="A line that an instance printed.")
class LogLine:
    number: BigInt = strawberry.field(description="Counts up in each service.")
    instance_id: strawberry.ID = identifier(
        Prefix.SERVICE_INSTANCE, column="instance_id", description="The instance that printed it; it may be gone."
    )
    instance_number: int | None = strawberry.field(description="The instance's number in the service.")
    model_version: ModelVersion | None = to_one("model_version_id", description="The version that the instance ran.")
    edge_node: Annotated["EdgeNode", strawberry.lazy("gql.edge_node")] | None = to_one(
        "edge_node_id", view="any_edge_node", description="The node that the instance ran on, of an edge service."
    )
    written_at: datetime = strawberry.field(description="When the server read it.")
    text: str = strawberry.field(description="The line.")


def _version_key(given: str, _context: Context) -> UUID:
    return decode(Prefix.MODEL_VERSION, given)


def _instance_key(given: str, _context: Context) -> UUID:
    return decode(Prefix.SERVICE_INSTANCE, given)


@strawberry.input(description="Which lines.")
class LogLineFilter:
    model_version_id: strawberry.ID | None = restriction(
        Restriction("model_version_id", "uuid", read=_version_key, orders=(BY_NUMBER.name,)),
        description="Only those of instances that ran this version.",
    )
    instance_id: strawberry.ID | None = restriction(
        Restriction("instance_id", "uuid", read=_instance_key, orders=(BY_NUMBER.name,)),
        description="Only those of this instance, which may be gone.",
    )
    text: str | None = restriction(
        Restriction("text", comparison=Comparison.LIKE, read=part_of_text, orders=()),
        description="Only those that contain this.",
    )
    written_after: datetime | None = restriction(
        Restriction("written_at", "timestamptz", Comparison.AT_LEAST, orders=()),
        description="Only from this moment on.",
    )
    written_before: datetime | None = restriction(
        Restriction("written_at", "timestamptz", Comparison.BELOW, orders=()), description="Only before this moment."
    )
