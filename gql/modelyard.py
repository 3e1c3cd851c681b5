"""Who is asking, and what this server can do."""

import strawberry

from db import reading
from engines.engine import Capability, IsolationLevel
from gql.context import Context, Info
from gql.described_enum import described_enum
from gql.scalar import BigInt
from gql.workspace import Workspace
from resolvers.installation import Installation
from resolvers.version import PROGRAM_VERSION

described_enum(
    IsolationLevel,
    description="How far the code of packages is kept from the server.",
    values={
        "BUBBLEWRAP": "Namespaces of its own: no network, a read-only view of what it needs, a user of its own.",
        "USER": "A user of its own, without capabilities and with a clean environment.",
        "NONE": "A clean environment only: the code runs as the server's user.",
    },
)
described_enum(
    Capability,
    description="What an engine can run.",
    values={
        "REAL_TIME": "Real-time services.",
        "BATCH": "Batch services.",
        "EDGE": "Edge services.",
        "CONTAINER_IMAGE": "Models that are container images.",
        "ACCELERATOR": "Instances with GPUs or Ascend processors.",
    },
)


@strawberry.type(description="The engine that runs services here.")
class EngineInfo:
    name: str = strawberry.field(description="The engine's name.")
    capabilities: list[Capability] = strawberry.field(description="What it can run.")
    isolation: IsolationLevel | None = strawberry.field(
        description="How far package code is kept from the server; null until a worker has taken the engine on."
    )
    isolation_note: str | None = strawberry.field(description="What that means on its machine, in a sentence.")


@strawberry.type(description="Something that this server does or does not do, for clients that serve several versions.")
class Feature:
    name: str = strawberry.field(description="The feature's name.")
    is_enabled: bool = strawberry.field(description="Whether it can be used here.")


@strawberry.type(description="What one request, upload or prediction may be at most.")
class Limits:
    page_size: int = strawberry.field(description="Nodes on one page of a connection.")
    query_depth: int = strawberry.field(description="Levels of fields in one operation.")
    query_cost: int = strawberry.field(description="Cost of one operation, by its page sizes.")
    model_file_bytes: BigInt = strawberry.field(description="Bytes of one file of a model package.")
    upload_expires_seconds: int = strawberry.field(
        description="How long the addresses of an upload's parts are good for."
    )
    prediction_body_bytes: BigInt = strawberry.field(description="Bytes of one prediction's body.")
    prediction_timeout_seconds: float = strawberry.field(description="How long one prediction may take.")


@strawberry.type(description="Whoever sent the request.")
class Viewer:
    name: str = strawberry.field(description="The name of the token that signed the request in.")


@strawberry.type(description="This server: who is asking, where, and what can be done here.")
class Modelyard:
    version: str = strawberry.field(description="The program's version.")
    region: str = strawberry.field(
        description="The installation's region; training jobs of another one are not imported."
    )
    engine: EngineInfo = strawberry.field(description="The engine that runs services.")
    features: list[Feature] = strawberry.field(description="What this server can do, by name.")
    limits: Limits = strawberry.field(description="What is accepted at most.")
    viewer: Viewer = strawberry.field(description="Who is asking.")
    workspace: Workspace = strawberry.field(description="The workspace that this request is about.")
    workspaces: list[Workspace] = strawberry.field(description="All workspaces that the request's token is good for.")


async def modelyard(info: Info) -> Modelyard:
    context = info.context
    return Modelyard(
        version=PROGRAM_VERSION,
        region=context.installation.rules.region,
        engine=await _engine(context.installation),
        features=[Feature(name=name, is_enabled=is_enabled) for name, is_enabled in _features(context.installation)],
        limits=_limits(context),
        viewer=Viewer(name=context.caller.actor),
        workspace=Workspace.of(context.caller.workspace),
        workspaces=[Workspace.of(workspace) for workspace in context.caller.workspaces],
    )


async def _engine(installation: Installation) -> EngineInfo:
    engine = installation.engine
    lease = await reading.engine_lease(installation.pool, engine.name)
    isolation = lease["isolation"] if lease else None
    return EngineInfo(
        name=engine.name,
        capabilities=sorted(engine.capabilities),
        isolation=IsolationLevel(isolation) if isolation else None,
        isolation_note=lease["isolation_note"] if lease else None,
    )


def _features(installation: Installation) -> list[tuple[str, bool]]:
    # Edge services run on their nodes, whatever engine this installation has.
    capabilities = {*installation.engine.capabilities, Capability.EDGE}
    return [
        ("strictModelArts", installation.rules.is_strict),
        *((f"deploy.{capability.value}", capability in capabilities) for capability in Capability),
    ]


def _limits(context: Context) -> Limits:
    rules = context.installation.rules
    return Limits(
        page_size=100,
        query_depth=context.limits.depth,
        query_cost=context.limits.cost,
        model_file_bytes=BigInt(rules.file_size_limit_bytes),
        upload_expires_seconds=rules.upload_expires_seconds,
        prediction_body_bytes=BigInt(rules.prediction_max_body_bytes),
        prediction_timeout_seconds=rules.prediction_timeout_seconds,
    )
