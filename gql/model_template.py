"""The catalogue of model templates."""

from typing import Annotated

import strawberry

from artifacts import model_template
from artifacts.ai_engine import AiEngine
from artifacts.input_output_mode import InputOutputMode
from artifacts.model_template import TemplateType
from gql.ai_engine import Architecture
from gql.api_operation import ApiOperation
from gql.described_enum import described_enum
from resolvers.package_description import api_row

described_enum(
    InputOutputMode,
    description="What a model made from a template is asked and answers.",
    values={
        "OBJECT_DETECTION": "A picture in; classes, boxes and scores of what is on it out.",
        "IMAGE_PROCESSING": "A picture in; any JSON out.",
        "PREDICTIVE_ANALYTICS": "Rows of features in, rows of predictions out, as JSON.",
        "UNDEFINED": "Nothing is declared; such a version cannot be a batch service.",
    },
)
described_enum(
    TemplateType,
    name="ModelTemplateType",
    description="What a template is for.",
    values={"CLASSIFICATION": "Models of one kind, as image classification.", "COMMON": "Any model of its engine."},
)


@strawberry.type(description="One of a template's input and output modes.")
class ModelTemplateMode:
    mode: InputOutputMode = strawberry.field(description="The mode.")
    apis: list[ApiOperation] = strawberry.field(description="How a model of this mode is asked.")


@strawberry.type(description="An engine and a config in one, for model files that have no config.json.")
class ModelTemplate:
    id: strawberry.ID = strawberry.field(description="Its id, as importModel takes it.")
    name: str = strawberry.field(description="What it is called.")
    description: str = strawberry.field(description="What it is for.")
    type: TemplateType = strawberry.field(description="Whether it is for models of one kind or for any.")
    ai_engine: AiEngine = strawberry.field(description="The engine that its models were made with.")
    ai_engine_version: str | None = strawberry.field(description="The engine's version that it was made for.")
    runtime: str | None = strawberry.field(
        description="The runtime that it asks for; null takes this installation's own."
    )
    architecture: Architecture = strawberry.field(description="The processors that it was made for.")
    input_output_mode: InputOutputMode = strawberry.field(description="The mode that its models have by default.")
    is_mode_fixed: bool = strawberry.field(description="Whether no other mode can be chosen.")
    modes: list[ModelTemplateMode] = strawberry.field(description="The modes that can be chosen.")
    needs_inference_code: bool = strawberry.field(description="Whether its packages need a customize_service.py.")

    @classmethod
    def of(cls, entry: model_template.ModelTemplate) -> "ModelTemplate":
        return cls(
            id=strawberry.ID(entry.id),
            name=entry.name,
            description=entry.description,
            type=entry.type,
            ai_engine=entry.ai_engine,
            ai_engine_version=entry.engine_version,
            runtime=entry.runtime,
            architecture=Architecture(entry.architecture),
            input_output_mode=entry.input_output_mode,
            is_mode_fixed=entry.is_mode_fixed,
            modes=[
                ModelTemplateMode(mode=mode, apis=[ApiOperation.of(api_row(api)) for api in mode.apis])
                for mode in entry.modes
            ],
            needs_inference_code=entry.needs_code,
        )

    @classmethod
    def named(cls, template_id: str) -> "ModelTemplate | None":
        entry = model_template.find_model_template(template_id)
        return cls.of(entry) if entry else None


@strawberry.input(description="Which templates.")
class ModelTemplateFilter:
    type: list[TemplateType] | None = strawberry.field(default=None, description="Only those of one of these types.")
    ai_engine: list[AiEngine] | None = strawberry.field(default=None, description="Only those of one of these engines.")
    runtime: str | None = strawberry.field(default=None, description="Only those that ask for this runtime.")
    keyword: str | None = strawberry.field(
        default=None, description="Only those with this word in their name or description."
    )

    def fits(self, entry: model_template.ModelTemplate) -> bool:
        word = (self.keyword or "").lower()
        return (
            (self.type is None or entry.type in self.type)
            and (self.ai_engine is None or entry.ai_engine in self.ai_engine)
            and (self.runtime is None or entry.runtime == self.runtime)
            and word in f"{entry.name} {entry.description} {entry.id}".lower()
        )


def model_templates(
    filter: Annotated[
        ModelTemplateFilter | None, strawberry.argument(description="Which ones; all if left out.")
    ] = None,
) -> list[ModelTemplate]:
    return [
        ModelTemplate.of(entry) for entry in model_template.model_templates() if filter is None or filter.fits(entry)
    ]
