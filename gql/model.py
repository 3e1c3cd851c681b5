"""Models: all versions under one name."""

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import strawberry

from db.reading import Comparison
from gql.connection import Connection
from gql.described_enum import described_enum
from gql.filter import (
    OrderDirection,
    Restriction,
    created_after,
    created_before,
    having,
    name_restriction,
    order_choice,
    order_direction,
    part_of_text,
    restriction,
)
from gql.identifier import Prefix
from gql.mapping import BY_ID, BY_NAME, BY_VERSION_NUMBER, NEWEST_NUMBER, OLDEST_ID, stored
from gql.model_alias import ALIAS_NAME, AS_OF, LAST_SET, ModelAlias, ModelAliasChange
from gql.model_version import ModelVersion
from gql.model_version_filter import ModelVersionFilter, ModelVersionOrder
from gql.node import Node
from gql.stored_field import newest, rows, to_many

if TYPE_CHECKING:
    from gql.market_subscription import MarketSubscription


@stored("model", prefix=Prefix.MODEL)
@strawberry.federation.type(description="A model: all versions that were imported under one name.", keys=["id", "name"])
class Model(Node):
    name: str = strawberry.field(description="Its name, unique in the workspace.")
    revision: int = strawberry.field(description="Counts its changes.")
    next_version: str | None = strawberry.field(
        description="The number that the next import gets if it names none; null after 99.99.99."
    )
    version_count: int = strawberry.field(description="How many versions were ever imported, failed ones too.")
    created_at: datetime = strawberry.field(description="When its first version was imported.")
    created_by: str | None = strawberry.field(description="The token that imported the first version.")
    deleted_at: datetime | None = strawberry.field(description="When it was deleted; null while it is not.")
    deleted_by: str | None = strawberry.field(description="The token that deleted it.")
    latest_version: ModelVersion | None = newest(
        "model_id", BY_VERSION_NUMBER, view="normal_model_version", description="The highest version that is NORMAL."
    )
    versions: Connection[ModelVersion] = to_many(
        "model_id",
        BY_VERSION_NUMBER,
        filter=ModelVersionFilter,
        order_by=ModelVersionOrder,
        description="Its versions, the highest first.",
    )
    market_subscription: Annotated["MarketSubscription", strawberry.lazy("gql.market_subscription")] | None = newest(
        "model_id",
        BY_ID,
        description="The newest subscription that brought it a version; null where it is not from the market.",
    )
    aliases: list[ModelAlias] = rows("model_id", BY_NAME, description="Its aliases, by name.")
    alias: ModelAlias | None = newest(
        "model_id",
        LAST_SET,
        view="any_model_alias",
        arguments={"name": ALIAS_NAME, "as_of": AS_OF},
        description="One of its aliases, now or at an earlier moment; null where it pointed nowhere.",
    )
    alias_history: Connection[ModelAliasChange] = to_many(
        "model_id", NEWEST_NUMBER, description="Where its aliases pointed from when to when, the newest first."
    )


@strawberry.input(one_of=True, description="Which model: by its id, or by its name.")
class ModelBy:
    id: strawberry.Maybe[strawberry.ID] = strawberry.field(description="The model's id.")
    name: strawberry.Maybe[str] = strawberry.field(description="The model's name.")


@strawberry.input(description="Which models: those that all of this is true of.")
class ModelFilter:
    name: str | None = restriction(Restriction("name"), description="Only the one of this name.")
    name_starts_with: str | None = name_restriction()
    name_contains: str | None = restriction(
        Restriction("name", comparison=Comparison.LIKE, read=part_of_text, orders=()),
        description="Only those whose names have this anywhere, in capitals or not.",
    )
    created_by: str | None = restriction(
        Restriction("created_by", orders=(BY_ID.name,)),
        description="Only those whose first version this token imported.",
    )
    created_after: datetime | None = created_after()
    created_before: datetime | None = created_before()
    versions: ModelVersionFilter | None = having(
        "model_version", "model_id", description="Only those with a version that all of this is true of."
    )


class ModelOrderField(StrEnum):
    CREATED_AT = "CREATED_AT"
    NAME = "NAME"


described_enum(
    ModelOrderField,
    description="What models can be ordered by.",
    values={"CREATED_AT": "When its first version was imported.", "NAME": "Its name, by code points."},
)


@strawberry.input(description="In which order.")
class ModelOrder:
    field: ModelOrderField = order_choice({ModelOrderField.CREATED_AT: OLDEST_ID, ModelOrderField.NAME: BY_NAME})
    direction: OrderDirection = order_direction()
