"""AI engines, processors, and the runtimes that there are for an engine."""

from enum import StrEnum
from typing import Annotated

import strawberry

from artifacts.ai_engine import AiEngine
from engines.runtime_catalogue import runtimes as catalogue
from gql.context import Info
from gql.described_enum import described_enum

described_enum(
    AiEngine,
    description="What a model was made with.",
    values={
        "TENSORFLOW": "TensorFlow, as a SavedModel.",
        "PYTORCH": "PyTorch.",
        "MINDSPORE": "MindSpore.",
        "MXNET": "MXNet.",
        "CAFFE": "Caffe.",
        "SPARK_MLLIB": "Spark MLlib.",
        "SCIKIT_LEARN": "scikit-learn.",
        "XGBOOST": "XGBoost.",
        "ONNX": "ONNX.",
        "IMAGE": "A container image that holds everything.",
        "CUSTOM": "Something else.",
    },
)


class Architecture(StrEnum):
    X86_64 = "X86_64"
    AARCH64 = "AARCH64"


described_enum(
    Architecture,
    description="A family of processors.",
    values={"X86_64": "Intel and AMD, 64 bits.", "AARCH64": "Arm, 64 bits."},
)


@strawberry.type(description="An interpreter with an engine's libraries, as packages ask for it by name.")
class Runtime:
    name: str = strawberry.field(description="The name that config.json's `runtime` gives.")
    ai_engine: AiEngine = strawberry.field(description="The engine that it is for.")
    is_default: bool = strawberry.field(description="Whether packages that ask for none get it.")
    is_available: bool = strawberry.field(description="Whether this installation can run it.")
    reason: str | None = strawberry.field(description="Why it is not available, where it is not.")
    interpreter: str | None = strawberry.field(
        description="The interpreter that packages get which ask for it; null where they get none."
    )
    requirements: list[str] = strawberry.field(
        description="The libraries that packages get which ask for it, as pip requirements."
    )
    nearest: str | None = strawberry.field(
        description="Where it is not available, the one that an importer could name in its place, if any."
    )
    maps_to: str | None = strawberry.field(
        description="The one that packages get in its place because the operator chose so (MODELYARD_RUNTIME_MAP)."
    )


def runtimes(
    info: Info,
    ai_engine: Annotated[AiEngine | None, strawberry.argument(description="Only those for this engine.")] = None,
) -> list[Runtime]:
    return [
        Runtime(
            name=entry.name,
            ai_engine=AiEngine(entry.ai_engine),
            is_default=entry.is_default,
            is_available=entry.is_available,
            reason=entry.reason,
            interpreter=entry.interpreter,
            requirements=list(entry.requirements),
            nearest=entry.nearest,
            maps_to=entry.maps_to,
        )
        for entry in catalogue(ai_engine, info.context.installation.rules.runtime_map)
    ]
