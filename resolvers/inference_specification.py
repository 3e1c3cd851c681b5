"""The sizes that an instance can have: those that every installation has, and those that a workspace adds."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from uuid import UUID

from asyncpg import Record

from db import inference_specification
from db.connection import Queryable
from engines.engine import Capability, Engine
from resolvers import capacity, field_rule
from resolvers.caller import Caller
from resolvers.capacity import GIBIBYTE, Amounts, some
from resolvers.errors import AlreadyExists, ErrorCode, Refusal, UnsupportedByEngine, not_found, raise_all
from resolvers.idempotency import once
from resolvers.installation import Installation
from resolvers.transaction import Transaction, transaction

# The name of sizes that are in no catalogue, as ModelArts has it (custom_spec).
CUSTOM = "custom"


@dataclass(frozen=True, slots=True)
class InferenceSpecification:
    name: str
    description: str | None
    cpu_count: float
    memory_bytes: int
    gpu_count: float = 0.0
    ascend_count: int = 0
    is_built_in: bool = False

    @property
    def amounts(self) -> Amounts:
        return Amounts(self.cpu_count, self.memory_bytes, self.gpu_count, self.ascend_count)


def _built_in(
    name: str, cpu_count: int, memory_gib: int, gpu_count: int = 0, ascend_count: int = 0, *, model: str = ""
) -> InferenceSpecification:
    amounts = Amounts(cpu_count, memory_gib * GIBIBYTE, gpu_count, ascend_count)
    described = f"{amounts}, {model}" if model else str(amounts)
    return InferenceSpecification(
        name, described, float(cpu_count), memory_gib * GIBIBYTE, float(gpu_count), ascend_count, is_built_in=True
    )


DEFAULT = _built_in("modelarts.vm.cpu.2u", 2, 8)
# The names are ModelArts' (modelarts_03_0082).
CATALOGUE = (
    _built_in("modelarts.vm.cpu.free", 1, 4),
    DEFAULT,
    _built_in("modelarts.vm.gpu.free", 2, 8, 1),
    _built_in("modelarts.vm.gpu.p4", 8, 32, 1, model="an NVIDIA P4"),
    _built_in("modelarts.vm.gpu.t4", 8, 32, 1, model="an NVIDIA T4"),
    _built_in("modelarts.vm.ai1.a310", 3, 6, 0, 1, model="an Ascend 310"),
    _built_in("modelarts.vm.arm.d310.3u6g", 3, 6, 0, 1, model="an Ascend D310 on Arm"),
)


@dataclass(frozen=True, slots=True)
class CreateRequest:
    name: str
    description: str | None
    cpu_count: float
    memory_bytes: int
    gpu_count: float
    ascend_count: int


def find(name: str) -> InferenceSpecification | None:
    """One that every installation has."""
    return next((entry for entry in CATALOGUE if entry.name == name), None)


def as_chosen(
    name: str, cpu_count: float, memory_bytes: int, gpu_count: float, ascend_count: int
) -> InferenceSpecification:
    """A size as a target has it stored, whatever became of the one of that name since."""
    amounts = Amounts(cpu_count, memory_bytes, gpu_count, ascend_count)
    today = find(name)
    if today is not None and today.amounts == amounts:
        return today
    return InferenceSpecification(
        name, str(amounts), cpu_count, memory_bytes, gpu_count, ascend_count, is_built_in=today is not None
    )


async def all_of_workspace(connection: Queryable, workspace_id: UUID) -> list[InferenceSpecification]:
    """Those that every installation has, then those of the workspace by their names."""
    own = await inference_specification.of_workspace(connection, workspace_id)
    return [*CATALOGUE, *map(_of_row, own)]


async def own(installation: Installation, caller: Caller, name: str) -> InferenceSpecification | None:
    """The workspace's own of a name."""
    row = await inference_specification.find(installation.pool, caller.workspace.id, name)
    return _of_row(row) if row else None


async def named(unit: Transaction, name: str) -> InferenceSpecification | None:
    """The one of a name; one of the workspace's own cannot be deleted until the transaction ends."""
    row = await inference_specification.hold(unit.connection, unit.workspace_id, name)
    return find(name) or (_of_row(row) if row else None)


def _of_row(row: Record) -> InferenceSpecification:
    names = ("name", "description", "cpu_count", "memory_bytes", "gpu_count", "ascend_count")
    return InferenceSpecification(**{name: row[name] for name in names})


def engine_violations(engine: Engine, amounts: Amounts, *, path: Sequence[str]) -> Iterator[Refusal]:
    """What the engine cannot honour of a size."""
    if amounts.has_accelerators and Capability.ACCELERATOR not in engine.capabilities:
        message = f"The engine {engine.name} of this installation has no accelerators."
        yield UnsupportedByEngine(message, engine=engine.name, field="inferenceSpecification", path=path)


async def create(
    installation: Installation, caller: Caller, request: CreateRequest, *, idempotency_key: str | None
) -> UUID:
    """Add a size to the workspace's: its id. Raises Refusals."""
    refusals = list(_violations(installation, request))
    async with transaction(installation.pool, caller.workspace.id, caller.actor) as unit:

        async def act() -> UUID:
            raise_all(refusals)
            return await _create(unit, request)

        return await once(
            unit, mutation="createInferenceSpecification", key=idempotency_key, request=asdict(request), act=act
        )


def _violations(installation: Installation, request: CreateRequest) -> Iterator[Refusal]:
    if find(request.name) or request.name == CUSTOM:
        yield AlreadyExists(f"{request.name!r} is the name of a size that every installation has.", path=["name"])
    else:
        yield from field_rule.name(request.name, path=["name"])
    yield from field_rule.description(request.description, is_strict=installation.rules.is_strict, path=["description"])
    amounts = Amounts(request.cpu_count, request.memory_bytes, request.gpu_count, request.ascend_count)
    yield from capacity.size_violations(amounts, path=[])


async def _create(unit: Transaction, request: CreateRequest) -> UUID:
    specification_id = await inference_specification.insert(
        unit.connection, unit.workspace_id, **asdict(request), created_by=unit.actor
    )
    if specification_id is None:
        raise AlreadyExists(f"There is a size named {request.name!r} already.", path=["name"])
    unit.record("INFERENCE_SPECIFICATION_CREATED", specification_id, name=request.name)
    return specification_id


async def delete(installation: Installation, caller: Caller, name: str, *, idempotency_key: str | None) -> UUID:
    """Take a size out of the workspace's: the id that it had. Raises Refusals."""
    async with transaction(installation.pool, caller.workspace.id, caller.actor) as unit:

        async def act() -> UUID:
            return await _delete(unit, name)

        return await once(
            unit, mutation="deleteInferenceSpecification", key=idempotency_key, request={"name": name}, act=act
        )


async def _delete(unit: Transaction, name: str) -> UUID:
    row = await inference_specification.lock(unit.connection, unit.workspace_id, name)
    if row is None:
        hint = "Every installation has it; it cannot be deleted." if find(name) else None
        raise not_found(f"inference specification of its own named {name!r}", path=["name"], hint=hint)
    users = await inference_specification.users(unit.connection, unit.workspace_id, name)
    if users:
        raise Refusal(
            ErrorCode.IN_USE,
            f"Services are to run with the size {name!r}: {some(users)}.",
            path=["name"],
            hint="Deploy them with another size, or delete them.",
        )
    specification_id: UUID = row["id"]
    await inference_specification.delete(unit.connection, unit.workspace_id, specification_id)
    unit.record("INFERENCE_SPECIFICATION_DELETED", specification_id, name=name)
    return specification_id
