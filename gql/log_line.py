"""Lines that services' instances print."""

from datetime import datetime

import strawberry

from gql.identifier import Prefix
from gql.mapping import stored
from gql.scalar import BigInt
from gql.stored_field import identifier


@stored("log_line")
@strawberry.type(description="A line that an instance printed.")
class LogLine:
    number: BigInt = strawberry.field(description="Counts up in each service.")
    instance_id: strawberry.ID = identifier(
        Prefix.SERVICE_INSTANCE, column="instance_id", description="The instance that printed it."
    )
    written_at: datetime = strawberry.field(description="When the server read it.")
    text: str = strawberry.field(description="The line.")
