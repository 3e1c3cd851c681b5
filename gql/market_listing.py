"""The market: what workspaces show each other, and putting versions there."""

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import strawberry

from artifacts.ai_engine import AiEngine
from db.reading import Comparison, KeyPart, Order
from gql.api_operation import ApiOperation
from gql.context import Context, Info
from gql.dependency import Dependency
from gql.described_enum import described_enum
from gql.filter import (
    OrderDirection,
    Restriction,
    name_restriction,
    order_choice,
    order_direction,
    restriction,
)
from gql.identifier import Prefix
from gql.mapping import BY_ID, OLDEST_ID, stored
from gql.model_file import ScanReport
from gql.model_metrics import ModelMetrics
from gql.model_version import ModelDocument, ModelVersion, ModelVersionName
from gql.node import Node
from gql.provenance import Provenance
from gql.scalar import BigInt
from gql.stored_field import by_key, computed, embedded, newest, to_one
from gql.user_error import UserError, outcome
from resolvers import market_listing
from resolvers.deployment_type import DeploymentType

if TYPE_CHECKING:
    from gql.market_subscription import MarketSubscription

# Several publishers may have models of one name.
BY_MODEL_NAME = Order("name", (KeyPart("name_key", "text"), KeyPart("id", "uuid")), is_descending=False)


def _is_own(context: Context, workspace_id: UUID) -> bool:
    return workspace_id == context.workspace_id


@stored("market_listing", prefix=Prefix.MARKET_LISTING)
@strawberry.type(
    description="A version that its workspace shows all others, as it was when it was published. Nothing else of it is "
    "shown: neither where it is stored, nor its config, nor what trained it."
)
class MarketListing(Node):
    publisher: str = strawberry.field(description="The name of the workspace that published it.")
    title: str | None = strawberry.field(description="What its publisher calls it here.")
    description: str | None = strawberry.field(description="What it is about.")
    model_name: str = strawberry.field(description="The model's name in its publisher's workspace.")
    version: str = strawberry.field(description="The version's number, such as 0.0.1.")
    ai_engine: AiEngine | None = strawberry.field(description="What it was made with.")
    algorithm: str | None = strawberry.field(description="What it does, as its config says.")
    runtime: str | None = strawberry.field(description="The runtime that it gets.")
    labels: list[str] = strawberry.field(description="Its labels.")
    documents: list[ModelDocument] = embedded("documents", description="Documents that explain it.")
    deployment_types: list[DeploymentType] = strawberry.field(description="What it may be deployed as.")
    apis: list[ApiOperation] = embedded("apis", description="How it is asked: its input and output parameters.")
    dependencies: list[Dependency] = embedded(
        "dependencies", description="The libraries that it needs, in the order of installation."
    )
    metrics: ModelMetrics | None = embedded("metrics", description="How good the model was in its evaluation.")
    size_bytes: BigInt | None = strawberry.field(description="The size of the whole package.")
    digest: str | None = strawberry.field(
        description="SHA-256 over the files' SHA-256 in the order of their paths; a subscriber's version has the same."
    )
    scan: ScanReport | None = embedded("scan", description="What the reading of its pickles found.")
    provenance: Provenance | None = embedded(
        "provenance", description="Who signed its package; null where it holds no signature."
    )
    published_at: datetime = strawberry.field(description="When it was first published.")
    is_own: bool = computed(_is_own, description="Whether this workspace published it.")
    subscription: Annotated["MarketSubscription", strawberry.lazy("gql.market_subscription")] | None = newest(
        "market_listing_id", BY_ID, description="This workspace's subscription to it; null where there is none."
    )
    model_version: ModelVersion | None = to_one(
        "model_version_id", description="The version itself, for its publisher; null for everybody else."
    )


def _own(_given: object, context: Context) -> UUID:
    return context.workspace_id


@strawberry.input(description="Which listings.")
class MarketListingFilter:
    name_starts_with: str | None = name_restriction()
    ai_engine: list[AiEngine] | None = restriction(
        Restriction("ai_engine"), description="Only those made with one of these."
    )
    label: str | None = restriction(
        Restriction("labels", comparison=Comparison.CONTAINS, orders=()), description="Only those with this label."
    )
    publisher: str | None = restriction(Restriction("publisher"), description="Only those that this workspace shows.")
    is_own: bool | None = restriction(
        Restriction("workspace_id", "uuid", read=_own, when_false=Comparison.DISTINCT),
        description="Only this workspace's own, or only those of others.",
    )


class MarketListingOrderField(StrEnum):
    PUBLISHED_AT = "PUBLISHED_AT"
    NAME = "NAME"


described_enum(
    MarketListingOrderField,
    description="What listings can be ordered by.",
    values={"PUBLISHED_AT": "When it was first published.", "NAME": "The model's name, by code points."},
)


@strawberry.input(description="In which order.")
class MarketListingOrder:
    field: MarketListingOrderField = order_choice(
        {MarketListingOrderField.PUBLISHED_AT: OLDEST_ID, MarketListingOrderField.NAME: BY_MODEL_NAME}
    )
    direction: OrderDirection = order_direction()


@strawberry.input(description="A version to be shown to all workspaces of this installation.")
class PublishModelVersionInput:
    model_version: ModelVersionName = strawberry.field(
        description="The version. It must be NORMAL, and this workspace's own."
    )
    title: str | None = strawberry.field(default=None, description="What to call it, up to 100 characters.")
    description: str | None = strawberry.field(
        default=None, description="What it is about; the version's own description if left out."
    )
    expected_revision: int | None = strawberry.field(
        default=None, description="The version's revision that you read; with another one nothing is changed."
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same key with the same input gets the first answer again."
    )

    def read(self) -> market_listing.PublishRequest:
        return market_listing.PublishRequest(
            self.model_version.model_name,
            self.model_version.version,
            self.title,
            self.description,
            self.expected_revision,
        )


@strawberry.type(description="What publishModelVersion did.")
class PublishModelVersionPayload:
    market_listing: MarketListing | None = by_key("listing_id", description="What others see now, or null.")
    model_version: ModelVersion | None = by_key("version_id", description="The published version, or null.")
    errors: list[UserError] = strawberry.field(description="Everything that was wrong; empty where it was done.")
    listing_id: strawberry.Private[UUID | None]
    version_id: strawberry.Private[UUID | None]


async def publish_model_version(
    info: Info, input: Annotated[PublishModelVersionInput, strawberry.argument(description="The version.")]
) -> PublishModelVersionPayload:
    context = info.context
    published, errors = await outcome(
        market_listing.publish(
            context.installation, context.caller, input.read(), idempotency_key=input.idempotency_key
        )
    )
    return PublishModelVersionPayload(
        listing_id=published.listing_id if published else None,
        version_id=published.version_id if published else None,
        errors=errors,
    )


@strawberry.input(description="A version to be taken out of the market.")
class UnpublishModelVersionInput:
    model_version: ModelVersionName = strawberry.field(description="The version.")
    expected_revision: int | None = strawberry.field(
        default=None, description="The version's revision that you read; with another one nothing is changed."
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same key with the same input gets the first answer again."
    )

    def read(self) -> market_listing.UnpublishRequest:
        return market_listing.UnpublishRequest(
            self.model_version.model_name, self.model_version.version, self.expected_revision
        )


@strawberry.type(description="What unpublishModelVersion did.")
class UnpublishModelVersionPayload:
    model_version: ModelVersion | None = by_key(
        "version_id", description="The version, which nobody else sees any more, or null."
    )
    errors: list[UserError] = strawberry.field(description="Everything that was wrong; empty where it was done.")
    version_id: strawberry.Private[UUID | None]


async def unpublish_model_version(
    info: Info, input: Annotated[UnpublishModelVersionInput, strawberry.argument(description="The version.")]
) -> UnpublishModelVersionPayload:
    context = info.context
    version_id, errors = await outcome(
        market_listing.unpublish(
            context.installation, context.caller, input.read(), idempotency_key=input.idempotency_key
        )
    )
    return UnpublishModelVersionPayload(version_id=version_id, errors=errors)
