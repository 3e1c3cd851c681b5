"""The versions that a service is to run, and how: what may be asked for, and the rows that come of it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from asyncpg import Record

from db import model_version, service
from resolvers import capacity, field_rule, size_choice
from resolvers.capacity import Amounts
from resolvers.deployment_blocker import deployable, deployment_blockers
from resolvers.deployment_type import DeploymentType
from resolvers.errors import Refusal, Refusals, invalid, not_found, raise_all
from resolvers.input_check import check_violations
from resolvers.installation import Installation
from resolvers.model import find_id
from resolvers.transaction import Transaction

TARGETS = 10
INSTANCES = 20
# How many predictions an instance computes at a time; the one setting of the runtime that whoever deploys may choose.
CONCURRENCY_ENVIRONMENT = "MODELYARD_CONCURRENCY"
CONCURRENCY = 256
ENVIRONMENT_VARIABLES = 100
ENVIRONMENT_VALUE_LENGTH = 4_000
# Names by which package code could be made to load something else than what was imported.
RESERVED_ENVIRONMENT = re.compile(
    r"(LD_|PYTHON|MODELYARD_).*|PATH|HOME|DATABASE_URL|OBJECT_STORE_URL|ENGINE_URL", re.ASCII
)
# Words of names by which people call what nobody else may see (modelarts_03_0082: no sensitive data in envs).
SECRET_ENVIRONMENT = re.compile(
    r"(.*_)?(PASSWORD|PASSWD|PWD|PASSPHRASE|SECRETS?|TOKEN|CREDENTIALS?|(API|ACCESS|PRIVATE|SECRET)_?KEY)(_.*)?",
    re.ASCII | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class EnvironmentVariable:
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Target:
    model_name: str
    version: str
    weight: int
    inference_specification: str | None
    instance_count: int
    environment: Sequence[EnvironmentVariable]
    custom_specification: Amounts | None = None


@dataclass(frozen=True, slots=True)
class ResolvedTarget:
    """A target as it is stored, the row of its version, and what whoever deploys should know."""

    row: service.NewTarget
    version: Record
    warnings: Sequence[Refusal]


async def resolve_targets(
    installation: Installation,
    unit: Transaction,
    targets: Sequence[Target],
    *,
    pool: Record | None,
    checks_inputs: bool,
    refusals: Sequence[Refusal],
) -> list[ResolvedTarget]:
    """The targets of a real-time service. Raises Refusals: `refusals` and everything that is wrong beside."""
    found: dict[int, ResolvedTarget] = {}
    refused = list(refusals)
    # The versions are locked in the same order by everybody, whatever order they are given in.
    for position, target in sorted(enumerate(targets), key=lambda item: (item[1].model_name, item[1].version)):
        path = ["targets", str(position)]
        try:
            found[position] = await resolve_target(
                installation, unit, target, deployment_type=DeploymentType.REAL_TIME, pool=pool, path=path
            )
        except Refusals as refusals_of_target:
            refused += refusals_of_target.refusals
    if len({target.version["model_id"] for target in found.values()}) > 1:
        refused.append(invalid("The versions of one service are all of one model.", path=["targets"]))
    if len({target.row.model_version_id for target in found.values()}) < len(found):
        refused.append(invalid("A version is given twice.", path=["targets"]))
    if checks_inputs:
        refused += await check_violations(target.version for target in found.values())
    raise_all(refused)
    return [found[position] for position in range(len(targets))]


async def resolve_target(
    installation: Installation,
    unit: Transaction,
    target: Target,
    *,
    deployment_type: DeploymentType,
    pool: Record | None,
    path: Sequence[str],
) -> ResolvedTarget:
    """One version that is to be deployed, held till the end of the transaction. Raises Refusals.

    `pool` is None where no pool bounds it.
    """
    wanted, refused = await size_choice.asked(installation, unit, target, path=path)
    try:
        version = await _deployable_version(
            installation, unit, target, deployment_type=deployment_type, path=[*path, "modelVersion"]
        )
    except Refusal as refusal:
        raise Refusals([*refused, refusal]) from refusal
    raise_all(refused)
    size, warnings = size_choice.chosen(
        installation, wanted, version=version, pool=pool, deployment_type=deployment_type
    )
    row = service.NewTarget(
        version["id"],
        target.weight,
        size.name,
        size.cpu_count,
        size.memory_bytes,
        size.gpu_count,
        size.ascend_count,
        target.instance_count,
        [asdict(variable) for variable in target.environment],
    )
    return ResolvedTarget(row, version, warnings)


async def _deployable_version(
    installation: Installation,
    unit: Transaction,
    target: Target,
    *,
    deployment_type: DeploymentType,
    path: Sequence[str],
) -> Record:
    version_id = await find_id(unit, target.model_name, target.version, path=path)
    # Held so that the version cannot be deleted between this look and the new row that depends on it.
    await model_version.lock(unit.connection, unit.workspace_id, version_id)
    row = await model_version.find(unit.connection, unit.workspace_id, version_id)
    assert row is not None
    if row["deleted_at"] is not None:
        what = f"version {target.version!r} of the model {target.model_name!r}"
        raise not_found(what, path=[*path, "version"])
    blockers = deployment_blockers(installation, deployable(row), deployment_type)
    if blockers:
        blocker = blockers[0]
        blocker.path = tuple(path)
        raise blocker
    return row


def target_violations(target: Target, *, path: Sequence[str]) -> list[Refusal]:
    refusals = []
    if not 0 <= target.weight <= 100:
        refusals.append(invalid("A weight is 0 to 100.", path=[*path, "weight"]))
    if not 1 <= target.instance_count <= INSTANCES:
        refusals.append(invalid(f"A target has 1 to {INSTANCES} instances.", path=[*path, "instanceCount"]))
    return [
        *refusals,
        *_size_violations(target, path=path),
        *_environment_violations(target.environment, path=[*path, "environment"]),
    ]


def _size_violations(target: Target, *, path: Sequence[str]) -> Iterator[Refusal]:
    if target.custom_specification is None:
        return
    here = [*path, "customInferenceSpecification"]
    yield from capacity.size_violations(target.custom_specification, path=here)
    if target.inference_specification is not None:
        yield invalid("Give inferenceSpecification or customInferenceSpecification, not both.", path=here)


def _environment_violations(environment: Sequence[EnvironmentVariable], *, path: Sequence[str]) -> list[Refusal]:
    refusals = []
    if len(environment) > ENVIRONMENT_VARIABLES:
        refusals.append(invalid(f"A target has at most {ENVIRONMENT_VARIABLES} environment variables.", path=path))
    names = [variable.name for variable in environment]
    for position, variable in enumerate(environment):
        here = [*path, str(position)]
        if field_rule.ENVIRONMENT_NAME.fullmatch(variable.name) is None:
            message = "A variable's name has letters, digits and _, 128 at most, and does not begin with a digit."
            refusals.append(invalid(message, path=[*here, "name"]))
        elif variable.name == CONCURRENCY_ENVIRONMENT:
            refusals += _concurrency_violations(variable.value, path=[*here, "value"])
        elif RESERVED_ENVIRONMENT.fullmatch(variable.name):
            refusals.append(invalid(f"{variable.name} is set by the server.", path=[*here, "name"]))
        elif SECRET_ENVIRONMENT.fullmatch(variable.name):
            refusals.append(_secret(variable.name, path=[*here, "name"]))
        if variable.name in names[:position]:
            refusals.append(invalid(f"{variable.name} is given twice.", path=[*here, "name"]))
        if len(variable.value) > ENVIRONMENT_VALUE_LENGTH or "\0" in variable.value:
            message = f"A value has at most {ENVIRONMENT_VALUE_LENGTH} characters, and no null character."
            refusals.append(invalid(message, path=[*here, "value"]))
    return refusals


def _concurrency_violations(value: str, *, path: Sequence[str]) -> Iterator[Refusal]:
    if not value.isascii() or not value.isdecimal() or not 1 <= int(value[:4]) <= CONCURRENCY or len(value) > 4:
        yield invalid(f"{CONCURRENCY_ENVIRONMENT} is a number from 1 to {CONCURRENCY}.", path=path)


def _secret(name: str, *, path: Sequence[str]) -> Refusal:
    return invalid(
        f"{name} is named as a secret is, and everybody who sees the service sees its environment.",
        path=path,
        hint="Have the package read its secrets from elsewhere. If it is none, name it otherwise.",
    )
