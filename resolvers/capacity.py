"""Amounts of what instances take: sizes, what is taken of a pool, and what is left of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

from asyncpg import Record

from resolvers.errors import Refusal, invalid

GIBIBYTE = 2**30
# Sums of binary fractions are not exact.
TOLERANCE = 1e-6
# Names in one sentence.
SHOWN = 10
# The least that an instance can have (modelarts_03_0082), and the most of anything: sums of them stay exact.
SMALLEST_CPU_COUNT = 0.01
SMALLEST_MEMORY_BYTES = 2**20
MOST_COUNT = 1_000_000
MOST_MEMORY_BYTES = 2**50
WORDS = {
    "cpu_count": ("processor", "processors"),
    "memory_bytes": ("GiB of memory", "GiB of memory"),
    "gpu_count": ("GPU", "GPUs"),
    "ascend_count": ("Ascend processor", "Ascend processors"),
}


@dataclass(frozen=True, slots=True)
class Amounts:
    """Infinity where nothing bounds an amount."""

    cpu_count: float = 0.0
    memory_bytes: float = 0.0
    gpu_count: float = 0.0
    ascend_count: float = 0.0

    @classmethod
    def of(cls, row: Record) -> Amounts:
        """Those of a size, or sums of sizes."""
        return cls(*(row[name] for name in NAMES))

    @classmethod
    def of_pool(cls, pool: Record) -> Amounts:
        """The capacity of a pool. Nobody counts accelerators of the shared one."""
        if pool["kind"] == "SHARED":
            cpu_count, memory_bytes = (math.inf if pool[name] is None else pool[name] for name in NAMES[:2])
            return cls(cpu_count, memory_bytes, math.inf, math.inf)
        return cls.of(pool)

    def __add__(self, other: Amounts) -> Amounts:
        return Amounts(*(mine + theirs for mine, theirs in zip(self.values(), other.values(), strict=True)))

    def __sub__(self, other: Amounts) -> Amounts:
        return Amounts(*(mine - theirs for mine, theirs in zip(self.values(), other.values(), strict=True)))

    def __mul__(self, count: int) -> Amounts:
        return Amounts(*(amount * count for amount in self.values()))

    def __str__(self) -> str:
        """In words, without what there is none of."""
        return listed([counted(name, amount) for name, amount in zip(NAMES, self.values(), strict=True) if amount])

    @property
    def has_accelerators(self) -> bool:
        return bool(self.gpu_count or self.ascend_count)

    def values(self) -> tuple[float, ...]:
        return tuple(getattr(self, name) for name in NAMES)

    def beyond(self, bound: Amounts) -> Iterator[str]:
        """The names of the amounts that are greater than another's."""
        for name, mine, most in zip(NAMES, self.values(), bound.values(), strict=True):
            if mine > most + TOLERANCE:
                yield name


NAMES = tuple(field.name for field in fields(Amounts))


def counted(name: str, amount: float) -> str:
    """An amount in words: "2 processors", "1.5 GiB of memory"."""
    return f"{figure(name, amount)} {WORDS[name][figure(name, amount) != '1']}"


def figure(name: str, amount: float) -> str:
    """An amount's number, memory in GiB."""
    in_unit = max(0.0, amount) / (GIBIBYTE if name == "memory_bytes" else 1)
    return f"{in_unit:.10g}" if in_unit < 0.01 else f"{in_unit:.2f}".rstrip("0").rstrip(".")


def listed(parts: Sequence[str]) -> str:
    """Parts of a sentence as one: "a, b and c"."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if parts[:-1] else parts)


def some(names: Sequence[str]) -> str:
    """The first ten of names, and how many more there are."""
    more = [f"{len(names) - SHOWN} more"] if len(names) > SHOWN else []
    return listed([*names[:SHOWN], *more])


def size_violations(size: Amounts, *, path: Sequence[str]) -> Iterator[Refusal]:
    """What is wrong with the size of an instance."""
    yield from capacity_violations(size, path=path)
    if size.gpu_count and size.ascend_count:
        yield invalid("An instance has GPUs or Ascend processors, not both.", path=[*path, "ascendCount"])


def capacity_violations(amounts: Amounts, *, path: Sequence[str]) -> Iterator[Refusal]:
    """What is wrong with the amounts of a size or of a pool."""
    if not SMALLEST_CPU_COUNT <= amounts.cpu_count <= MOST_COUNT:
        message = f"There are from {SMALLEST_CPU_COUNT} to {MOST_COUNT:,} processors."
        yield invalid(message, path=[*path, "cpuCount"])
    if not SMALLEST_MEMORY_BYTES <= amounts.memory_bytes <= MOST_MEMORY_BYTES:
        yield invalid("There are from 1 MiB (1048576 bytes) to 1 PiB of memory.", path=[*path, "memoryBytes"])
    for name, count in (("gpuCount", amounts.gpu_count), ("ascendCount", amounts.ascend_count)):
        if not 0 <= count <= MOST_COUNT:
            yield invalid(f"There are from 0 to {MOST_COUNT:,} of them.", path=[*path, name])
