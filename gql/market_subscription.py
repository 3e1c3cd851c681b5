"""Subscriptions to what others publish in the market."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from gql.context import Info
from gql.identifier import Prefix, decode
from gql.mapping import stored
from gql.market_listing import MarketListing
from gql.model import Model
from gql.model_version import ModelVersion
from gql.node import Node
from gql.stored_field import by_key, to_one
from gql.user_error import UserError, outcome
from resolvers import market_subscription


@stored("market_subscription", prefix=Prefix.MARKET_SUBSCRIPTION)
@strawberry.type(
    description="A version that this workspace has from the market. It is read and deployed like one's own, and is its "
    "publisher's to change."
)
class MarketSubscription(Node):
    publisher: str = strawberry.field(description="The name of the workspace that published it.")
    published_model_name: str = strawberry.field(description="The model's name in its publisher's workspace.")
    version: str = strawberry.field(description="The version's number, here and there.")
    subscribed_at: datetime = strawberry.field(description="When it was subscribed to.")
    subscribed_by: str = strawberry.field(description="The token that subscribed.")
    ended_at: datetime | None = strawberry.field(description="When the subscription was ended.")
    listing: MarketListing | None = to_one(
        "market_listing_id", description="What the market shows of it; null once its publisher has withdrawn it."
    )
    model: Model | None = to_one("model_id", description="This workspace's model; null once the last of it was ended.")
    model_version: ModelVersion | None = to_one(
        "model_version_id", description="This workspace's version; null once the subscription was ended."
    )


@strawberry.input(description="A listing to subscribe to.")
class SubscribeToListingInput:
    listing_id: strawberry.ID = strawberry.field(description="The listing.")
    model_name: str | None = strawberry.field(
        default=None,
        description="What to call the model here; the name that it was published under if left out. Versions of one "
        "published model can share a name, and none with models of other origin.",
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same key with the same input gets the first answer again."
    )

    def read(self) -> market_subscription.SubscribeRequest:
        return market_subscription.SubscribeRequest(decode(Prefix.MARKET_LISTING, self.listing_id), self.model_name)


@strawberry.type(description="What subscribeToListing did.")
class SubscribeToListingPayload:
    market_subscription: MarketSubscription | None = by_key(
        "subscription_id", view="any_market_subscription", description="The subscription, or null."
    )
    model_version: ModelVersion | None = by_key(
        "version_id", description="The version that this workspace has now, or null."
    )
    errors: list[UserError] = strawberry.field(description="Everything that was wrong; empty where it was done.")
    subscription_id: strawberry.Private[UUID | None]
    version_id: strawberry.Private[UUID | None]


async def subscribe_to_listing(
    info: Info, input: Annotated[SubscribeToListingInput, strawberry.argument(description="The listing.")]
) -> SubscribeToListingPayload:
    context = info.context
    subscribed, errors = await outcome(
        market_subscription.subscribe(
            context.installation, context.caller, input.read(), idempotency_key=input.idempotency_key
        )
    )
    return SubscribeToListingPayload(
        subscription_id=subscribed.subscription_id if subscribed else None,
        version_id=subscribed.version_id if subscribed else None,
        errors=errors,
    )


@strawberry.input(description="A subscription to be ended.")
class UnsubscribeFromListingInput:
    subscription_id: strawberry.ID = strawberry.field(
        description="The subscription, and not its listing: that is gone once its publisher withdraws it."
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same key with the same input gets the first answer again."
    )


@strawberry.type(description="What unsubscribeFromListing did.")
class UnsubscribeFromListingPayload:
    market_subscription: MarketSubscription | None = by_key(
        "subscription_id", view="any_market_subscription", description="The ended subscription, or null."
    )
    errors: list[UserError] = strawberry.field(description="Everything that was wrong; empty where it was done.")
    subscription_id: strawberry.Private[UUID | None]


async def unsubscribe_from_listing(
    info: Info, input: Annotated[UnsubscribeFromListingInput, strawberry.argument(description="The subscription.")]
) -> UnsubscribeFromListingPayload:
    context, key = info.context, decode(Prefix.MARKET_SUBSCRIPTION, input.subscription_id)
    subscription_id, errors = await outcome(
        market_subscription.unsubscribe(
            context.installation, context.caller, key, idempotency_key=input.idempotency_key
        )
    )
    return UnsubscribeFromListingPayload(subscription_id=subscription_id, errors=errors)
