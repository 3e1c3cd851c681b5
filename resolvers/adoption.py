"""Which instances a service's targets have: their own, and those of another configuration that are just the same."""

from collections.abc import Sequence
from uuid import UUID

from asyncpg import Record

# What an instance is started with. Weight and count are not: a change of those starts nothing anew.
SAME = ("model_version_id", "cpu_count", "memory_bytes", "gpu_count", "ascend_count", "environment", "generation")


def assign(targets: Sequence[Record], instances: Sequence[Record]) -> dict[UUID, list[Record]]:
    """At most as many for each target, by its id, as it is to have; the ready ones, then its own, come first.

    `instances` are those of `db.service_instance.with_targets`.
    """
    return {target["id"]: _usable(target, instances)[: target["instance_count"]] for target in targets}


def own(target: Record, instances: Sequence[Record]) -> list[Record]:
    return [instance for instance in instances if instance["service_target_id"] == target["id"]]


def _usable(target: Record, instances: Sequence[Record]) -> list[Record]:
    same = [instance for instance in instances if all(instance[column] == target[column] for column in SAME)]
    return sorted(
        same,
        key=lambda instance: (
            instance["state"] != "READY",
            instance["service_target_id"] != target["id"],
            instance["number"],
        ),
    )
