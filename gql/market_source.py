"""The market as the source of a version."""

from typing import TYPE_CHECKING, Annotated

import strawberry

from gql.mapping import BY_ID
from gql.stored_field import newest

if TYPE_CHECKING:
    from gql.market_subscription import MarketSubscription


@strawberry.type(description="The version came from the market.")
class MarketSource:
    subscription: Annotated["MarketSubscription", strawberry.lazy("gql.market_subscription")] = newest(
        "model_version_id",
        BY_ID,
        view="any_market_subscription",
        description="What it was subscribed to by: its publisher, and its listing where that is still in the market.",
    )
