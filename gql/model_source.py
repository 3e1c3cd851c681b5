"""Where models are imported from: what a version says, and what an import names."""

from typing import Annotated, TypeAlias

import strawberry

from artifacts.input_output_mode import InputOutputMode
from gql.context import Context
from gql.health_check import HealthCheckInput
from gql.market_source import MarketSource
from gql.model_template import ModelTemplate
from gql.storage_location import StorageLocation, StorageLocationInput
from gql.stored_field import computed, inline, to_one
from gql.training_job import TrainingJobVersion
from resolvers import import_source


@strawberry.type(description="The version came from the output of a training job.")
class TrainingJobSource:
    location: StorageLocation | None = inline(
        "source_", present="key", description="The model directory that was imported, once it was found."
    )
    training_job_version: TrainingJobVersion = to_one(
        "training_job_version_id", description="The training job version."
    )


@strawberry.type(description="The version came from a folder in object storage.")
class ObjectStorageSource:
    folder: StorageLocation = inline("chosen_", description="The folder that the import named.")
    location: StorageLocation | None = inline(
        "source_", present="key", description="The model directory that was imported, once it was found."
    )


def _template(_context: Context, template: str) -> ModelTemplate | None:
    return ModelTemplate.named(template)


@strawberry.type(description="The version came from a folder in object storage, with a template in place of a config.")
class TemplateSource:
    template: ModelTemplate | None = computed(
        _template, description="The template; null where the catalogue no longer has it."
    )
    input_output_mode: InputOutputMode | None = strawberry.field(
        description="The mode that was chosen; null takes the template's own."
    )
    folder: StorageLocation = inline("chosen_", description="The folder that the import named.")
    location: StorageLocation | None = inline(
        "source_", present="key", description="The model directory that was imported, once it was found."
    )


@strawberry.type(description="The version is a container image.")
class ContainerImageSource:
    image: str = strawberry.field(description="The image's address.")
    command: str | None = strawberry.field(
        description="What the import named to start it; `container` of the version has what is in force."
    )
    config_location: StorageLocation | None = inline(
        "chosen_", present="key", description="Where its config was read from; null where that was given as text."
    )


ModelSource: TypeAlias = Annotated[
    TrainingJobSource | ObjectStorageSource | TemplateSource | ContainerImageSource | MarketSource,
    strawberry.union("ModelSource", description="Where a version was imported from."),
]


@strawberry.input(description="A version of a training job, to import what it left in storage.")
class TrainingJobSourceInput:
    training_job_name: str = strawberry.field(description="The job.")
    version_name: str = strawberry.field(description="The version, such as V0001. It must have COMPLETED.")


@strawberry.input(description="A folder in object storage with the model's files, and a template for its config.")
class TemplateSourceInput:
    template: strawberry.ID = strawberry.field(description="The template's id, from modelTemplates.")
    location: StorageLocationInput = strawberry.field(
        description="The folder model/ with the model's files, or the folder that it is in."
    )
    input_output_mode: InputOutputMode | None = strawberry.field(
        default=None, description="What the model is asked and answers; the template's own if left out."
    )


@strawberry.input(description="A container image that answers predictions itself, on port 8080 unless its config says.")
class ContainerImageSourceInput:
    image: str = strawberry.field(description="Its address, such as registry.example.com/team/image:1.0.")
    command: str | None = strawberry.field(
        default=None, description="What starts it, in place of the image's own command."
    )
    health_check: HealthCheckInput | None = strawberry.field(
        default=None, description="How it says that it is well, in place of what its config says."
    )
    config_location: StorageLocationInput | None = strawberry.field(
        default=None,
        description="A config.json in object storage, or its folder. `config` of the import is for one edited online.",
    )


@strawberry.input(one_of=True, description="Where to import from: exactly one of these.")
class ModelSourceInput:
    training_job: strawberry.Maybe[TrainingJobSourceInput] = strawberry.field(
        description="The output of a training job."
    )
    object_storage: strawberry.Maybe[StorageLocationInput] = strawberry.field(
        description="A folder in object storage: a model directory with its config.json, or the folder that it is in."
    )
    template: strawberry.Maybe[TemplateSourceInput] = strawberry.field(
        description="A folder in object storage without a config.json; a template stands in for it."
    )
    container_image: strawberry.Maybe[ContainerImageSourceInput] = strawberry.field(description="A container image.")

    def read(self) -> import_source.ImportSource:
        if self.training_job is not None:
            job = self.training_job.value
            return import_source.TrainingJobSource(job.training_job_name, job.version_name)
        if self.object_storage is not None:
            return import_source.ObjectStorageSource(self.object_storage.value.read())
        if self.template is not None:
            template = self.template.value
            return import_source.TemplateSource(template.template, template.location.read(), template.input_output_mode)
        assert self.container_image is not None
        image = self.container_image.value
        return import_source.ContainerImageSource(
            image.image,
            image.command,
            image.health_check.read() if image.health_check else None,
            image.config_location.read() if image.config_location else None,
        )
