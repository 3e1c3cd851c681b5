"""Training jobs that ran elsewhere, and their versions."""

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import strawberry

from db.reading import Comparison
from gql.ai_engine import Architecture
from gql.audit_event import AuditEvent
from gql.connection import Connection
from gql.context import Context, Info
from gql.described_enum import described_enum
from gql.filter import (
    OrderDirection,
    Restriction,
    created_after,
    created_before,
    name_restriction,
    order_choice,
    order_direction,
    restriction,
)
from gql.identifier import Prefix
from gql.mapping import BY_NAME, NEWEST_NUMBER, OLDEST_ID, stored
from gql.node import Node
from gql.scalar import BigInt
from gql.storage_location import StorageLocation, StorageLocationInput
from gql.stored_field import by_key, computed, embedded, inline, newest, to_many, to_one
from gql.training_algorithm import TrainingAlgorithm, TrainingAlgorithmInput
from gql.user_error import UserError, outcome, user_error
from resolvers import training_job
from resolvers.import_blocker import Candidate, import_blockers
from resolvers.training_job import TrainingJobVersionStatus

if TYPE_CHECKING:
    from gql.model_version import ModelVersion

described_enum(
    TrainingJobVersionStatus,
    description="How far a training job version is.",
    values={
        "INITIALIZING": "It is being prepared.",
        "QUEUED": "It waits for resources.",
        "RUNNING": "It trains.",
        "STOPPING": "It is being stopped.",
        "STOPPED": "It was stopped before it ended.",
        "COMPLETED": "It ended well; its output can be imported.",
        "FAILED": "It ended with an error.",
        "LOST": "Nobody knows what became of it.",
    },
)


@strawberry.type(description="A parameter that a training job ran with.")
class TrainingParameter:
    name: str = strawberry.field(description="The parameter's name.")
    value: str = strawberry.field(description="Its value, as text.")


@strawberry.type(description="What a training job measured in the end.")
class TrainingMetric:
    name: str = strawberry.field(
        description="The metric's name; f1, recall, precision and accuracy are shown on models."
    )
    value: float = strawberry.field(description="Its value.")


@strawberry.type(
    description="What lay in a training job version's output when it was last looked at. Reports on a completed "
    "version, uploads and imports look; counting stops at 100,000 objects, or after five seconds."
)
class OutputContents:
    object_count: int = strawberry.field(description="How many objects it held.")
    size_bytes: BigInt = strawberry.field(description="Their size in all.")
    modified_at: datetime | None = strawberry.field(
        name="lastModifiedAt", description="When the newest of them was written; null where there was none."
    )
    checked_at: datetime = strawberry.field(description="When it was looked at.")
    is_newer_than_training: bool | None = strawberry.field(
        description="Whether something was written after the training ended, as config.json and code usually are; "
        "null where either time is not known."
    )


def _is_importable(context: Context, candidate: Candidate) -> bool:
    return not import_blockers(context.installation, candidate)


def _import_blockers(context: Context, candidate: Candidate) -> list[UserError]:
    return [user_error(blocker) for blocker in import_blockers(context.installation, candidate)]


@stored("training_job_version", prefix=Prefix.TRAINING_JOB_VERSION)
@strawberry.federation.type(description="One run of a training job.", keys=["id"])
class TrainingJobVersion(Node):
    name: str = strawberry.field(description="V0001, V0002 and so on.")
    training_job: Annotated["TrainingJob", strawberry.lazy("gql.training_job")] = to_one(
        "training_job_id", description="The job that it is a version of."
    )
    status: TrainingJobVersionStatus = strawberry.field(description="How far it is.")
    status_message: str | None = strawberry.field(description="What was reported beside the status.")
    revision: int = strawberry.field(description="Counts its changes.")
    algorithm: TrainingAlgorithm = inline(
        "algorithm_", type_column="algorithm_type", description="What it was trained with."
    )
    parameters: list[TrainingParameter] = embedded("parameters", description="What it ran with.")
    metrics: list[TrainingMetric] = embedded("metrics", description="What it measured.")
    architecture: Architecture | None = strawberry.field(description="The processors it ran on.")
    region: str | None = strawberry.field(description="Where its output lies; it can be imported in the same region.")
    output: StorageLocation = inline("output_", description="Where it leaves its output.")
    model_directory: StorageLocation | None = inline(
        "model_directory_",
        present="key",
        description="Where its model package goes: the folder for config.json. Null where the output was granted: "
        "then the import looks for the version's own model folder, and for one shared by all versions.",
    )
    output_contents: OutputContents | None = inline(
        "contents_", present="checked_at", description="What lies in its output; null until that was looked at."
    )
    created_at: datetime = strawberry.field(description="When it was recorded.")
    started_at: datetime | None = strawberry.field(description="When it began to run.")
    finished_at: datetime | None = strawberry.field(description="When it ended.")
    duration_seconds: float | None = strawberry.field(description="How long it ran.")
    is_importable: bool = computed(
        _is_importable,
        description="Whether it can be imported, as of the last look at its output; importModel looks again.",
    )
    import_blockers: list[UserError] = computed(
        _import_blockers, description="Everything that keeps it from being imported; empty where nothing does."
    )
    imported_as: Connection[Annotated["ModelVersion", strawberry.lazy("gql.model_version")]] = to_many(
        "training_job_version_id", description="The model versions that were imported from it, the newest first."
    )
    audit_events: Connection[AuditEvent] = to_many(
        "subject_id", NEWEST_NUMBER, description="What happened to it, the newest first."
    )


@stored("training_job", prefix=Prefix.TRAINING_JOB)
@strawberry.federation.type(
    description="A training job: the runs of one training, as its versions.", keys=["id", "name"]
)
class TrainingJob(Node):
    name: str = strawberry.field(description="Its name, unique in the workspace.")
    description: str | None = strawberry.field(description="What it is about.")
    revision: int = strawberry.field(description="Counts its changes.")
    created_at: datetime = strawberry.field(description="When it was first recorded.")
    created_by: str | None = strawberry.field(description="The token that recorded it.")
    versions: Connection[TrainingJobVersion] = to_many(
        "training_job_id", NEWEST_NUMBER, description="Its versions, the newest first."
    )
    latest_version: TrainingJobVersion | None = newest(
        "training_job_id", NEWEST_NUMBER, description="Its newest version."
    )


@strawberry.input(one_of=True, description="Which training job: by its id, or by its name.")
class TrainingJobBy:
    id: strawberry.Maybe[strawberry.ID] = strawberry.field(description="The job's id.")
    name: strawberry.Maybe[str] = strawberry.field(description="The job's name.")


@strawberry.input(description="Which training jobs.")
class TrainingJobFilter:
    name_starts_with: str | None = name_restriction()


class TrainingJobOrderField(StrEnum):
    CREATED_AT = "CREATED_AT"
    NAME = "NAME"


described_enum(
    TrainingJobOrderField,
    description="What training jobs can be ordered by.",
    values={"CREATED_AT": "When it was first recorded.", "NAME": "Its name, by code points."},
)


@strawberry.input(description="In which order.")
class TrainingJobOrder:
    field: TrainingJobOrderField = order_choice(
        {TrainingJobOrderField.CREATED_AT: OLDEST_ID, TrainingJobOrderField.NAME: BY_NAME}
    )
    direction: OrderDirection = order_direction()


class TrainingAlgorithmKind(StrEnum):
    BUILT_IN = "BUILT_IN"
    FRAMEWORK = "FRAMEWORK"
    CUSTOM_IMAGE = "CUSTOM_IMAGE"


described_enum(
    TrainingAlgorithmKind,
    description="What sort of algorithm a version was trained with.",
    values={
        "BUILT_IN": "One that comes with this server.",
        "FRAMEWORK": "A program of the user's, with one of the usual frameworks.",
        "CUSTOM_IMAGE": "A container image of the user's.",
    },
)


def _importable_region(_given: object, context: Context) -> str:
    """Where a version has to lie. No region has the empty name: an Arm version imports from none."""
    rules = context.installation.rules
    return "" if rules.is_arm_version else rules.region


@strawberry.input(description="Which versions.")
class TrainingJobVersionFilter:
    status: list[TrainingJobVersionStatus] | None = restriction(
        Restriction("status"), description="Only those in one of these states."
    )
    training_job_name: str | None = restriction(
        Restriction("training_job_id", named_in="training_job"), description="Only those of this job."
    )
    is_importable: bool | None = restriction(
        Restriction("importable_region", read=_importable_region, when_false=Comparison.DISTINCT),
        description="Only those that can be imported, or that cannot.",
    )
    algorithm: list[TrainingAlgorithmKind] | None = restriction(
        Restriction("algorithm_kind"), description="Only those that were trained with one of these."
    )
    created_after: datetime | None = created_after()
    created_before: datetime | None = created_before()


class TrainingJobVersionOrderField(StrEnum):
    CREATED_AT = "CREATED_AT"


described_enum(
    TrainingJobVersionOrderField,
    description="What versions of training jobs can be ordered by.",
    values={"CREATED_AT": "When it was recorded."},
)


@strawberry.input(description="In which order.")
class TrainingJobVersionOrder:
    field: TrainingJobVersionOrderField = order_choice({TrainingJobVersionOrderField.CREATED_AT: OLDEST_ID})
    direction: OrderDirection = order_direction()


@strawberry.input(description="A parameter that the job ran with.")
class TrainingParameterInput:
    name: str = strawberry.field(description="The parameter's name.")
    value: str = strawberry.field(description="Its value, as text.")


@strawberry.input(description="What the job measured.")
class TrainingMetricInput:
    name: str = strawberry.field(
        description="The metric's name; f1, recall, precision and accuracy are shown on models."
    )
    value: float = strawberry.field(description="Its value.")

    def read(self) -> training_job.Metric:
        return training_job.Metric(self.name, self.value)


@strawberry.input(description="A job that runs or ran elsewhere. Each call makes a new version of it.")
class RecordTrainingJobVersionInput:
    training_job_name: str = strawberry.field(
        description="The job, made where it is new: 1 to 64 letters A to Z, digits, hyphens and underscores."
    )
    algorithm: TrainingAlgorithmInput = strawberry.field(description="What it was trained with.")
    description: str | None = strawberry.field(default=None, description="What the job is about.")
    status: TrainingJobVersionStatus = strawberry.field(
        default=TrainingJobVersionStatus.COMPLETED, description="How far the run is."
    )
    parameters: list[TrainingParameterInput] | None = strawberry.field(default=None, description="What it ran with.")
    metrics: list[TrainingMetricInput] | None = strawberry.field(default=None, description="What it measured.")
    architecture: Architecture | None = strawberry.field(default=None, description="The processors it ran on.")
    region: str | None = strawberry.field(
        default=None, description="Where its output lies; this installation's if left out."
    )
    output: StorageLocationInput | None = strawberry.field(
        default=None,
        description="Where its output lies, in a granted prefix. Leave it out to be assigned a place to upload to.",
    )
    started_at: datetime | None = strawberry.field(default=None, description="When it began to run.")
    finished_at: datetime | None = strawberry.field(default=None, description="When it ended.")
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same key with the same input gets the first answer again."
    )

    def read(self) -> training_job.RecordRequest:
        return training_job.RecordRequest(
            training_job_name=self.training_job_name,
            description=self.description,
            algorithm=self.algorithm.read(),
            status=self.status,
            parameters=[training_job.Parameter(given.name, given.value) for given in self.parameters or ()],
            metrics=[metric.read() for metric in self.metrics or ()],
            architecture=self.architecture,
            region=self.region,
            output=self.output.read() if self.output else None,
            started_at=self.started_at,
            finished_at=self.finished_at,
        )


@strawberry.type(description="What recordTrainingJobVersion did.")
class RecordTrainingJobVersionPayload:
    training_job_version: TrainingJobVersion | None = by_key("version_id", description="The new version, or null.")
    errors: list[UserError] = strawberry.field(description="Everything that was wrong; empty where it was done.")
    version_id: strawberry.Private[UUID | None]


async def record_training_job_version(
    info: Info, input: Annotated[RecordTrainingJobVersionInput, strawberry.argument(description="The run.")]
) -> RecordTrainingJobVersionPayload:
    context = info.context
    version_id, errors = await outcome(
        training_job.record(context.installation, context.caller, input.read(), idempotency_key=input.idempotency_key)
    )
    return RecordTrainingJobVersionPayload(version_id=version_id, errors=errors)


@strawberry.input(description="What became of a version. What is left out stays as it was.")
class ReportTrainingJobVersionInput:
    training_job_name: str = strawberry.field(description="The job.")
    version_name: str = strawberry.field(description="The version, such as V0001.")
    status: TrainingJobVersionStatus | None = strawberry.field(default=None, description="How far it is now.")
    status_message: str | None = strawberry.field(default=None, description="Something about the status, for people.")
    metrics: list[TrainingMetricInput] | None = strawberry.field(
        default=None, description="What it measured, in place of what was known."
    )
    started_at: datetime | None = strawberry.field(default=None, description="When it began to run.")
    finished_at: datetime | None = strawberry.field(default=None, description="When it ended.")
    expected_revision: int | None = strawberry.field(
        default=None, description="The revision you read; with another one nothing is changed."
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same key with the same input gets the first answer again."
    )

    def read(self) -> training_job.ReportRequest:
        return training_job.ReportRequest(
            training_job_name=self.training_job_name,
            version_name=self.version_name,
            status=self.status,
            status_message=self.status_message,
            metrics=None if self.metrics is None else [metric.read() for metric in self.metrics],
            started_at=self.started_at,
            finished_at=self.finished_at,
            expected_revision=self.expected_revision,
        )


@strawberry.type(description="What reportTrainingJobVersion did.")
class ReportTrainingJobVersionPayload:
    training_job_version: TrainingJobVersion | None = by_key(
        "version_id", description="The version as it is now, or null."
    )
    errors: list[UserError] = strawberry.field(description="Everything that was wrong; empty where it was done.")
    version_id: strawberry.Private[UUID | None]


async def report_training_job_version(
    info: Info, input: Annotated[ReportTrainingJobVersionInput, strawberry.argument(description="The report.")]
) -> ReportTrainingJobVersionPayload:
    context = info.context
    version_id, errors = await outcome(
        training_job.report(context.installation, context.caller, input.read(), idempotency_key=input.idempotency_key)
    )
    return ReportTrainingJobVersionPayload(version_id=version_id, errors=errors)
