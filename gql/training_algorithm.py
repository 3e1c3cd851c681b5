"""What training job versions were trained with."""

from typing import Annotated, TypeAlias

import strawberry

from artifacts.ai_engine import AiEngine
from gql.built_in_algorithm import BuiltInAlgorithm
from gql.context import Context
from gql.stored_field import computed
from resolvers.training_job import Algorithm


def _algorithm(_context: Context, name: str) -> BuiltInAlgorithm | None:
    return BuiltInAlgorithm.named(name)


@strawberry.type(
    description="The version was made by an algorithm that comes with this server: its output needs no code."
)
class BuiltInAlgorithmRun:
    name: str = strawberry.field(description="The algorithm's name.")
    algorithm: BuiltInAlgorithm | None = computed(
        _algorithm, description="The algorithm; null where the catalogue no longer has it."
    )


@strawberry.type(description="The version was made by a program of the user's, with one of the usual frameworks.")
class FrameworkRun:
    ai_engine: AiEngine = strawberry.field(description="The framework.")
    version: str | None = strawberry.field(description="The framework's version, such as 1.7.2.")


@strawberry.type(description="The version was made by a container image of the user's.")
class CustomImageRun:
    image: str = strawberry.field(description="The image's address.")


TrainingAlgorithm: TypeAlias = Annotated[
    BuiltInAlgorithmRun | FrameworkRun | CustomImageRun,
    strawberry.union(
        "TrainingAlgorithm", description="What a version was trained with; it decides what an import needs."
    ),
]


@strawberry.input(description="An algorithm that comes with this server.")
class BuiltInAlgorithmInput:
    name: str = strawberry.field(description="Its name, from builtInAlgorithms.")


@strawberry.input(description="One of the usual frameworks, with a program of your own.")
class FrameworkInput:
    ai_engine: AiEngine = strawberry.field(description="The framework.")
    version: str | None = strawberry.field(default=None, description="The framework's version, such as 1.7.2.")


@strawberry.input(description="A container image of your own.")
class CustomImageInput:
    image: str = strawberry.field(description="The image's address.")


@strawberry.input(one_of=True, description="What a version was trained with: exactly one of the three.")
class TrainingAlgorithmInput:
    built_in: strawberry.Maybe[BuiltInAlgorithmInput] = strawberry.field(description="An algorithm of this server's.")
    framework: strawberry.Maybe[FrameworkInput] = strawberry.field(description="A framework with your own program.")
    custom_image: strawberry.Maybe[CustomImageInput] = strawberry.field(description="An image of your own.")

    def read(self) -> Algorithm:
        if self.built_in is not None:
            return Algorithm(built_in=self.built_in.value.name)
        if self.framework is not None:
            framework = self.framework.value
            return Algorithm(ai_engine=framework.ai_engine, ai_engine_version=framework.version)
        assert self.custom_image is not None
        return Algorithm(image=self.custom_image.value.image)
