"""The sizes that an instance can have (modelarts_03_0082)."""

from collections.abc import Sequence
from dataclasses import dataclass

from asyncpg import Record

from resolvers.deployment_type import DeploymentType
from resolvers.errors import ErrorCode, Refusal
from resolvers.installation import Installation
from resolvers.transaction import Transaction

GIBIBYTE = 2**30


@dataclass(frozen=True, slots=True)
class InferenceSpecification:
    name: str
    description: str
    cpu_count: float
    memory_bytes: int
    gpu_count: float = 0.0
    ascend_count: int = 0


DEFAULT = InferenceSpecification("modelarts.vm.cpu.2u", "2 processors and 8 GiB of memory", 2.0, 8 * GIBIBYTE)
CATALOGUE = (
    InferenceSpecification("modelarts.vm.cpu.free", "1 processor and 4 GiB of memory", 1.0, 4 * GIBIBYTE),
    DEFAULT,
)


def find(name: str) -> InferenceSpecification | None:
    return next((entry for entry in CATALOGUE if entry.name == name), None)


async def chosen(
    _installation: Installation,
    _unit: Transaction,
    name: str | None,
    *,
    version: Record,
    pool: Record | None,
    deployment_type: DeploymentType,
    path: Sequence[str],
) -> tuple[InferenceSpecification, Sequence[Refusal]]:
    """The size of the instances of a version, and what is to be said of it. Raises Refusal."""
    size = DEFAULT if name is None else find(name)
    if size is None:
        names = ", ".join(entry.name for entry in CATALOGUE)
        raise Refusal(
            ErrorCode.NOT_FOUND,
            f"There is no inference specification named {name!r}.",
            path=path,
            hint=f"There are: {names}.",
        )
    return size, ()
