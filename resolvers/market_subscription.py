"""Subscribing to what others publish: a version of one's own workspace, which is the publisher's to change."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TypeAlias
from uuid import UUID

from asyncpg import Record

from artifacts.pickle_scan import FileScan, ScanState
from artifacts.problem import FINDING_LIMIT, Problem, ProblemCode
from db import market_listing, market_subscription, model, model_deletion
from resolvers import field_rule
from resolvers.caller import Caller
from resolvers.errors import (
    AlreadyExists,
    ErrorCode,
    PackageRefusal,
    Refusal,
    not_found,
    raise_all,
)
from resolvers.finding_limit import first_findings
from resolvers.idempotency import once
from resolvers.installation import Installation
from resolvers.operation_attempt import stored_problem
from resolvers.package_source import judge
from resolvers.scan_policy import scan_policy
from resolvers.transaction import Transaction, transaction
from resolvers.version_user import use_violations

# What follows from scans by a workspace's policy: the publisher's are not the subscriber's.
SCAN_CODES = frozenset({ProblemCode.UNSAFE_PICKLE, ProblemCode.UNKNOWN_PICKLE, ProblemCode.NOT_SCANNED})
Warnings: TypeAlias = Sequence[Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class SubscribeRequest:
    """Without a name the model gets the one that it was published under."""

    listing_id: UUID
    model_name: str | None


@dataclass(frozen=True, slots=True)
class Subscribed:
    subscription_id: UUID
    version_id: UUID


async def subscribe(
    installation: Installation, caller: Caller, request: SubscribeRequest, *, idempotency_key: str | None
) -> Subscribed:
    """Take a listed version into the caller's workspace; its bytes are shared. Raises Refusals."""
    async with transaction(installation.pool, caller.workspace.id, caller.actor) as unit:

        async def act() -> UUID:
            return await _subscribe(installation, unit, request)

        subscription_id = await once(
            unit, mutation="subscribeToListing", key=idempotency_key, request=asdict(request), act=act
        )
        version_id = await market_subscription.version_of(unit.connection, unit.workspace_id, subscription_id)
        return Subscribed(subscription_id, version_id)


async def _subscribe(installation: Installation, unit: Transaction, request: SubscribeRequest) -> UUID:
    listing = await market_listing.hold(unit.connection, request.listing_id)
    if listing is None:
        raise _not_listed()
    is_subscribed = await market_subscription.is_subscribed(unit.connection, unit.workspace_id, listing["id"])
    problems, warnings = await _judged(installation, unit, listing)
    raise_all(
        [
            *_subscription_violations(unit, request, listing, is_subscribed=is_subscribed),
            *(PackageRefusal(problem, path=["listingId"]) for problem in problems[:FINDING_LIMIT]),
        ]
    )
    name = request.model_name or listing["model_name"]
    copied = await _copy(unit, listing, name, _warnings(listing, warnings))
    subscription_id = await market_subscription.insert(unit.connection, unit.workspace_id, listing, copied, unit.actor)
    if subscription_id is None:
        raise _subscribed_already(listing)
    unit.record(
        "MARKET_SUBSCRIBED",
        copied.model_version_id,
        model=name,
        version=listing["version"],
        publisher=listing["publisher"],
    )
    return subscription_id


async def _judged(
    installation: Installation, unit: Transaction, listing: Record
) -> tuple[list[Problem], list[Problem]]:
    """Problems and warnings that follow from the scans by the subscriber's own policy: the publisher's may be laxer."""
    policy = await scan_policy(installation, unit.connection, unit.workspace_id)
    problems: list[Problem] = []
    warnings: list[Problem] = []
    for file in await market_listing.doubtful_files(unit.connection, listing["id"]):
        scan = FileScan(ScanState(file["scan_state"]), tuple(file["scan_globals"]), file["scan_reason"])
        found, doubtful = judge(file["path"], scan, policy)
        problems += found
        warnings += doubtful
    return problems, warnings


def _warnings(listing: Record, of_scans: Sequence[Problem]) -> Warnings:
    """What the import found doubtful, but for the scans: those as the subscriber's policy has them."""
    kept = [warning for warning in listing["warnings"] if warning["code"] not in SCAN_CODES]
    return first_findings([*kept, *(stored_problem(warning) for warning in of_scans)])


async def _copy(unit: Transaction, listing: Record, name: str, warnings: Warnings) -> market_subscription.Copied:
    """The rows of the caller's own. Raises Refusal where the name is another model's, or the version is there."""
    opened = await market_subscription.open_model(
        unit.connection, unit.workspace_id, name, listing["model_id"], unit.actor
    )
    if opened is None:
        raise AlreadyExists(f"There is or was another model named {name} in this workspace.", path=["modelName"])
    copied = await market_subscription.copy_version(
        unit.connection, unit.workspace_id, listing, opened.id, name, unit.actor, warnings=warnings
    )
    if copied is None:
        raise _subscribed_already(listing)
    if opened.was_deleted:
        unit.record("MODEL_RESTORED", opened.id, name=name)
    if copied.was_deleted:
        unit.record("MODEL_VERSION_RESTORED", copied.model_version_id)
    return copied


def _subscription_violations(
    unit: Transaction, request: SubscribeRequest, listing: Record, *, is_subscribed: bool
) -> Iterator[Refusal]:
    """ModelArts.3072 (one's own), ModelArts.3073 (twice)."""
    if request.model_name is not None:
        yield from field_rule.name(request.model_name, path=["modelName"])
    if listing["workspace_id"] == unit.workspace_id:
        yield Refusal(
            ErrorCode.OWN_LISTING,
            "This workspace published it, and has it.",
            path=["listingId"],
            hint=f"It is the version {listing['version']} of {listing['model_name']}.",
        )
    if is_subscribed:
        yield _subscribed_already(listing)


def _subscribed_already(listing: Record) -> Refusal:
    return AlreadyExists(
        f"This workspace has subscribed to the version {listing['version']} of {listing['model_name']} already.",
        path=["listingId"],
        hint="marketListing { subscription { modelVersion { modelName version } } } says where it is.",
    )


def _not_listed() -> Refusal:
    """ModelArts.3071."""
    return Refusal(
        ErrorCode.NOT_FOUND,
        "There is no such listing in the market.",
        path=["listingId"],
        hint="It may have been withdrawn; marketListings shows what there is.",
    )


async def unsubscribe(
    installation: Installation, caller: Caller, subscription_id: UUID, *, idempotency_key: str | None
) -> UUID:
    """End a subscription: its id. Its version goes, and with the last one its model. Raises Refusals."""
    async with transaction(installation.pool, caller.workspace.id, caller.actor) as unit:

        async def act() -> UUID:
            return await _unsubscribe(unit, subscription_id)

        request = {"subscription_id": subscription_id}
        return await once(unit, mutation="unsubscribeFromListing", key=idempotency_key, request=request, act=act)


async def _unsubscribe(unit: Transaction, subscription_id: UUID) -> UUID:
    subscription = await market_subscription.lock(unit.connection, unit.workspace_id, subscription_id)
    if subscription is None:
        # ModelArts.3077.
        raise not_found("subscription of this id", path=["subscriptionId"])
    version_id = subscription["model_version_id"]
    await model_deletion.cancel_operations(unit.connection, unit.workspace_id, [version_id])
    await model_deletion.lock(unit.connection, unit.workspace_id, [version_id])
    raise_all(await use_violations(unit, [version_id], path=["subscriptionId"]))
    await market_subscription.end(unit.connection, unit.workspace_id, subscription_id, unit.actor)
    await _take_back(unit, subscription)
    unit.record(
        "MARKET_UNSUBSCRIBED",
        version_id,
        model=subscription["own_model_name"],
        version=subscription["version"],
        publisher=subscription["publisher"],
    )
    return subscription_id


async def _take_back(unit: Transaction, subscription: Record) -> None:
    # Its time to be restored is over as it begins: subscribing again is what brings it back.
    await model_deletion.delete(
        unit.connection,
        unit.workspace_id,
        [subscription["model_version_id"]],
        unit.actor,
        restore_days=0,
        broken_off=[],
    )
    unit.record("MODEL_VERSION_DELETED", subscription["model_version_id"])
    model_id = subscription["model_id"]
    if await model_deletion.versions_of_model(unit.connection, unit.workspace_id, model_id):
        await model.touch(unit.connection, unit.workspace_id, model_id)
    else:
        await model_deletion.delete_model(unit.connection, unit.workspace_id, model_id, unit.actor)
        unit.record("MODEL_DELETED", model_id, name=subscription["own_model_name"], versions=1)
