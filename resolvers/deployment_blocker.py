"""Why a version cannot be deployed as a type."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from asyncpg import Record

from artifacts.ai_engine import AiEngine
from engines.engine import Capability
from engines.runtime_catalogue import resolve
from resolvers.deployment_type import DeploymentType
from resolvers.errors import ErrorCode, Refusal, UnsupportedByEngine
from resolvers.installation import Installation


@dataclass(frozen=True, slots=True)
class Deployable:
    """What of a version decides whether it can be deployed."""

    status: str
    model_name: str
    version: str
    deployment_types: Sequence[str]
    ai_engine: str | None
    runtime: str | None
    integrity_state: str | None


def deployable(row: Record) -> Deployable:
    return Deployable(**{each.name: row[each.name] for each in fields(Deployable)})


def deployment_blockers(
    installation: Installation, version: Deployable, deployment_type: DeploymentType
) -> list[Refusal]:
    """Why a version cannot be deployed as a type: none where it can."""
    if version.status != "NORMAL":
        return [
            Refusal(
                ErrorCode.MODEL_VERSION_NOT_READY,
                f"{version.model_name} {version.version} is {version.status}; only a NORMAL version can be deployed.",
                hint="Look at its problems, mend them, then retryImport."
                if version.status.endswith("FAILED")
                else "Wait until it is NORMAL.",
            )
        ]
    if deployment_type not in version.deployment_types:
        return [
            Refusal(
                ErrorCode.DEPLOYMENT_TYPE_NOT_CHOSEN,
                f"{deployment_type} was not chosen when {version.model_name} {version.version} was imported.",
                hint=f"It can be deployed as: {', '.join(version.deployment_types)}. Import another version for more.",
            )
        ]
    if version.integrity_state == "DRIFTED":
        return [
            Refusal(
                ErrorCode.ARTIFACT_DRIFT,
                f"Stored files of {version.model_name} {version.version} are not the ones that were imported.",
                hint="integrity tells which. Restore them or import the same package again; "
                "then verifyModelVersion looks again.",
            )
        ]
    if deployment_type is DeploymentType.EDGE:
        return _edge_blockers(version)
    engine = installation.engine
    if Capability(deployment_type.value) not in engine.capabilities:
        message = f"The engine {engine.name} does not run {deployment_type} services."
        return [UnsupportedByEngine(message, engine=engine.name, field="deploymentType")]
    if version.ai_engine == AiEngine.IMAGE:
        return [] if Capability.CONTAINER_IMAGE in engine.capabilities else [_no_containers(engine.name)]
    runtime = resolve(version.ai_engine or "", version.runtime)
    if runtime is None or not runtime.is_available:
        message = f"The engine {engine.name} has no environment for {version.ai_engine} models."
        return [UnsupportedByEngine(message, engine=engine.name, field="aiEngine")]
    return []


def _edge_blockers(version: Deployable) -> list[Refusal]:
    """The engine of this installation has no part in it: an edge node needs an environment, which its agent builds."""
    if version.ai_engine == AiEngine.IMAGE:
        return [UnsupportedByEngine("Edge nodes run no container images.", engine="edge", field="containerImage")]
    runtime = resolve(version.ai_engine or "", version.runtime)
    if runtime is None or not runtime.is_available:
        message = f"Edge nodes have no environment for {version.ai_engine} models."
        return [UnsupportedByEngine(message, engine="edge", field="aiEngine")]
    return []


def _no_containers(engine: str) -> Refusal:
    return UnsupportedByEngine(f"The engine {engine} runs no container images.", engine=engine, field="containerImage")
