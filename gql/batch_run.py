"""Runs of batch services, and the inputs of each."""

from datetime import datetime

import strawberry
from strawberry.scalars import JSON

from gql.connection import Connection
from gql.described_enum import described_enum
from gql.filter import Restriction, restriction
from gql.mapping import BY_NUMBER, stored
from gql.scalar import BigInt
from gql.storage_location import StorageLocation
from gql.stored_field import embedded, inline, to_many
from gql.user_error import PackageProblem, UserError
from resolvers.batch_configuration import BatchInputKind, BatchInputState, BatchMappingKind, BatchRunState

described_enum(
    BatchInputKind,
    description="How a batch service is told its inputs.",
    values={
        "PREFIX": "Every object below a folder is an input.",
        "MANIFEST": "An object names them, one on each line.",
    },
)
described_enum(
    BatchMappingKind,
    description="How an input becomes requests.",
    values={
        "FILE": "One request for each file.",
        "CSV": "One request for each row of each file.",
    },
)
described_enum(
    BatchRunState,
    description="How a run is.",
    values={
        "LISTING": "Its inputs are being listed.",
        "RUNNING": "The model is being asked, or its instances are awaited.",
        "STOPPED": "The service was stopped; it goes on where it was when the service is started.",
        "FINISHED": "Every input has ended, and at least one has a result.",
        "FAILED": "It could not begin, or all of its inputs failed; `error` says why.",
        "ABANDONED": "The service was changed before it ended.",
    },
)
described_enum(
    BatchInputState,
    description="How far an input is.",
    values={
        "PENDING": "It has not been answered yet.",
        "SUCCEEDED": "Its result is written.",
        "FAILED": "It has no result, or one without a single answer; `error` says why.",
    },
)


@stored("batch_configuration")
@strawberry.type(description="Where a batch service reads.")
class BatchSource:
    input_kind: BatchInputKind = strawberry.field(
        description="Whether that is a folder of inputs or a manifest.", name="kind"
    )
    location: StorageLocation = inline("input_", description="The folder, or the manifest.")


@stored("batch_configuration")
@strawberry.type(description="Where a batch service writes.")
class BatchOutput:
    output_store: str = strawberry.field(description="The name of a store that the operator configured.", name="store")
    output_key: str = strawberry.field(description="The folder of the results.", name="key")


@stored("batch_configuration")
@strawberry.type(description="How a batch service asks its model.")
class BatchMapping:
    kind: BatchMappingKind = strawberry.field(description="Whether a file or a row of it makes a request.")
    api_path: str = strawberry.field(description="The path of the API that is asked.")
    parameter: str | None = strawberry.field(description="The parameter that takes the file; null for rows.")
    rule: JSON | None = strawberry.field(description="Which column becomes which value; null for files.")
    max_concurrency: int = strawberry.field(description="How many requests are sent at once, at most.")


@stored("batch_input")
@strawberry.type(description="One input of a run.")
class BatchInput:
    number: BigInt = strawberry.field(description="Counts from 1 in its run; in a manifest, its line.")
    location: StorageLocation = inline("location_", description="Where it lies.")
    size_bytes: BigInt | None = strawberry.field(
        description="Its size when it was listed; null where a manifest names it."
    )
    state: BatchInputState = strawberry.field(description="How far it is.")
    result: StorageLocation | None = inline("result_", present="key", description="Where its result lies.")
    row_count: BigInt | None = strawberry.field(description="How many rows it has, where rows are asked.")
    failed_row_count: BigInt | None = strawberry.field(description="How many of them failed; the result tells which.")
    error: UserError | None = embedded("error", type=PackageProblem, description="Why it has no result.")
    finished_at: datetime | None = strawberry.field(description="When it ended.")


@strawberry.input(description="Which inputs.")
class BatchInputFilter:
    state: list[BatchInputState] | None = restriction(
        Restriction("state", orders=(BY_NUMBER.name,)), description="Only those in one of these states."
    )


@stored("batch_run")
@strawberry.type(description="One pass of a batch service over its inputs.")
class BatchRun:
    number: int = strawberry.field(description="Counts from 1 in its service.")
    state: BatchRunState = strawberry.field(description="How it is.")
    input_count: BigInt = strawberry.field(description="How many inputs it has; 0 until they are listed.")
    succeeded_count: BigInt = strawberry.field(description="How many have a result.")
    failed_count: BigInt = strawberry.field(description="How many failed.")
    progress: float | None = strawberry.field(description="The share of inputs that have ended, from 0 to 1.")
    error: UserError | None = embedded("error", type=PackageProblem, description="Why it failed.")
    started_at: datetime = strawberry.field(description="When it began.")
    finished_at: datetime | None = strawberry.field(description="When it ended.")
    inputs: Connection[BatchInput] = to_many(
        "batch_run_id",
        BY_NUMBER,
        filter=BatchInputFilter,
        description="Its inputs, in the order of their numbers; none where ten runs of the service are newer.",
    )
