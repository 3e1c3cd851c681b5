"""Workspaces filled by SQL alone: tens of thousands of models, or one model with hundreds of thousands of versions.

Ids are version 7 uuids made from the row's number, so that they sort by `created_at` as real ones do, and every run
sees the same data. Whatever a worker would take up (an unfinished operation, a service that is not at rest) is left
out: a server may run on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from db.connection import Connection
from db.pool import connection
from tests.large_data_sql import (
    EVENTS,
    FILES,
    FUNCTIONS,
    IMPORTS,
    MODELS,
    ONE_MODEL,
    ONE_MODEL_VERSIONS,
    SERVICE_CONFIGURATIONS,
    SERVICE_OPERATIONS,
    SERVICE_TARGETS,
    SERVICES,
    TRAINING_JOB_VERSIONS,
    TRAINING_JOBS,
    VERSIONS_OF_MODELS,
)

MOST_VERSIONS_OF_A_MODEL = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """How many rows a workspace gets; every version of a model has a training job version of its own."""

    training_jobs: int = 5_000
    models: int = 10_000
    versions_per_model: int = 5
    versions_with_files: int = 5_000
    services: int = 1_000
    events: int = 200_000

    @property
    def versions(self) -> int:
        return self.models * self.versions_per_model


MANY = Amounts()
SOME = Amounts(training_jobs=100, models=400, versions_per_model=5, versions_with_files=100, services=40, events=5_000)


async def fill_database(
    dsn: str, *, workspace: str, amounts: Amounts = MANY, other_workspace: str, other_amounts: Amounts = SOME
) -> None:
    """Two workspaces that are there by name and empty; some fifteen seconds with the amounts as they are."""
    async with connection(dsn, command_timeout_seconds=None) as filling:
        await fill_workspace(filling, await workspace_id(filling, workspace), amounts)
        await fill_workspace(filling, await workspace_id(filling, other_workspace), other_amounts)
        await analyze(filling)


async def fill_workspace(filling: Connection, workspace: UUID, amounts: Amounts) -> None:
    """Everything but versions of one model. Planner statistics are the caller's: see `analyze`."""
    async with filling.transaction():
        await filling.execute(FUNCTIONS)
        await add_training_jobs(filling, workspace, jobs=amounts.training_jobs, versions=amounts.versions)
        await filling.execute(MODELS, workspace, amounts.models, amounts.versions_per_model)
        await filling.execute(VERSIONS_OF_MODELS, workspace, amounts.versions, amounts.versions_per_model)
        await filling.execute(FILES, workspace, min(amounts.versions_with_files, amounts.versions))
        await filling.execute(IMPORTS, workspace, amounts.versions)
        await add_services(filling, workspace, services=amounts.services, versions=amounts.versions)
        await filling.execute(EVENTS, workspace, amounts.events, amounts.versions)


async def add_training_jobs(filling: Connection, workspace: UUID, *, jobs: int, versions: int) -> None:
    await filling.execute(TRAINING_JOBS, workspace, jobs, versions)
    await filling.execute(TRAINING_JOB_VERSIONS, workspace, versions, jobs)


async def add_services(filling: Connection, workspace: UUID, *, services: int, versions: int) -> None:
    """Each runs one of the workspace's first `versions` versions, or two of them."""
    for statement in (SERVICES, SERVICE_CONFIGURATIONS):
        await filling.execute(statement, workspace, services)
    await filling.execute(SERVICE_TARGETS, workspace, services, versions)
    await filling.execute(SERVICE_OPERATIONS, workspace, services)


async def fill_one_model(
    dsn: str, *, workspace: str, versions: int, name: str = "one-model", training_job_versions: int = 1_000
) -> None:
    """A model with versions 0.0.0 to at most 99.99.99, in a workspace without training jobs; every tenth failed."""
    if not 1 <= versions <= MOST_VERSIONS_OF_A_MODEL:
        raise ValueError(f"a model has 1 to {MOST_VERSIONS_OF_A_MODEL:,} versions")
    async with connection(dsn, command_timeout_seconds=None) as filling:
        found = await workspace_id(filling, workspace)
        async with filling.transaction():
            await filling.execute(FUNCTIONS)
            await add_training_jobs(
                filling, found, jobs=-(-training_job_versions // 10), versions=training_job_versions
            )
            await filling.execute(ONE_MODEL, found, name, versions)
            await filling.execute(ONE_MODEL_VERSIONS, found, name, versions, training_job_versions)
        await analyze(filling)


async def analyze(filling: Connection) -> None:
    """What autovacuum would come to do: statistics, and the visibility that index-only scans need."""
    await filling.execute("VACUUM (ANALYZE)")


async def workspace_id(filling: Connection, name: str) -> UUID:
    found: UUID | None = await filling.fetchval("SELECT id FROM workspace WHERE name = $1", name)
    if found is None:
        raise LookupError(f"there is no workspace named {name!r}")
    return found
