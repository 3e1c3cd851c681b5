"""The import of a model version, as a background operation: inspect, copy, build. Every step may be repeated."""

import asyncio
from uuid import UUID

from asyncpg import Record

from artifacts.object_store import StoreError, StoreUnavailable
from artifacts.package_directory import ArtifactDrift
from db import environment_build, model_version, operation
from engines.engine import BuildFailed, EngineError, EnvironmentSpecification
from resolvers.deployment_target import environment_of
from resolvers.environment_build import build_environment, note_existing
from resolvers.errors import ErrorCode
from resolvers.import_plan import plan_of_version
from resolvers.installation import Installation
from resolvers.operation_attempt import (
    Attempt,
    Conduct,
    ImportFailed,
    OperationFailed,
    drift_problem,
    problem_row,
    run_attempt,
    store_problem,
)
from resolvers.package_copy import copy_package, keep_copy
from resolvers.package_description import describe_package
from resolvers.package_inspection import add_scans, inspect
from resolvers.package_source import CONFIG_NAME
from resolvers.stored_package import describe_again
from resolvers.transaction import Transaction

STORE_ATTEMPTS = 4
STORE_RETRY_SECONDS = 1.0


async def run(installation: Installation, operation_id: UUID) -> None:
    """Import what an operation asks for. Ends it as SUCCEEDED or FAILED, or leaves it to a later attempt."""
    await run_attempt(installation, operation_id, Conduct("import", "retryImport tries again.", _import, _note_failure))


async def _import(attempt: Attempt) -> None:
    installation, row = attempt.installation, attempt.operation
    version = await model_version.find(installation.pool, row["workspace_id"], row["subject_id"])
    assert version is not None
    if version["imported_at"] is None:
        await _with_store_retries(attempt, version)
    else:
        await describe_again(attempt, version)
    version = await model_version.find(installation.pool, row["workspace_id"], row["subject_id"])
    assert version is not None
    if version["runtime"] is not None:
        await _build(attempt, version)
    async with attempt.transaction() as unit:
        await attempt.hold(unit)
        await model_version.set_status(unit.connection, row["workspace_id"], version["id"], "NORMAL", [])
        await operation.finish(unit.connection, row["workspace_id"], row["id"], "SUCCEEDED")
        unit.record("MODEL_VERSION_IMPORTED", version["id"], digest=version["digest"] and version["digest"].hex())


async def _with_store_retries(attempt: Attempt, version: Record) -> None:
    """A store that does not answer is asked again a few times before the import fails with its reason."""
    for number in range(1, STORE_ATTEMPTS + 1):
        try:
            await _inspect_and_copy(attempt, version)
        except StoreUnavailable as failure:
            if number == STORE_ATTEMPTS:
                raise ImportFailed("IMPORT_FAILED", [store_problem(failure)]) from failure
            await attempt.advance("WAITING_FOR_STORE")
            await asyncio.sleep(STORE_RETRY_SECONDS * 2 ** (number - 1))
        except StoreError as failure:
            raise ImportFailed("IMPORT_FAILED", [store_problem(failure)]) from failure
        else:
            return


async def _inspect_and_copy(attempt: Attempt, version: Record) -> None:
    installation = attempt.installation
    await attempt.advance("INSPECTING")
    plan = await plan_of_version(installation.pool, version)
    inspection = await inspect(installation, plan)
    if inspection.problems:
        await add_scans(installation, version["workspace_id"], inspection)
        raise ImportFailed("IMPORT_FAILED", inspection.problems, inspection.warnings)
    package = inspection.package
    assert package is not None
    description = describe_package(plan, inspection)
    async with attempt.transaction() as unit:
        await attempt.hold(unit)
        await model_version.describe(unit.connection, version["workspace_id"], version["id"], description)
    files = await copy_package(attempt, version, package.store, package) if package.store is not None else []
    await keep_copy(attempt, version, files, inspection.warnings)


async def _build(attempt: Attempt, version: Record) -> None:
    """Have the environment built, unless it exists already."""
    installation = attempt.installation
    try:
        environment = await environment_of(installation, version)
        if await installation.engine.is_built(environment):
            await note_existing(installation, version, environment)
            return
        await _enter_building(attempt, version)
        await _build_while_it_counts(attempt, version, environment)
    except BuildFailed as failure:
        problem = problem_row(
            ErrorCode.BUILD_FAILED,
            failure.message,
            file=CONFIG_NAME,
            pointer="/dependencies",
            actual=failure.requirement or failure.package,
            hint="The build's log says more. Name other dependencies or another runtime in retryImport.",
        )
        raise ImportFailed("BUILD_FAILED", [problem]) from failure
    except ArtifactDrift as drift:
        raise ImportFailed("BUILD_FAILED", [drift_problem(drift)]) from drift
    except EngineError as failure:
        hint = "The server's log tells more under the operation's id. retryImport tries again."
        raise ImportFailed("BUILD_FAILED", [problem_row(ErrorCode.BUILD_FAILED, str(failure), hint=hint)]) from failure
    except StoreError as failure:
        raise ImportFailed("BUILD_FAILED", [store_problem(failure)]) from failure


async def _build_while_it_counts(attempt: Attempt, version: Record, environment: EnvironmentSpecification) -> None:
    """A version that is deleted, or an attempt that another follows, holds no worker for the rest of a build."""
    try:
        async with asyncio.TaskGroup() as group:
            advancing = group.create_task(attempt.keep_advancing("BUILDING"))
            await build_environment(attempt.installation, version, environment)
            advancing.cancel()
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from failures


async def _enter_building(attempt: Attempt, version: Record) -> None:
    await attempt.advance("BUILDING")
    if version["status"] == "BUILDING":
        return
    async with attempt.transaction() as unit:
        await attempt.hold(unit)
        await model_version.set_status(unit.connection, version["workspace_id"], version["id"], "BUILDING", [])
        unit.record("MODEL_VERSION_BUILDING", version["id"])


async def _note_failure(attempt: Attempt, unit: Transaction, failure: OperationFailed) -> None:
    """Write down in the version why."""
    told = failure if isinstance(failure, ImportFailed) else ImportFailed("IMPORT_FAILED", [failure.problem])
    workspace_id, version_id = unit.workspace_id, attempt.operation["subject_id"]
    await environment_build.lose(unit.connection, workspace_id, version_id, "")
    await model_version.set_status(unit.connection, workspace_id, version_id, told.status, told.problems)
    if told.warnings:
        await model_version.set_warnings(unit.connection, workspace_id, version_id, told.warnings)
    unit.record(f"MODEL_VERSION_{told.status}", version_id, codes=[problem["code"] for problem in told.problems])
