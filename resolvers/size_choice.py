"""Which size the instances of a version get: the one that was asked for, the version's minimum, or the usual one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from asyncpg import Record

from resolvers import inference_specification
from resolvers.capacity import NAMES, Amounts, counted, listed
from resolvers.deployment_type import DeploymentType
from resolvers.errors import ErrorCode, Refusal, invalid, raise_all
from resolvers.inference_specification import CUSTOM, DEFAULT, InferenceSpecification, engine_violations
from resolvers.installation import Installation
from resolvers.transaction import Transaction


class SizeRequest(Protocol):
    """What a target says of the size of its instances."""

    @property
    def inference_specification(self) -> str | None: ...

    @property
    def custom_specification(self) -> Amounts | None: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """The size that whoever deploys asked for; None where it is to be chosen. `path` is where in the input."""

    size: InferenceSpecification | None
    path: Sequence[str]


async def asked(
    installation: Installation, unit: Transaction, request: SizeRequest, *, path: Sequence[str]
) -> tuple[Asked, list[Refusal]]:
    """What is asked for, and what is wrong with that. `path` is the target's."""
    if request.custom_specification is not None:
        found = Asked(_custom(request.custom_specification), [*path, "customInferenceSpecification"])
    elif request.inference_specification is not None:
        size = await inference_specification.named(unit, request.inference_specification)
        found = Asked(size, [*path, "inferenceSpecification"])
        if size is None:
            return found, [await _unknown(unit, request.inference_specification, path=found.path)]
    else:
        return Asked(None, [*path, "inferenceSpecification"]), []
    assert found.size is not None
    return found, list(engine_violations(installation.engine, found.size.amounts, path=found.path))


async def _unknown(unit: Transaction, name: str, *, path: Sequence[str]) -> Refusal:
    known = await inference_specification.all_of_workspace(unit.connection, unit.workspace_id)
    return Refusal(
        ErrorCode.NOT_FOUND,
        f"There is no inference specification named {name!r}.",
        path=path,
        hint=f"There are: {', '.join(entry.name for entry in known)}.",
    )


def _custom(amounts: Amounts) -> InferenceSpecification:
    memory_bytes, ascend_count = int(amounts.memory_bytes), int(amounts.ascend_count)
    return InferenceSpecification(CUSTOM, None, amounts.cpu_count, memory_bytes, amounts.gpu_count, ascend_count)


def chosen(
    installation: Installation,
    wanted: Asked,
    *,
    version: Record,
    pool: Record | None,
    deployment_type: DeploymentType,
) -> tuple[InferenceSpecification, list[Refusal]]:
    """The size of the instances of a version in a pool, and what is to be said of it. Raises Refusals.

    A version's minimum counts for real-time services in dedicated pools, and only there (modelarts_23_0207).
    """
    is_dedicated = pool is not None and pool["kind"] == "DEDICATED"
    least = _minimum(version) if is_dedicated and deployment_type is DeploymentType.REAL_TIME else {}
    size = wanted.size or (_custom(_with_usual(least)) if least else DEFAULT)
    refused = list(_violations(installation, wanted, size, pool, deployment_type))
    raise_all(refused)
    return size, _warnings(size, least, path=wanted.path)


def _violations(
    installation: Installation,
    wanted: Asked,
    size: InferenceSpecification,
    pool: Record | None,
    deployment_type: DeploymentType,
) -> Iterator[Refusal]:
    if wanted.size is None:
        yield from engine_violations(installation.engine, size.amounts, path=wanted.path)
    if pool is None or deployment_type is DeploymentType.EDGE:
        return
    if wanted.size is not None and size.name == CUSTOM and pool["kind"] == "SHARED":
        yield invalid("A size of one's own is for dedicated pools; the shared one has named sizes.", path=wanted.path)
    yield from pool_violations(size.amounts, pool, path=wanted.path)


def _minimum(version: Record) -> dict[str, float]:
    """What was said of the version's minimum, by the names of amounts."""
    return {name: version[f"minimum_{name}"] for name in NAMES if version[f"minimum_{name}"] is not None}


def _with_usual(least: dict[str, float]) -> Amounts:
    return Amounts(**{**dict(zip(NAMES, DEFAULT.amounts.values(), strict=True)), **least})


def pool_violations(takes: Amounts, pool: Record, *, path: Sequence[str]) -> Iterator[Refusal]:
    """What an instance takes more of than a whole pool has."""
    whole = Amounts.of_pool(pool)
    names = list(takes.beyond(whole))
    if not names:
        return
    has = listed([counted(name, getattr(whole, name)) for name in names])
    needs = listed([counted(name, getattr(takes, name)) for name in names])
    message = f"The pool {pool['name']} has {has} altogether; an instance takes {needs}."
    hint = "Choose a smaller size or another pool, or enlarge the pool."
    yield Refusal(ErrorCode.INSUFFICIENT_CAPACITY, message, path=path, hint=hint)


def _warnings(size: InferenceSpecification, least: dict[str, float], *, path: Sequence[str]) -> list[Refusal]:
    below = [name for name, amount in least.items() if getattr(size, name) < amount]
    if not below:
        return []
    gets = listed([counted(name, getattr(size, name)) for name in below])
    needs = listed([counted(name, least[name]) for name in below])
    message = f"An instance gets {gets}; the version's minimum is {needs}."
    hint = "Leave the size out to get the minimum."
    return [Refusal(ErrorCode.BELOW_MINIMUM_SPECIFICATION, message, path=path, hint=hint)]
