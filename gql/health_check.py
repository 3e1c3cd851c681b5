"""How a container image says that it is well."""

import strawberry

from artifacts.health_check import HealthCheckMethod
from gql.described_enum import described_enum

described_enum(
    HealthCheckMethod,
    description="How an image is asked whether it is well.",
    values={"HTTP": "By a request to a path.", "EXEC": "By running a command in it."},
)


@strawberry.type(description="How a container image says that it is well.")
class HealthCheck:
    check_method: HealthCheckMethod = strawberry.field(description="How it is asked.")
    url: str | None = strawberry.field(description="The path that is asked.")
    command: str | None = strawberry.field(description="The command that is run.")
    initial_delay_seconds: int | None = strawberry.field(description="How long to wait before it is first asked.")
    timeout_seconds: int | None = strawberry.field(description="How long to wait for its answer.")
    period_seconds: int | None = strawberry.field(description="How long to wait between two questions.")
    failure_threshold: int | None = strawberry.field(description="How many failures in a row mean that it is not well.")


@strawberry.input(description="How a container image says that it is well.")
class HealthCheckInput:
    check_method: HealthCheckMethod = strawberry.field(default=HealthCheckMethod.HTTP, description="How it is asked.")
    url: str | None = strawberry.field(default=None, description="The path that is asked, with HTTP: /health.")
    command: str | None = strawberry.field(default=None, description="The command that is run, with EXEC.")
    initial_delay_seconds: int | None = strawberry.field(
        default=None, description="How long to wait before it is first asked."
    )
    timeout_seconds: int | None = strawberry.field(default=None, description="How long to wait for its answer.")
    period_seconds: int | None = strawberry.field(default=None, description="How long to wait between two questions.")
    failure_threshold: int | None = strawberry.field(
        default=None, description="How many failures in a row mean that it is not well."
    )

    def read(self) -> dict[str, object]:
        """The members that were given, in config.json's form."""
        return {key: value for key, value in vars(self).items() if value is not None}
