"""Publishing versions: what a workspace shows all others of them (modelarts_23_0052), until it is withdrawn."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from uuid import UUID

from asyncpg import Record

from db import market_listing, model_version
from resolvers import field_rule
from resolvers.caller import Caller
from resolvers.errors import (
    AlreadyExists,
    ErrorCode,
    Refusal,
    along_with,
    invalid,
    not_found,
    raise_all,
    revision_violations,
)
from resolvers.idempotency import once
from resolvers.installation import Installation
from resolvers.model import find_id
from resolvers.transaction import Transaction, transaction

TITLE_LENGTH = 100
PATH = ("modelVersion",)


@dataclass(frozen=True, slots=True)
class PublishRequest:
    model_name: str
    version: str
    title: str | None
    description: str | None
    expected_revision: int | None


@dataclass(frozen=True, slots=True)
class UnpublishRequest:
    model_name: str
    version: str
    expected_revision: int | None


@dataclass(frozen=True, slots=True)
class Published:
    listing_id: UUID
    version_id: UUID


async def publish(
    installation: Installation, caller: Caller, request: PublishRequest, *, idempotency_key: str | None
) -> Published:
    """Show a version to all workspaces. Raises Refusals."""
    refusals = [
        *_title_violations(request.title),
        *field_rule.description(request.description, is_strict=installation.rules.is_strict, path=["description"]),
    ]
    async with transaction(installation.pool, caller.workspace.id, caller.actor) as unit:

        async def act() -> UUID:
            return await _publish(unit, request, refusals)

        listing_id = await once(
            unit, mutation="publishModelVersion", key=idempotency_key, request=asdict(request), act=act
        )
        return Published(listing_id, await market_listing.version_of(unit.connection, unit.workspace_id, listing_id))


async def _publish(unit: Transaction, request: PublishRequest, refusals: Sequence[Refusal]) -> UUID:
    version = await along_with(refusals, _locked(unit, request))
    raise_all([*refusals, *_publication_violations(request, version)])
    listing_id = await market_listing.publish(
        unit.connection,
        unit.workspace_id,
        version["id"],
        title=request.title,
        description=request.description,
        published_by=unit.actor,
    )
    if listing_id is None:
        raise AlreadyExists(
            f"The version {request.version} of {request.model_name} is in the market already.",
            path=PATH,
            hint="Withdraw it first if what is shown of it is to change.",
        )
    unit.record("MODEL_VERSION_PUBLISHED", version["id"], model=request.model_name, version=request.version)
    return listing_id


async def unpublish(
    installation: Installation, caller: Caller, request: UnpublishRequest, *, idempotency_key: str | None
) -> UUID:
    """Take a version out of the market: its id. Whoever has subscribed keeps it. Raises Refusals."""
    async with transaction(installation.pool, caller.workspace.id, caller.actor) as unit:

        async def act() -> UUID:
            return await _unpublish(unit, request)

        return await once(unit, mutation="unpublishModelVersion", key=idempotency_key, request=asdict(request), act=act)


async def _unpublish(unit: Transaction, request: UnpublishRequest) -> UUID:
    version = await _locked(unit, request)
    raise_all([*revision_violations(request.expected_revision, version["revision"])])
    version_id: UUID = version["id"]
    if await market_listing.withdraw(unit.connection, unit.workspace_id, version_id, unit.actor) is None:
        raise Refusal(
            ErrorCode.INVALID_STATE,
            f"The version {request.version} of {request.model_name} is not in the market.",
            path=PATH,
        )
    unit.record("MODEL_VERSION_UNPUBLISHED", version_id, model=request.model_name, version=request.version)
    return version_id


async def _locked(unit: Transaction, request: PublishRequest | UnpublishRequest) -> Record:
    """The version, which nobody changes or deletes until the transaction ends. Raises Refusal (NOT_FOUND)."""
    version_id = await find_id(unit, request.model_name, request.version, path=PATH)
    await model_version.lock(unit.connection, unit.workspace_id, version_id)
    row = await model_version.find(unit.connection, unit.workspace_id, version_id)
    assert row is not None
    if row["deleted_at"] is not None:
        # Somebody was first while its lock was waited for.
        raise not_found(f"version {request.version!r} of the model {request.model_name!r}", path=[*PATH, "version"])
    return row


def _publication_violations(request: PublishRequest, version: Record) -> Iterator[Refusal]:
    """ModelArts.3070 (only one's own), ModelArts.3078 and 5054 (NORMAL ones), 5022 (an unsupported kind)."""
    yield from revision_violations(request.expected_revision, version["revision"])
    if version["origin"] == "MARKET":
        yield Refusal(
            ErrorCode.MODEL_SUBSCRIBED,
            f"{request.model_name} was subscribed to in the market; only its publisher can publish it.",
            path=PATH,
        )
    if version["status"] != "NORMAL":
        yield Refusal(
            ErrorCode.MODEL_VERSION_NOT_READY,
            f"The version {request.version} of {request.model_name} is {version['status']}; only a NORMAL one can be "
            "published.",
            path=PATH,
        )
    if version["integrity_state"] == "DRIFTED":
        yield Refusal(
            ErrorCode.ARTIFACT_DRIFT,
            f"Stored files of {request.model_name} {request.version} are not the ones that were imported.",
            path=PATH,
            hint="Restore them or import the same package again; then verifyModelVersion looks again.",
        )
    if version["image"] is not None:
        yield Refusal(
            ErrorCode.INVALID_STATE,
            "A container image lies in its registry and not here, so others could not be given it.",
            path=PATH,
            hint="Tell them the image's address: they can import it themselves.",
        )


def _title_violations(title: str | None) -> Iterator[Refusal]:
    if title is None:
        return
    if not 1 <= len(title) <= TITLE_LENGTH or "\0" in title:
        message = f"A title has 1 to {TITLE_LENGTH} characters, none of them U+0000."
        yield invalid(message, path=["title"], hint="Leave it out, and the model's name stands for it.")
