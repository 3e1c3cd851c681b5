"""What stands against importing a training job version, as far as our own rows and the settings show."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from asyncpg import Record

from resolvers.errors import ErrorCode, Refusal
from resolvers.installation import Installation
from resolvers.training_job import TrainingJobVersionStatus

PATH = ("source", "trainingJob")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A training job version, by columns of its view. An output that nobody could look at yet has no object count."""

    status: str
    region: str
    output_store: str
    output_key: str
    contents_object_count: int | None

    @classmethod
    def of(cls, row: Record) -> Self:
        """By the columns of its table."""
        return cls(row["status"], row["region"], row["output_store"], row["output_key"], row["output_object_count"])


def import_blockers(installation: Installation, candidate: Candidate) -> list[Refusal]:
    """Everything that keeps a version from being imported (modelarts_23_0054, Background)."""
    return [*arm_violations(installation, path=PATH), *output_violations(installation, candidate)]


def arm_violations(installation: Installation, *, path: Sequence[str]) -> Iterator[Refusal]:
    """ModelArts of the Arm version imports neither from training (modelarts_23_0054) nor from storage (23_0207)."""
    if installation.rules.is_arm_version:
        yield Refusal(
            ErrorCode.ARM_UNSUPPORTED,
            "This installation is an Arm version: it imports neither from training jobs nor from object storage.",
            path=path,
            hint="Import with a template or from a container image, "
            "or ask the operator to turn MODELYARD_ARM_VERSION off.",
        )


def output_violations(installation: Installation, candidate: Candidate) -> Iterator[Refusal]:
    """Whether the job completed, in this region, and left something."""
    path = [*PATH, "versionName"]
    if candidate.status != TrainingJobVersionStatus.COMPLETED:
        yield Refusal(
            ErrorCode.TRAINING_JOB_NOT_COMPLETED,
            f"The training job version is {candidate.status}; only a COMPLETED one can be imported.",
            path=path,
            hint="Wait for it to end; reportTrainingJobVersion tells this server what became of it.",
        )
    region = installation.rules.region
    if candidate.region != region:
        yield Refusal(
            ErrorCode.REGION_MISMATCH,
            f"The output lies in the region {candidate.region!r}, this installation in {region!r}.",
            path=path,
            hint="Import it where it was trained, or record the job anew with its output in this region.",
        )
    if not candidate.contents_object_count:
        yield _nothing_found(candidate, path)


def _nothing_found(candidate: Candidate, path: Sequence[str]) -> Refusal:
    output = f"{candidate.output_store}:{candidate.output_key}"
    if candidate.contents_object_count is None:
        return Refusal(
            ErrorCode.STORE_UNAVAILABLE,
            f"What the output holds is not known: nobody has looked, or its store did not answer. It is {output}.",
            path=path,
            hint="It is looked at within the hour where its store answers; importModel looks at once.",
        )
    return Refusal(
        ErrorCode.OUTPUT_EMPTY,
        f"The output holds nothing: {output}.",
        path=path,
        hint=f"Upload the model package to {output}/model, so that config.json becomes {output}/model/config.json.",
    )
