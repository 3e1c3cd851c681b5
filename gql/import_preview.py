"""What an import would do, without doing it."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Annotated, Any, TypeVar

import strawberry

from artifacts.ai_engine import AiEngine
from artifacts.dependency import Restraint
from gql.api_operation import ApiOperation
from gql.context import Context, Info
from gql.dependency import Dependency
from gql.health_check import HealthCheck
from gql.model_import import ImportModelInput
from gql.model_metrics import ModelMetrics
from gql.scalar import BigInt
from gql.storage_location import StorageLocation
from gql.user_error import PackageProblem, UserError, user_error
from resolvers import import_preview
from resolvers.deployment_blocker import Deployable, deployment_blockers
from resolvers.deployment_type import DeploymentType
from resolvers.errors import ErrorCode
from resolvers.import_preview import FoundPackage, Preview

Made = TypeVar("Made")


@strawberry.type(description="What importModel would do with the same input. Nothing was stored.")
class ImportPreview:
    is_importable: bool = strawberry.field(description="Whether the import would go through, before any build.")
    version: str | None = strawberry.field(
        description="The number that the version would get now; null after 99.99.99."
    )
    errors: list[UserError] = strawberry.field(
        description="Everything that importModel would answer as errors: what is wrong with the input."
    )
    problems: list[UserError] = strawberry.field(
        description="Everything that the version would tell as problems: what is wrong with the package."
    )
    warnings: list[UserError] = strawberry.field(description="What is doubtful and would be let through.")
    model_directory: StorageLocation | None = strawberry.field(description="The model directory that was found.")
    file_count: int | None = strawberry.field(description="How many files it holds; null where none was found.")
    size_bytes: BigInt | None = strawberry.field(description="Their size.")
    model_path: str | None = strawberry.field(
        description="The model's file or folder, relative to the model directory; null for the directory itself."
    )
    inference_code: str | None = strawberry.field(description="The inference code's path in the model directory.")
    ai_engine: AiEngine | None = strawberry.field(description="What it was made with.")
    algorithm: str | None = strawberry.field(description="What it does, as its config says.")
    requested_runtime: str | None = strawberry.field(description="The runtime that the package asks for.")
    runtime: str | None = strawberry.field(description="The runtime that it would get; null where there is none.")
    requirements: list[str] | None = strawberry.field(
        description="What its environment would be built of, as pip takes it; wheels of the package left out."
    )
    deployment_types: list[DeploymentType] = strawberry.field(description="What it could be deployed as by its import.")
    deployable_as: list[DeploymentType] = strawberry.field(
        description="What this installation's engine could deploy it as."
    )
    apis: list[ApiOperation] = strawberry.field(description="How it would be asked: input and output parameters.")
    dependencies: list[Dependency] = strawberry.field(description="The libraries that it needs.")
    metrics: ModelMetrics | None = strawberry.field(description="How good it is.")
    health_check: HealthCheck | None = strawberry.field(description="How an image says that it is well.")
    config: str | None = strawberry.field(description="The config that would be in force.")


async def preview_import(
    info: Info, input: Annotated[ImportModelInput, strawberry.argument(description="What importModel would be given.")]
) -> ImportPreview:
    context = info.context
    preview = await import_preview.preview_import(context.installation, context.caller, input.read())
    return ImportPreview(
        is_importable=not preview.refusals and not preview.problems,
        version=preview.version,
        errors=[user_error(refusal) for refusal in preview.refusals],
        problems=[_problem(row) for row in preview.problems],
        warnings=[_problem(row) for row in preview.warnings],
        **_found(context, input.name, preview),
    )


def _problem(row: Mapping[str, Any]) -> UserError:
    names = ("file", "pointer", "expected", "actual", "hint")
    details = {name: row.get(name) for name in names}
    return PackageProblem(code=ErrorCode(row["code"]), message=row["message"], path=None, **details)


def _found(context: Context, name: str, preview: Preview) -> dict[str, Any]:
    """The fields that the package gives; those of one that was not found are null or empty."""
    package = preview.package
    lists = ("deployment_types", "deployable_as", "apis", "dependencies")
    if package is None:
        names = [field.name for field in fields(ImportPreview)]
        given = ("is_importable", "version", "errors", "problems", "warnings")
        return {name: [] if name in lists else None for name in names if name not in given}
    return {
        "model_directory": StorageLocation(store=package.store, key=package.key)
        if package.store is not None and package.key is not None
        else None,
        "file_count": package.file_count,
        "size_bytes": BigInt(package.size_bytes),
        "model_path": package.model_path or None,
        "inference_code": package.inference_code_path,
        "ai_engine": package.ai_engine,
        "algorithm": package.algorithm,
        "requested_runtime": package.requested_runtime,
        "runtime": package.runtime,
        "requirements": package.requirements,
        "deployment_types": [DeploymentType(kind) for kind in package.deployment_types],
        "deployable_as": _deployable_as(context, name, preview.version, package),
        "apis": [ApiOperation.of(api) for api in package.apis],
        "dependencies": [_dependency(row) for row in package.dependencies],
        "metrics": _made(ModelMetrics, package.metrics),
        "health_check": _made(HealthCheck, package.health_check),
        "config": package.config,
    }


def _deployable_as(context: Context, name: str, version: str | None, package: FoundPackage) -> Sequence[DeploymentType]:
    imported = Deployable(
        "NORMAL", name, version or "", package.deployment_types, package.ai_engine, package.runtime, None
    )
    kinds = [DeploymentType(kind) for kind in package.deployment_types]
    return [kind for kind in kinds if not deployment_blockers(context.installation, imported, kind)]


def _dependency(row: Mapping[str, Any]) -> Dependency:
    restraint = row["restraint"] and Restraint(row["restraint"])
    return Dependency(installer=row["installer"], package=row["package"], version=row["version"], restraint=restraint)


def _made(kind: type[Made], row: Mapping[str, Any] | None) -> Made | None:
    """A type made of a row's members; those that it lacks are null."""
    if row is None:
        return None
    return kind(**{field.name: row.get(field.name) for field in fields(kind)})  # type: ignore[arg-type]
