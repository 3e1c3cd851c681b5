"""Builds of environments."""

from datetime import datetime
from enum import StrEnum

import strawberry

from gql.described_enum import described_enum
from gql.mapping import stored


class EnvironmentBuildState(StrEnum):
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


described_enum(
    EnvironmentBuildState,
    description="How far a build is.",
    values={"RUNNING": "It is being built.", "SUCCEEDED": "It was built.", "FAILED": "It could not be built."},
)


@stored("environment_build")
@strawberry.type(description="The build of a version's environment.")
class EnvironmentBuild:
    state: EnvironmentBuildState = strawberry.field(description="How far it is.")
    digest: str = strawberry.field(description="The environment's digest: versions that need the same share it.")
    runtime: str = strawberry.field(description="The interpreter it is built with.")
    requirements: list[str] = strawberry.field(description="What is installed, as pip requirements in order.")
    log: str = strawberry.field(
        description="What the build printed, while it goes on too; the last million characters."
    )
    started_at: datetime = strawberry.field(description="When it began.")
    finished_at: datetime | None = strawberry.field(description="When it ended.")
