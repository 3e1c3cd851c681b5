"""Aliases of models: names that point at a version, when each pointed where, and setting them."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import strawberry

from db.reading import Comparison, KeyPart, Order
from gql.context import Info
from gql.filter import Argument, Restriction
from gql.mapping import stored
from gql.model_version import ModelVersion
from gql.stored_field import by_key, to_one
from gql.user_error import UserError, outcome
from resolvers import model_alias

if TYPE_CHECKING:
    from gql.model import Model

# Behind every moment at which an alias was set, and before the end of one that holds: that is at infinity.
NOW = datetime(9999, 12, 31, tzinfo=UTC)
# An index on the name and this gives the one period of a moment without looking at others.
LAST_SET = Order("set", (KeyPart("set_at", "timestamptz"),), is_descending=True)
ALIAS_NAME = Argument(str, (Restriction("name"),), "The alias.")
AS_OF = Argument(
    datetime | None,
    (
        Restriction("set_at", "timestamptz", Comparison.AT_MOST),
        Restriction("end_key", "timestamptz", Comparison.ABOVE),
    ),
    "As it was at this moment; as it is now if left out.",
    if_left_out=NOW,
)


@stored("model_alias")
@strawberry.type(description="A name that points at a version of a model, such as production.")
class ModelAlias:
    name: str = strawberry.field(description="The name.")
    version: str = strawberry.field(description="The version's number, whether there is still that version or not.")
    model_version: ModelVersion | None = to_one(
        "model_version_id",
        view="any_model_version",
        description="The version; null where that was deleted for good since.",
    )
    set_at: datetime = strawberry.field(description="Since when it points there.")
    set_by: str = strawberry.field(description="The token that set it.")


@stored("any_model_alias")
@strawberry.type(description="A time during which an alias pointed at a version.")
class ModelAliasChange:
    name: str = strawberry.field(description="The alias.")
    version: str = strawberry.field(description="The version's number, whether there is still that version or not.")
    model_version: ModelVersion | None = to_one(
        "model_version_id",
        view="any_model_version",
        description="The version; null where that was deleted for good since.",
    )
    set_at: datetime = strawberry.field(description="Since when it pointed there.")
    set_by: str = strawberry.field(description="The token that set it.")
    ended_at: datetime | None = strawberry.field(description="Until when; null while it does.")
    ended_by: str | None = strawberry.field(description="The token that set it anew or removed it.")


@strawberry.input(description="An alias to set.")
class SetModelAliasInput:
    model_name: str = strawberry.field(description="The model.")
    alias: str = strawberry.field(description="1 to 64 characters: first a letter A to Z, then also digits, - and _.")
    version: str = strawberry.field(description="The number of a NORMAL version, such as 0.0.1.")
    expected_version: strawberry.Maybe[str | None] = strawberry.field(
        description="Where you read that it points, or null for nowhere; if that is not so, nothing is changed."
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same key with the same input gets the first answer again."
    )

    def read(self) -> model_alias.SetRequest:
        return model_alias.SetRequest(self.model_name, self.alias, self.version, _expected(self.expected_version))


@strawberry.input(description="An alias to remove.")
class RemoveModelAliasInput:
    model_name: str = strawberry.field(description="The model.")
    alias: str = strawberry.field(description="The alias.")
    expected_version: strawberry.Maybe[str] = strawberry.field(
        description="Where you read that it points; if that is not so, nothing is changed."
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same key with the same input gets the first answer again."
    )

    def read(self) -> model_alias.RemoveRequest:
        return model_alias.RemoveRequest(self.model_name, self.alias, _expected(self.expected_version))


def _expected(given: strawberry.Some[str] | strawberry.Some[str | None] | None) -> model_alias.Expected | None:
    return model_alias.Expected(given.value) if given is not None else None


@strawberry.type(description="What setModelAlias did.")
class SetModelAliasPayload:
    alias: ModelAlias | None = by_key("alias_id", view="any_model_alias", description="The alias, or null.")
    model: Annotated["Model", strawberry.lazy("gql.model")] | None = by_key(
        "model_id", description="The model, with its aliases as they are now, or null."
    )
    errors: list[UserError] = strawberry.field(description="Everything that was wrong; empty where it was done.")
    alias_id: strawberry.Private[UUID | None]
    model_id: strawberry.Private[UUID | None]


@strawberry.type(description="What removeModelAlias did.")
class RemoveModelAliasPayload:
    change: ModelAliasChange | None = by_key("alias_id", description="Where the alias pointed until now, or null.")
    model: Annotated["Model", strawberry.lazy("gql.model")] | None = by_key(
        "model_id", description="The model, with its aliases as they are now, or null."
    )
    errors: list[UserError] = strawberry.field(description="Everything that was wrong; empty where it was done.")
    alias_id: strawberry.Private[UUID | None]
    model_id: strawberry.Private[UUID | None]


async def set_model_alias(
    info: Info, input: Annotated[SetModelAliasInput, strawberry.argument(description="The alias.")]
) -> SetModelAliasPayload:
    context = info.context
    period, errors = await outcome(
        model_alias.set_alias(context.installation, context.caller, input.read(), idempotency_key=input.idempotency_key)
    )
    return SetModelAliasPayload(
        alias_id=period.id if period else None, model_id=period.model_id if period else None, errors=errors
    )


async def remove_model_alias(
    info: Info, input: Annotated[RemoveModelAliasInput, strawberry.argument(description="Which alias.")]
) -> RemoveModelAliasPayload:
    context = info.context
    period, errors = await outcome(
        model_alias.remove_alias(
            context.installation, context.caller, input.read(), idempotency_key=input.idempotency_key
        )
    )
    return RemoveModelAliasPayload(
        alias_id=period.id if period else None, model_id=period.model_id if period else None, errors=errors
    )
