"""The four places that a model can be imported from (modelarts_23_0052): what a request names, looked up."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias, assert_never

from asyncpg import Record

from artifacts.image_reference import image_reference_fault
from artifacts.input_output_mode import InputOutputMode
from artifacts.model_template import ModelTemplate, find_model_template, model_templates
from db import model_version, training_job
from resolvers.api_choice import health_violations
from resolvers.errors import ErrorCode, Refusal, along_with, invalid, raise_all
from resolvers.import_blocker import Candidate, arm_violations, output_violations
from resolvers.installation import Installation
from resolvers.location import Location, readable
from resolvers.training_job import find_version_id
from resolvers.transaction import Transaction

COMMAND_LENGTH = 1_000


class SourceKind(StrEnum):
    TRAINING_JOB = "TRAINING_JOB"
    OBJECT_STORAGE = "OBJECT_STORAGE"
    TEMPLATE = "TEMPLATE"
    CONTAINER_IMAGE = "CONTAINER_IMAGE"
    MARKET = "MARKET"


@dataclass(frozen=True, slots=True)
class TrainingJobSource:
    training_job_name: str
    version_name: str


@dataclass(frozen=True, slots=True)
class ObjectStorageSource:
    """`location` is a `model` directory or its parent."""

    location: Location


@dataclass(frozen=True, slots=True)
class TemplateSource:
    template: str
    location: Location
    input_output_mode: InputOutputMode | None


@dataclass(frozen=True, slots=True)
class ContainerImageSource:
    """`config_location` is that of a config.json, or of the folder that holds one."""

    image: str
    command: str | None
    health_check: Mapping[str, object] | None
    config_location: Location | None


ImportSource: TypeAlias = TrainingJobSource | ObjectStorageSource | TemplateSource | ContainerImageSource


@dataclass(frozen=True, slots=True)
class FoundSource:
    """A source as a version's row keeps it; `job` is the training job version's row."""

    stored: model_version.Source
    origin: str = "CUSTOM_ALGORITHM"
    job: Record | None = None


def source_violations(installation: Installation, source: ImportSource) -> Iterator[Refusal]:
    """What is wrong with a source by itself."""
    match source:
        case TrainingJobSource():
            yield from arm_violations(installation, path=["source", "trainingJob"])
        case ObjectStorageSource():
            yield from arm_violations(installation, path=["source", "objectStorage"])
        case TemplateSource():
            yield from _template_violations(source)
        case ContainerImageSource():
            yield from _image_violations(installation, source)
        case _:
            assert_never(source)


def _template_violations(source: TemplateSource) -> Iterator[Refusal]:
    path = ["source", "template"]
    template = find_model_template(source.template)
    if template is None:
        names = ", ".join(known.id for known in model_templates())
        message = f"There is no model template {source.template!r}."
        yield Refusal(ErrorCode.NOT_FOUND, message, path=[*path, "template"], hint=f"There are: {names}.")
    elif source.input_output_mode is not None and source.input_output_mode not in template.modes:
        yield _mode_violation(template, path=[*path, "inputOutputMode"])


def _mode_violation(template: ModelTemplate, *, path: Sequence[str]) -> Refusal:
    """ModelArts.3030 where nothing can be chosen."""
    if template.is_mode_fixed:
        return Refusal(
            ErrorCode.TEMPLATE_MODE_FIXED,
            f"The template {template.id} has the input and output mode {template.input_output_mode} and no other.",
            path=path,
            hint="Leave inputOutputMode out, or choose another template.",
        )
    modes = ", ".join(template.modes)
    return invalid(
        f"The template {template.id} has no such input and output mode.", path=path, hint=f"It has: {modes}."
    )


def _image_violations(installation: Installation, source: ContainerImageSource) -> Iterator[Refusal]:
    path = ["source", "containerImage"]
    if installation.rules.signature_policy == "require":
        yield Refusal(
            ErrorCode.SIGNATURE_MISSING,
            "This installation takes signed packages only, and an image's signature is not checked here.",
            path=path,
            hint="The operator decides with MODELYARD_SIGNATURE_POLICY.",
        )
    if (wrong := image_reference_fault(source.image)) is not None:
        yield invalid(wrong, path=[*path, "image"], hint="An address such as registry.example.com/team/image:1.0.")
    command = source.command
    if command is not None and (not command.strip() or len(command) > COMMAND_LENGTH or "\0" in command):
        yield invalid(f"A start command has 1 to {COMMAND_LENGTH} characters.", path=[*path, "command"])
    yield from health_violations(source.health_check, path=[*path, "healthCheck"])


async def find_source(
    installation: Installation, unit: Transaction, source: ImportSource, refusals: Sequence[Refusal]
) -> FoundSource:
    """What the workspace's rows and grants know of a source. Raises Refusals with what was found before, too."""
    match source:
        case TrainingJobSource():
            return await _training_job(installation, unit, source, refusals)
        case ObjectStorageSource():
            path = ["source", "objectStorage"]
            location = await _readable(installation, unit, source.location, refusals, path)
            return FoundSource(model_version.Source(SourceKind.OBJECT_STORAGE, store=location.store, key=location.key))
        case TemplateSource():
            location = await _readable(
                installation, unit, source.location, refusals, ["source", "template", "location"]
            )
            stored = model_version.Source(
                SourceKind.TEMPLATE,
                store=location.store,
                key=location.key,
                template=source.template,
                input_output_mode=source.input_output_mode,
            )
            return FoundSource(stored)
        case ContainerImageSource():
            return FoundSource(await _container_image(installation, unit, source, refusals))
    assert_never(source)


async def _training_job(
    installation: Installation, unit: Transaction, source: TrainingJobSource, refusals: Sequence[Refusal]
) -> FoundSource:
    path = ["source", "trainingJob"]
    source_id = await along_with(
        refusals, find_version_id(unit, source.training_job_name, source.version_name, path=path)
    )
    row = await training_job.find_version(unit.connection, unit.workspace_id, source_id)
    assert row is not None
    raise_all([*refusals, *output_violations(installation, Candidate.of(row))])
    origin = "BUILT_IN_ALGORITHM" if row["algorithm_kind"] == "BUILT_IN" else "CUSTOM_ALGORITHM"
    return FoundSource(model_version.Source(SourceKind.TRAINING_JOB, source_id), origin, row)


async def _container_image(
    installation: Installation, unit: Transaction, source: ContainerImageSource, refusals: Sequence[Refusal]
) -> model_version.Source:
    location = source.config_location
    if location is not None:
        path = ["source", "containerImage", "configLocation"]
        location = await _readable(installation, unit, location, refusals, path)
    raise_all(refusals)
    return model_version.Source(
        SourceKind.CONTAINER_IMAGE,
        store=location.store if location else None,
        key=location.key if location else None,
        image=source.image,
        command=source.command,
        health_check=dict(source.health_check) if source.health_check else None,
    )


async def _readable(
    installation: Installation,
    unit: Transaction,
    location: Location,
    refusals: Sequence[Refusal],
    path: Sequence[str],
) -> Location:
    found = await along_with(refusals, readable(installation, unit, location, path=path))
    raise_all(refusals)
    return found
