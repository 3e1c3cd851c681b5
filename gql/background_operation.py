"""Background operations: slow work that a mutation asked for."""

from datetime import datetime
from enum import StrEnum

import strawberry

from gql.described_enum import described_enum
from gql.filter import Restriction, restriction
from gql.identifier import Prefix
from gql.mapping import stored
from gql.node import Node
from gql.stored_field import embedded
from gql.user_error import PackageProblem, UserError
from resolvers.operation import OperationKind


class BackgroundOperationState(StrEnum):
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


described_enum(
    BackgroundOperationState,
    description="How far an operation is.",
    values={
        "QUEUED": "It waits for a worker.",
        "RUNNING": "It is being done, or is taken up again after an interruption.",
        "SUCCEEDED": "It is done.",
        "FAILED": "It ended without its result; `error` says why.",
        "CANCELLED": "It was broken off: somebody asked for that, or for something else, before it was done.",
    },
)
described_enum(
    OperationKind,
    name="BackgroundOperationKind",
    description="What an operation does.",
    values={
        "IMPORT_MODEL": "Imports a model version.",
        "VERIFY_MODEL_VERSION": "Reads a version's stored files again and compares them with its manifest.",
        "CLEAN_UP": "Lets go of what nobody needs any more.",
        "DEPLOY_SERVICE": "Deploys a new service.",
        "UPDATE_SERVICE": "Brings another configuration of a service into force.",
        "ROLL_BACK_SERVICE": "Brings an earlier configuration of a service back into force.",
        "RESTART_SERVICE": "Puts new instances in the place of all that a service has.",
        "START_SERVICE": "Starts a stopped service.",
        "STOP_SERVICE": "Stops a service.",
        "DELETE_SERVICE": "Ends a service for good.",
    },
)


@stored("background_operation", prefix=Prefix.BACKGROUND_OPERATION)
@strawberry.type(description="Slow work that a mutation asked for. It outlives restarts of the server.")
class BackgroundOperation(Node):
    kind: OperationKind = strawberry.field(description="What it does.")
    state: BackgroundOperationState = strawberry.field(description="How far it is.")
    stage: str | None = strawberry.field(description="What it is at, such as COPYING; null before it begins.")
    progress: float | None = strawberry.field(
        description="How much of the stage is done, from 0 to 1, where that is known."
    )
    attempts: int = strawberry.field(description="How often it was begun.")
    error: UserError | None = embedded(
        "error", type=PackageProblem, description="Why it failed; the object it works on tells everything."
    )
    created_at: datetime = strawberry.field(description="When it was asked for.")
    created_by: str = strawberry.field(description="The token that asked for it.")
    started_at: datetime | None = strawberry.field(description="When it was first begun.")
    finished_at: datetime | None = strawberry.field(description="When it ended.")


@strawberry.input(description="Which operations.")
class BackgroundOperationFilter:
    state: BackgroundOperationState | None = restriction(Restriction("state"), description="Only those in this state.")
    kind: list[OperationKind] | None = restriction(Restriction("kind"), description="Only those of one of these kinds.")
