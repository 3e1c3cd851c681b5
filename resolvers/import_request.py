"""What an import is asked for: a version's fields, its source, and what stands in the place of the package's own."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from artifacts.config import read_config
from db import model_version
from engines.runtime_catalogue import probably_meant, runtimes
from resolvers import field_rule, version_number
from resolvers.api_choice import ApiChoice, api_violations, stored_apis
from resolvers.dependency_choice import DependencyChoice, dependency_violations, stored_dependencies
from resolvers.deployment_type import DeploymentType
from resolvers.errors import ErrorCode, PackageRefusal, Refusal, invalid
from resolvers.import_source import (
    ContainerImageSource,
    FoundSource,
    ImportSource,
    TemplateSource,
    source_violations,
)
from resolvers.installation import Installation

CONFIG_CHOICE = "config"


@dataclass(frozen=True, slots=True)
class Document:
    name: str
    url: str


@dataclass(frozen=True, slots=True)
class MinimumSpecification:
    cpu_count: float | None
    memory_bytes: int | None
    gpu_count: float | None
    ascend_count: int | None


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """`config` is the text of a config.json; it, `apis`, `dependencies` and `runtime` win over the package's."""

    name: str
    version: str | None
    description: str | None
    labels: Sequence[str]
    documents: Sequence[Document]
    source: ImportSource
    deployment_types: Sequence[DeploymentType] | None
    minimum_specification: MinimumSpecification | None
    config: str | None
    apis: Sequence[ApiChoice] | None
    runtime: str | None
    dependencies: Sequence[DependencyChoice] | None


@dataclass(frozen=True, slots=True)
class RetryRequest:
    model_name: str
    version: str
    runtime: str | None
    dependencies: Sequence[DependencyChoice] | None
    expected_revision: int | None


def violations(installation: Installation, request: ImportRequest) -> list[Refusal]:
    """Everything that the request shows by itself (modelarts_23_0054, modelarts_03_0076)."""
    rules = installation.rules
    is_image = isinstance(request.source, ContainerImageSource)
    return [
        *field_rule.name(request.name, path=["name"]),
        *_version_violations(request.version),
        *field_rule.description(request.description, is_strict=rules.is_strict, path=["description"]),
        *field_rule.labels(request.labels, path=["labels"]),
        *document_violations(request.documents, is_strict=rules.is_strict),
        *source_violations(installation, request.source),
        *_deployment_type_violations(request.deployment_types),
        *minimum_violations(request.minimum_specification),
        *_config_violations(request.config),
        *_config_source_violations(request),
        *api_violations(request.apis, is_image=is_image),
        *runtime_violations(request.runtime, is_image=is_image),
        *_image_dependency_violations(request.dependencies, is_image=is_image),
        *dependency_violations(request.dependencies),
    ]


def retry_violations(request: RetryRequest) -> list[Refusal]:
    return [*runtime_violations(request.runtime), *dependency_violations(request.dependencies)]


def new_version(request: ImportRequest, source: FoundSource) -> model_version.NewVersion:
    """A request as a version's row keeps it."""
    minimum = request.minimum_specification or MinimumSpecification(None, None, None, None)
    return model_version.NewVersion(
        description=request.description,
        labels=request.labels,
        documents=[asdict(document) for document in request.documents],
        origin=source.origin,
        source=source.stored,
        config=request.config,
        apis=stored_apis(request.apis),
        deployment_types=request.deployment_types,
        runtime=request.runtime,
        dependencies=stored_dependencies(request.dependencies),
        minimum_cpu_count=minimum.cpu_count,
        minimum_memory_bytes=minimum.memory_bytes,
        minimum_gpu_count=minimum.gpu_count,
        minimum_ascend_count=minimum.ascend_count,
    )


def _version_violations(version: str | None) -> Iterator[Refusal]:
    if version is not None and version_number.parse(version) is None:
        yield invalid(
            f"{version!r} is not a version: three numbers from 0 to 99 without leading zeros, such as 0.0.1.",
            path=["version"],
            hint="Leave it out for the next one.",
        )


def document_violations(documents: Sequence[Document], *, is_strict: bool) -> Iterator[Refusal]:
    if len(documents) > field_rule.DOCUMENTS:
        message = f"A version has at most {field_rule.DOCUMENTS} documents; these are {len(documents)}."
        yield invalid(message, path=["documents"])
    for position, document in enumerate(documents[: field_rule.DOCUMENTS]):
        path = ["documents", str(position)]
        yield from field_rule.document(document.name, document.url, is_strict=is_strict, path=path)


def _deployment_type_violations(types: Sequence[DeploymentType] | None) -> Iterator[Refusal]:
    if types is None:
        return
    if not types:
        message = "Choose at least one deployment type, or leave them out for all that the package can serve."
        yield invalid(message, path=["deploymentTypes"])
    elif len(set(types)) < len(types):
        yield invalid("A deployment type is given twice.", path=["deploymentTypes"])


def minimum_violations(minimum: MinimumSpecification | None) -> Iterator[Refusal]:
    if minimum is None:
        return
    amounts = {
        "cpuCount": minimum.cpu_count,
        "memoryBytes": minimum.memory_bytes,
        "gpuCount": minimum.gpu_count,
        "ascendCount": minimum.ascend_count,
    }
    for field, amount in amounts.items():
        if amount is not None and not (0 < amount < 2**53 and math.isfinite(amount)):
            path = ["minimumInferenceSpecification", field]
            yield invalid("A minimum is a number above 0 and below 2^53.", path=path)


def _config_violations(config: str | None) -> Iterator[Refusal]:
    if config is not None:
        for problem in read_config(config.encode(errors="replace"), file=CONFIG_CHOICE).problems:
            yield PackageRefusal(problem, path=["config"])


def _config_source_violations(request: ImportRequest) -> Iterator[Refusal]:
    """Only one place can say what the config is."""
    source = request.source
    if request.config is None:
        return
    if isinstance(source, TemplateSource):
        hint = "Leave config out, or import from objectStorage. apis, dependencies and runtime may be named here, too."
        yield invalid("A template brings a config of its own.", path=["config"], hint=hint)
    if isinstance(source, ContainerImageSource) and source.config_location is not None:
        hint = "Leave one of them out."
        yield invalid("The config is given as text and as a location.", path=["config"], hint=hint)


def _image_dependency_violations(
    dependencies: Sequence[DependencyChoice] | None, *, is_image: bool
) -> Iterator[Refusal]:
    if dependencies and is_image:
        yield invalid("A container image holds all that it needs; it has no dependencies.", path=["dependencies"])


def runtime_violations(runtime: str | None, *, is_image: bool = False) -> Iterator[Refusal]:
    if runtime is None:
        return
    if is_image:
        yield invalid("A container image brings its own runtime.", path=["runtime"], hint="Leave runtime out.")
        return
    available = sorted({entry.name for entry in runtimes() if entry.is_available})
    if runtime not in available:
        meant = probably_meant(runtime)
        yield Refusal(
            ErrorCode.RUNTIME_UNAVAILABLE,
            f"This installation has no runtime {runtime!r}.",
            path=["runtime"],
            hint=f"Did you mean {meant}?" if meant else f"There are: {', '.join(available)}.",
        )
