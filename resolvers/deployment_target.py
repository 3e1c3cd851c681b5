"""Making ready what a service's target needs before an instance can start: its environment and its package's files."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import structlog
from asyncpg import Record

from artifacts.package_directory import PackageEntry, materialise
from db import model_version
from engines.engine import EngineError, EnvironmentSpecification, InstanceSpecification
from resolvers.installation import Installation

logger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class PreparedTarget:
    target: Record
    version: Record
    environment: EnvironmentSpecification
    package_directory: Path


async def environment_of(installation: Installation, version: Record) -> EnvironmentSpecification:
    """The environment that a version was imported with. Its wheels are laid out with its package.

    Raises StoreError, ArtifactDrift and EngineError.
    """
    names = [dependency["package"] for dependency in version["dependencies"]]
    wheels = [name for name in names if name.endswith(".whl")]
    directory = await lay_out(installation, version) if wheels else installation.packages
    return EnvironmentSpecification(
        version["runtime"], tuple(version["requirements"] or ()), tuple(directory / name for name in wheels)
    )


async def lay_out(installation: Installation, version: Record) -> Path:
    """The folder with the package's files, each verified against its digest.

    Raises StoreError, ArtifactDrift, and EngineError where the folder cannot be written.
    """
    directory = installation.packages / str(version["id"])
    rows = await model_version.all_files(installation.pool, version["workspace_id"], version["id"])
    entries = [PackageEntry(row["path"], row["size_bytes"], row["sha256"].hex()) for row in rows]
    try:
        await materialise(installation.blobs, entries, directory)
    except OSError as failure:
        raise EngineError(f"The package's folder could not be written: {failure.strerror or failure}.") from failure
    return directory


async def prepare(
    installation: Installation, target: Record, tell: Callable[[str, Record], Awaitable[None]]
) -> PreparedTarget:
    """Lay out the package, and build its environment where that has gone missing; `tell` hears each step.

    Raises EngineError, StoreError and ArtifactDrift.
    """
    version = await model_version.find(installation.pool, target["workspace_id"], target["model_version_id"])
    if version is None or version["runtime"] is None:
        raise EngineError("The version was not imported with an environment.")
    await tell("SERVICE_MODEL_FETCHING", version)
    directory = await lay_out(installation, version)
    await tell("SERVICE_MODEL_FETCHED", version)
    await tell("SERVICE_ENVIRONMENT_PREPARING", version)
    environment = await environment_of(installation, version)
    if not await installation.engine.is_built(environment):
        await installation.engine.build(
            environment, log=_log_rebuild, timeout_seconds=installation.rules.build_timeout_seconds
        )
    await tell("SERVICE_ENVIRONMENT_PREPARED", version)
    return PreparedTarget(target, version, environment, directory)


def instance_specification(
    installation: Installation, prepared: PreparedTarget, instance: Record
) -> InstanceSpecification:
    target, version = prepared.target, prepared.version
    return InstanceSpecification(
        instance_id=str(instance["id"]),
        service_id=str(target["service_id"]),
        environment=prepared.environment,
        package_directory=prepared.package_directory,
        model_path=version["model_path"],
        ai_engine=version["ai_engine"],
        model_name=version["model_name"],
        model_version=version["version"],
        apis=tuple(version["apis"]),
        environment_variables={variable["name"]: variable["value"] for variable in target["environment"]},
        cpu_count=target["cpu_count"],
        memory_bytes=target["memory_bytes"],
        timeout_seconds=installation.rules.prediction_timeout_seconds,
        max_body_bytes=installation.rules.prediction_max_body_bytes,
    )


def _log_rebuild(line: str) -> None:
    logger.info("environment is built anew", line=line)
