"""Training jobs that ran elsewhere: recorded, and told later what became of them."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from asyncpg import Record

from artifacts.ai_engine import AiEngine
from artifacts.built_in_algorithm import built_in_algorithms, find_built_in_algorithm
from db import training_job
from resolvers import field_rule
from resolvers.caller import Caller
from resolvers.errors import ErrorCode, Refusal, along_with, invalid, not_found, raise_all, revision_violations
from resolvers.idempotency import once
from resolvers.installation import Installation
from resolvers.location import Location, assigned, granted
from resolvers.training_output import look, look_again, look_if_completed
from resolvers.transaction import Transaction, transaction

PARAMETERS = 200
METRICS = 200
TEXT_LENGTH = 4_000


class TrainingJobVersionStatus(StrEnum):
    INITIALIZING = "INITIALIZING"
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    LOST = "LOST"


# A job that has ended stays as it ended (modelarts_03_0074); only LOST is a guess that a report may mend.
ENDED = frozenset(
    {TrainingJobVersionStatus.STOPPED, TrainingJobVersionStatus.COMPLETED, TrainingJobVersionStatus.FAILED}
)


@dataclass(frozen=True, slots=True)
class Algorithm:
    """Exactly one of the three: a built-in algorithm's name, a framework's engine, or an image."""

    built_in: str | None = None
    ai_engine: AiEngine | None = None
    ai_engine_version: str | None = None
    image: str | None = None


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Metric:
    name: str
    value: float


@dataclass(frozen=True, slots=True)
class RecordRequest:
    training_job_name: str
    description: str | None
    algorithm: Algorithm
    status: TrainingJobVersionStatus
    parameters: Sequence[Parameter]
    metrics: Sequence[Metric]
    architecture: str | None
    region: str | None
    output: Location | None
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class ReportRequest:
    training_job_name: str
    version_name: str
    status: TrainingJobVersionStatus | None
    status_message: str | None
    metrics: Sequence[Metric] | None
    started_at: datetime | None
    finished_at: datetime | None
    expected_revision: int | None


def version_number(name: str) -> int | None:
    """The number in a version's name: 1 for V0001, and for V1 or V001, which older jobs are called."""
    digits = name[1:]
    if name[:1] not in ("V", "v") or not digits.isascii() or not digits.isdigit() or len(digits) > 9:
        return None
    return int(digits) or None


async def record(
    installation: Installation, caller: Caller, request: RecordRequest, *, idempotency_key: str | None
) -> UUID:
    """Store a version of a job, and the job itself where it is new. Its name and output location are assigned.

    Raises Refusals: everything that is wrong with the request.
    """
    refusals = _violations(installation, request)
    async with transaction(installation.pool, caller.workspace.id, caller.actor) as unit:

        async def act() -> UUID:
            return await _insert(installation, unit, request, refusals)

        version_id = await once(
            unit, mutation="recordTrainingJobVersion", key=idempotency_key, request=asdict(request), act=act
        )
    if request.output is not None:
        await look(installation, caller.workspace.id, version_id)
    return version_id


async def _insert(
    installation: Installation, unit: Transaction, request: RecordRequest, refusals: Sequence[Refusal]
) -> UUID:
    output = request.output and await along_with(refusals, granted(installation, unit, request.output, path=["output"]))
    raise_all(refusals)
    job_id, number = await training_job.next_number(
        unit.connection, unit.workspace_id, request.training_job_name, request.description, unit.actor
    )
    location = output or assigned(unit.workspace_id, job_id, f"V{number:04d}")
    row = await training_job.insert_version(
        unit.connection,
        unit.workspace_id,
        job_id,
        number,
        _new_version(request, location, request.region or installation.rules.region),
        unit.actor,
    )
    version_id: UUID = row["id"]
    unit.record("TRAINING_JOB_VERSION_RECORDED", version_id, trainingJob=request.training_job_name, version=row["name"])
    return version_id


def _new_version(request: RecordRequest, location: Location, region: str) -> training_job.NewVersion:
    algorithm = request.algorithm
    return training_job.NewVersion(
        status=request.status.value,
        algorithm_kind="BUILT_IN" if algorithm.built_in else "FRAMEWORK" if algorithm.ai_engine else "CUSTOM_IMAGE",
        built_in_algorithm=algorithm.built_in,
        ai_engine=algorithm.ai_engine,
        ai_engine_version=algorithm.ai_engine_version,
        image=algorithm.image,
        parameters=[asdict(parameter) for parameter in request.parameters],
        metrics=[asdict(metric) for metric in request.metrics],
        architecture=request.architecture,
        region=region,
        output_store=location.store,
        output_key=location.key,
        is_output_assigned=request.output is None,
        started_at=request.started_at,
        finished_at=request.finished_at,
    )


async def report(
    installation: Installation, caller: Caller, request: ReportRequest, *, idempotency_key: str | None
) -> UUID:
    """Say what became of a version. What a report leaves out stays as it was; its output is looked at anew."""
    refusals = [*_metric_violations(request.metrics or ()), *_message_violations(request.status_message)]
    async with transaction(installation.pool, caller.workspace.id, caller.actor) as unit:

        async def act() -> UUID:
            return await _report(unit, request, refusals)

        version_id = await once(
            unit, mutation="reportTrainingJobVersion", key=idempotency_key, request=asdict(request), act=act
        )
    await look_if_completed(installation, caller.workspace.id, version_id)
    return version_id


async def _report(unit: Transaction, request: ReportRequest, refusals: Sequence[Refusal]) -> UUID:
    version_id = await along_with(
        refusals, find_version_id(unit, request.training_job_name, request.version_name, path=[])
    )
    row = await training_job.lock_version(unit.connection, unit.workspace_id, version_id)
    assert row is not None
    raise_all([*refusals, *_report_violations(request, row)])
    metrics = None if request.metrics is None else [asdict(metric) for metric in request.metrics]
    change = training_job.Report(
        request.status, request.status_message, metrics, request.started_at, request.finished_at
    )
    await training_job.report(unit.connection, unit.workspace_id, version_id, change)
    unit.record("TRAINING_JOB_VERSION_REPORTED", version_id, status=request.status or row["status"])
    return version_id


def _report_violations(request: ReportRequest, row: Record) -> Iterator[Refusal]:
    """What is wrong with a report by what is known of the version."""
    yield from revision_violations(request.expected_revision, row["revision"])
    if row["status"] in ENDED and request.status not in (None, row["status"]):
        yield Refusal(
            ErrorCode.INVALID_STATE,
            f"{request.version_name} has ended as {row['status']} and cannot become {request.status}.",
            path=["status"],
            hint="Record another version of the job for another run.",
        )
    yield from _time_violations(request.started_at or row["started_at"], request.finished_at or row["finished_at"])


async def find_version_id(unit: Transaction, training_job_name: str, version_name: str, *, path: Sequence[str]) -> UUID:
    """The id of a job's version in the caller's workspace. Raises Refusal (NOT_FOUND) that says which there are."""
    number = version_number(version_name)
    if number is not None:
        found = await training_job.find_version_id(unit.connection, unit.workspace_id, training_job_name, number)
        if found is not None:
            return found
    names = await training_job.version_names(unit.connection, unit.workspace_id, training_job_name)
    if not names:
        raise not_found(f"training job named {training_job_name!r}", path=[*path, "trainingJobName"])
    raise not_found(
        f"version {version_name!r} of the training job {training_job_name!r}",
        path=[*path, "versionName"],
        hint=f"Its newest versions: {', '.join(names)}.",
    )


async def look_at_output(installation: Installation, caller: Caller, training_job_name: str, version_name: str) -> None:
    """Learn what a version's output holds by now: files may have been put there without a report."""
    number = version_number(version_name)
    if number is not None:
        workspace_id = caller.workspace.id
        found = await training_job.find_version_id(installation.pool, workspace_id, training_job_name, number)
        if found is not None:
            await look_again(installation, workspace_id, found)


def _violations(installation: Installation, request: RecordRequest) -> list[Refusal]:
    return [
        *field_rule.training_job_name(request.training_job_name, path=["trainingJobName"]),
        *field_rule.description(request.description, is_strict=installation.rules.is_strict, path=["description"]),
        *_algorithm_violations(request.algorithm),
        *_parameter_violations(request.parameters),
        *_metric_violations(request.metrics),
        *_time_violations(request.started_at, request.finished_at),
        *_region_violations(request.region),
    ]


def _algorithm_violations(algorithm: Algorithm) -> list[Refusal]:
    if algorithm.built_in is not None and find_built_in_algorithm(algorithm.built_in) is None:
        names = ", ".join(entry.name for entry in built_in_algorithms())
        return [
            not_found(
                f"built-in algorithm named {algorithm.built_in!r}",
                path=["algorithm", "builtIn", "name"],
                hint=f"There are: {names}.",
            )
        ]
    if algorithm.image is not None and not _is_text(algorithm.image, 512):
        return [invalid("An image's address has 1 to 512 characters.", path=["algorithm", "customImage", "image"])]
    if algorithm.ai_engine_version is not None and not _is_text(algorithm.ai_engine_version, 64):
        return [invalid("A framework's version has 1 to 64 characters.", path=["algorithm", "framework", "version"])]
    return []


def _is_text(value: str, limit: int) -> bool:
    return 1 <= len(value) <= limit and "\0" not in value


def _parameter_violations(parameters: Sequence[Parameter]) -> list[Refusal]:
    refusals = []
    if len(parameters) > PARAMETERS:
        refusals.append(invalid(f"A version has at most {PARAMETERS} parameters.", path=["parameters"]))
    names = [parameter.name for parameter in parameters]
    for position, parameter in enumerate(parameters[:PARAMETERS]):
        path = ["parameters", str(position)]
        if not _is_text(parameter.name, 256):
            refusals.append(invalid("A parameter's name has 1 to 256 characters.", path=[*path, "name"]))
        if parameter.name in names[:position]:
            refusals.append(invalid(f"The parameter {parameter.name!r} is given twice.", path=[*path, "name"]))
        if len(parameter.value) > TEXT_LENGTH or "\0" in parameter.value:
            refusals.append(
                invalid(f"A parameter's value has at most {TEXT_LENGTH} characters.", path=[*path, "value"])
            )
    return refusals


def _metric_violations(metrics: Sequence[Metric]) -> list[Refusal]:
    refusals = []
    if len(metrics) > METRICS:
        refusals.append(invalid(f"A version has at most {METRICS} metrics.", path=["metrics"]))
    names = [metric.name for metric in metrics]
    for position, metric in enumerate(metrics[:METRICS]):
        path = ["metrics", str(position)]
        if not _is_text(metric.name, 256):
            refusals.append(invalid("A metric's name has 1 to 256 characters.", path=[*path, "name"]))
        if metric.name in names[:position]:
            refusals.append(invalid(f"The metric {metric.name!r} is given twice.", path=[*path, "name"]))
        if not math.isfinite(metric.value):
            refusals.append(invalid("A metric's value is a finite number.", path=[*path, "value"]))
    return refusals


def _message_violations(message: str | None) -> list[Refusal]:
    if message is not None and (len(message) > TEXT_LENGTH or "\0" in message):
        return [invalid(f"A status message has at most {TEXT_LENGTH} characters.", path=["statusMessage"])]
    return []


def _time_violations(started_at: datetime | None, finished_at: datetime | None) -> list[Refusal]:
    if started_at and finished_at and finished_at < started_at:
        return [invalid("A job cannot have finished before it started.", path=["finishedAt"])]
    return []


def _region_violations(region: str | None) -> list[Refusal]:
    if region is not None and not _is_text(region, 64):
        return [invalid("A region has 1 to 64 characters.", path=["region"])]
    return []
