"""What a deployment or an update would do: the mutation itself in a transaction that is undone."""

import hashlib
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from uuid import UUID

import orjson
from asyncpg import Record

from db import placement, service_configuration
from resolvers.adoption import SAME
from resolvers.caller import Caller
from resolvers.capacity import NAMES, Amounts, counted, figure, listed
from resolvers.errors import ErrorCode, Refusal, Refusals
from resolvers.inference_specification import InferenceSpecification, as_chosen
from resolvers.installation import Installation
from resolvers.service import ServiceDesiredState
from resolvers.service_target import ResolvedTarget
from resolvers.transaction import Transaction

# What a request holds that a plan does not rest on.
NOT_PLANNED = frozenset({"plan_fingerprint", "expected_revision"})


@dataclass(frozen=True, slots=True)
class PlannedTarget:
    """What becomes of one version. `size` is the one that its instances would have, or had where it goes.

    `needs` is what those take that are started, `frees` what those give back that are stopped.
    """

    model_version_id: UUID
    weight_before: int
    weight_after: int
    instance_count_before: int
    instance_count_after: int
    kept_instance_count: int
    size: InferenceSpecification
    is_below_minimum: bool
    needs: Amounts
    frees: Amounts

    @property
    def started_instance_count(self) -> int:
        return self.instance_count_after - self.kept_instance_count

    @property
    def stopped_instance_count(self) -> int:
        return self.instance_count_before - self.kept_instance_count


@dataclass(frozen=True, slots=True)
class PlannedCapacity:
    """`needed` is what is started while nothing is stopped yet; `free` is before, `free_after` when all is done."""

    pool_id: UUID
    pool_name: str
    whole: Amounts
    free: Amounts
    needed: Amounts
    free_after: Amounts

    @property
    def lacking(self) -> list[str]:
        return list(self.needed.beyond(self.free))


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a deployment rests on and comes to, once nothing is wrong with the request."""

    fingerprint: str
    targets: Sequence[PlannedTarget]
    capacity: PlannedCapacity
    warnings: Sequence[Refusal]


@dataclass(frozen=True, slots=True)
class Plan:
    """`facts` are None where the request is refused before they are known."""

    refusals: Sequence[Refusal]
    facts: Facts | None


@dataclass(slots=True)
class Rehearsal(Transaction):
    """A transaction that is undone: what it learns on the way is all that is left of it."""

    facts: Facts | None = None


async def plan(installation: Installation, caller: Caller, ask: Callable[[Transaction], Awaitable[object]]) -> Plan:
    """What `ask`, which deploys or updates a service in a transaction, would do. Nothing of it is stored."""
    async with installation.pool.acquire() as connection:
        undone = connection.transaction()
        await undone.start()
        unit = Rehearsal(connection, caller.workspace.id, caller.actor)
        try:
            await ask(unit)
        except Refusal as refusal:
            return Plan([refusal], unit.facts)
        except Refusals as refused:
            return Plan(refused.refusals, unit.facts)
        finally:
            await undone.rollback()
    return Plan([], unit.facts)


async def check(
    installation: Installation,
    unit: Transaction,
    fingerprint: str | None,
    resolved: Sequence[ResolvedTarget],
    service_row: Record | None,
    pool: Record,
    *,
    request: Mapping[str, object],
) -> None:
    """Raises Refusal (CONFLICT) where a plan was made and what it rests on is not so any more.

    `service_row` is None for a service that is new; `request` is all that was asked for, as plain values.
    """
    if fingerprint is None and not isinstance(unit, Rehearsal):
        return
    before = await _before(unit, service_row)
    taken = Amounts.of(await placement.taken(unit.connection, unit.workspace_id, pool))
    is_running = service_row is None or service_row["desired_state"] == ServiceDesiredState.RUNNING
    targets = _targets(before, resolved, is_running=is_running)
    capacity = _capacity(pool, taken, targets)
    found = _fingerprint(request, resolved, service_row, before, _room(pool, capacity))
    if isinstance(unit, Rehearsal):
        warnings = [warning for target in resolved for warning in target.warnings]
        unit.facts = Facts(found, targets, capacity, warnings)
    elif found != fingerprint:
        raise Refusal(
            ErrorCode.CONFLICT,
            "Something that the plan rests on has changed: the request, a version, the service or the pool.",
            path=["planFingerprint"],
            hint="Plan again, and decide with what the new plan shows.",
        )


async def _before(unit: Transaction, service_row: Record | None) -> list[Record]:
    """The targets that predictions go to now."""
    if service_row is None:
        return []
    numbers = [service_row["routed_configuration_number"] or service_row["last_configuration_number"]]
    return await service_configuration.targets(unit.connection, unit.workspace_id, service_row["id"], numbers)


def _fingerprint(
    request: Mapping[str, object],
    resolved: Sequence[ResolvedTarget],
    service_row: Record | None,
    before: Sequence[Record],
    room: Sequence[object],
) -> str:
    """SHA-256 (hex) over all that a plan rests on."""
    rests_on = {
        "request": {name: value for name, value in request.items() if name not in NOT_PLANNED},
        "targets": [asdict(target.row) for target in resolved],
        "versions": [_version(target.version) for target in resolved],
        "service": service_row and [service_row["id"], service_row["revision"], service_row["desired_state"]],
        "before": [dict(target) for target in before],
        "pool": room,
    }
    return hashlib.sha256(orjson.dumps(rests_on, default=str, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _room(pool: Record, capacity: PlannedCapacity) -> list[object]:
    """What counts of a pool where something bounds it: how much it has, and how much is free.

    Of the shared one, where other workspaces come and go, only whether there is room.
    """
    amounts = zip(capacity.whole.values(), capacity.free.values(), strict=True)
    bounds = [(most, free) for most, free in amounts if most != math.inf]
    if pool["kind"] == "SHARED":
        return [pool["id"], [most for most, _ in bounds], capacity.lacking]
    return [pool["id"], bounds]


def _version(row: Record) -> list[object]:
    return [row["id"], row["revision"], row["status"], (row["integrity"] or {}).get("state")]


def _targets(before: Sequence[Record], resolved: Sequence[ResolvedTarget], *, is_running: bool) -> list[PlannedTarget]:
    """Those that are to be, in their order, then those that go. Of a stopped service no instance changes."""
    earlier = {target["model_version_id"]: target for target in before}
    pairs = [(earlier.pop(target.row.model_version_id, None), target) for target in resolved]
    planned = [_planned(was, target, is_running=is_running) for was, target in pairs]
    return planned + [_gone(target, is_running=is_running) for target in earlier.values()]


def _planned(was: Record | None, target: ResolvedTarget, *, is_running: bool) -> PlannedTarget:
    row = target.row
    size = as_chosen(row.inference_specification, row.cpu_count, row.memory_bytes, row.gpu_count, row.ascend_count)
    count_before = was["instance_count"] if was is not None and is_running else 0
    count_after = row.instance_count if is_running else 0
    # Of the same generation they are anyway: an update goes on with the one that there is.
    is_same = was is not None and all(was[name] == getattr(row, name) for name in SAME if name != "generation")
    kept = min(count_before, count_after) if is_same else 0
    return PlannedTarget(
        model_version_id=row.model_version_id,
        weight_before=was["weight"] if was is not None else 0,
        weight_after=row.weight,
        instance_count_before=count_before,
        instance_count_after=count_after,
        kept_instance_count=kept,
        size=size,
        is_below_minimum=any(warning.code is ErrorCode.BELOW_MINIMUM_SPECIFICATION for warning in target.warnings),
        needs=size.amounts * (count_after - kept),
        frees=Amounts.of(was) * (count_before - kept) if was is not None else Amounts(),
    )


def _gone(was: Record, *, is_running: bool) -> PlannedTarget:
    count = was["instance_count"] if is_running else 0
    return PlannedTarget(
        model_version_id=was["model_version_id"],
        weight_before=was["weight"],
        weight_after=0,
        instance_count_before=count,
        instance_count_after=0,
        kept_instance_count=0,
        size=as_chosen(was["inference_specification"], *(was[name] for name in NAMES)),
        is_below_minimum=False,
        needs=Amounts(),
        frees=Amounts.of(was) * count,
    )


def _capacity(pool: Record, taken: Amounts, targets: Sequence[PlannedTarget]) -> PlannedCapacity:
    whole = Amounts.of_pool(pool)
    needed = sum((target.needs for target in targets), Amounts())
    frees = sum((target.frees for target in targets), Amounts())
    free = whole - taken
    return PlannedCapacity(pool["id"], pool["name"], whole, free, needed, free + frees - needed)


def sentence(capacity: PlannedCapacity) -> str:
    """Whether there is room, in words."""
    lacking = capacity.lacking
    if not lacking:
        return f"The pool {capacity.pool_name} has room for it."
    has = [
        f"{figure(name, getattr(capacity.free, name))} of {counted(name, getattr(capacity.whole, name))} free"
        for name in lacking
    ]
    needs = listed([counted(name, getattr(capacity.needed, name)) for name in lacking])
    waits = "Instances wait, PENDING, until there is room."
    if not list(Amounts().beyond(capacity.free_after)):
        waits = "What is there keeps its place until the new instances are ready: stop the service first to make room."
    return f"The pool {capacity.pool_name} has {listed(has)}; {needs} are needed. {waits}"
