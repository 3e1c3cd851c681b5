"""What an import would make of a package, and everything that stands against it: for imports and previews alike."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from uuid import UUID

from artifacts.ai_engine import AiEngine
from artifacts.built_in_algorithm import find_built_in_algorithm
from artifacts.config import Config, ConfigReading, default_config, read_config, read_config_choice
from artifacts.config_use import ConfigUse
from artifacts.dependency_check import check_dependencies
from artifacts.inference_code import SIZE_LIMIT_BYTES, check_inference_code
from artifacts.input_output_mode import InputOutputMode
from artifacts.layout import LayoutReading, check_layout, check_wheels
from artifacts.model_template import ModelTemplate, find_model_template
from artifacts.object_store import ObjectStore
from artifacts.package_file import PackageFile
from artifacts.problem import Problem
from engines.runtime_catalogue import Runtime
from resolvers.config_choice import apply_choices
from resolvers.dependency_choice import read_dependency_choices
from resolvers.deployment_type import DeploymentType
from resolvers.errors import ErrorCode
from resolvers.finding_limit import first_findings
from resolvers.import_plan import ImportPlan
from resolvers.import_source import SourceKind
from resolvers.installation import Installation
from resolvers.operation_attempt import problem_row, stored_problem
from resolvers.package_source import (
    CODE_NAME,
    CONFIG_LIMIT_BYTES,
    CONFIG_NAME,
    FoundFiles,
    PackageRefused,
    SourceFile,
    find_files,
    judge,
    read_config_file,
    read_file,
    scan_files,
)
from resolvers.runtime_choice import RuntimeChoice, choose_runtime
from resolvers.scan_policy import scan_policy
from resolvers.source_store import find_store, store_gone

UNKNOWN_ALGORITHM = "unknown_algorithm"
SCAN_SECONDS = 60.0
NO_LAYOUT = LayoutReading((), "", None, (), ())
Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Package:
    """`key` is the model directory's; an image has neither that nor files.

    `requested_runtime` is what the package itself asks for, `runtime` what it gets: None where there is none.
    """

    store: ObjectStore | None
    key: str | None
    files: tuple[SourceFile, ...]
    config: Config | None
    layout: LayoutReading
    requested_runtime: str | None = None
    runtime: Runtime | None = None

    @property
    def size_bytes(self) -> int:
        return sum(file.info.size_bytes for file in self.files)


@dataclass(slots=True)
class Inspection:
    """What was found, as rows keep problems. There are problems exactly where an import would be refused.

    `ai_engine` is what the config says, which may have other problems.
    """

    package: Package | None = None
    ai_engine: AiEngine | None = None
    problems: list[Row] = field(default_factory=list)
    warnings: list[Row] = field(default_factory=list)

    def add(self, problems: Iterable[Problem], warnings: Iterable[Problem] = ()) -> None:
        self.problems += [stored_problem(problem) for problem in problems]
        self.warnings += [stored_problem(warning) for warning in warnings]


async def inspect(installation: Installation, plan: ImportPlan) -> Inspection:
    """Find the package, read its config, apply the importer's choices, check layout and runtime. Raises StoreError."""
    found = Inspection()
    if plan.store is not None and find_store(installation, plan.store) is None:
        found.problems.append(store_gone(plan.store))
        return found
    try:
        if plan.source.kind == SourceKind.CONTAINER_IMAGE:
            package = await _image(installation, plan, found)
        else:
            package = await _files(installation, plan, found)
    except PackageRefused as refused:
        found.add(refused.problems)
        return found
    if package.config is not None:
        requested = package.config.runtime
        config, chosen = apply_choices(plan, package.config)
        found.add(chosen.problems, chosen.warnings)
        choice = choose_runtime(installation.rules, config, requested, template=plan.source.template)
        runtime = _take_runtime(choice, found)
        package = replace(package, config=config, requested_runtime=requested, runtime=runtime)
        _check_deployment_types(plan, config, found)
    found.package = package
    return found


def _take_runtime(choice: RuntimeChoice, found: Inspection) -> Runtime | None:
    found.problems += choice.problems
    found.warnings += choice.warnings
    return choice.runtime


async def add_scans(
    installation: Installation, workspace_id: UUID, inspection: Inspection, *, seconds: float = SCAN_SECONDS
) -> None:
    """Add what the pickles would be refused for where they lie: of a package that is not copied. Raises StoreError.

    Afterwards there are at most 100 problems, and as many warnings.
    """
    package = inspection.package
    if package is not None and package.store is not None:
        policy = await scan_policy(installation, installation.pool, workspace_id)
        limit_bytes = installation.rules.file_size_limit_bytes
        scans = await scan_files(
            installation.scans, package.store, package.files, file_size_limit_bytes=limit_bytes, seconds=seconds
        )
        told = _empty_models(inspection)
        for path, scan in scans.items():
            if path not in told:
                inspection.add(*judge(path, scan, policy))
    inspection.problems = first_findings(inspection.problems)
    inspection.warnings = first_findings(inspection.warnings)


def _empty_models(inspection: Inspection) -> set[object]:
    """Of these it is told already why they cannot be scanned."""
    return {row["file"] for row in inspection.problems if row["code"] == ErrorCode.MODEL_FILE_EMPTY}


async def _files(installation: Installation, plan: ImportPlan, found: Inspection) -> Package:
    assert plan.store is not None
    assert plan.key is not None
    store = installation.stores[plan.store]
    version_name = plan.job["name"] if plan.job is not None else None
    needs_config = _config_use(plan) is ConfigUse.REQUIRED
    directory = await find_files(store, plan.key, version_name, needs_config=needs_config)
    implied = _implied_config(plan)
    config = await _read_config(store, directory, plan, implied, found)
    layout = await _check_files(installation, plan, store, directory, config, found)
    return Package(store, directory.key, directory.files, config, layout)


def _template(plan: ImportPlan) -> ModelTemplate | None:
    return find_model_template(plan.source.template) if plan.source.template else None


def _implied_config(plan: ImportPlan) -> Config | None:
    """The config that a package has which needs none of its own."""
    template = _template(plan)
    if template is not None:
        mode = plan.source.input_output_mode
        return template.config(InputOutputMode(mode) if mode else None)
    name = plan.job["built_in_algorithm"] if plan.job is not None else None
    algorithm = find_built_in_algorithm(name) if name else None
    return algorithm.config if algorithm else None


async def _read_config(
    store: ObjectStore, directory: FoundFiles, plan: ImportPlan, implied: Config | None, found: Inspection
) -> Config | None:
    """The importer's own text, else a template's, else the file in the model directory, else what is implied."""
    if plan.config is not None:
        return _taken(read_config_choice(plan.config), found)
    if plan.source.template is not None:
        return implied
    file = next((file for file in directory.files if file.path == CONFIG_NAME), None)
    if file is None:
        return implied
    data = await read_file(store, file.info, limit_bytes=CONFIG_LIMIT_BYTES)
    size_bytes = file.info.size_bytes
    return _taken(read_config(data, file=CONFIG_NAME, size_bytes=size_bytes, needs_image=True), found)


def _taken(reading: ConfigReading, found: Inspection) -> Config | None:
    found.add(reading.problems, reading.warnings)
    found.ai_engine = reading.ai_engine
    return reading.config


async def _check_files(
    installation: Installation,
    plan: ImportPlan,
    store: ObjectStore,
    directory: FoundFiles,
    config: Config | None,
    found: Inspection,
) -> LayoutReading:
    rules = installation.rules
    listed = [PackageFile(file.path, file.info.size_bytes) for file in directory.files]
    engine = config.ai_engine if config else found.ai_engine or _recorded_engine(plan)
    layout = await asyncio.to_thread(
        check_layout,
        listed,
        ai_engine=engine,
        needs_code=False if _implied_config(plan) is not None else None,
        file_size_limit_bytes=rules.file_size_limit_bytes,
        config_use=_config_use(plan),
        is_strict=rules.is_strict,
    )
    found.add(layout.problems, layout.warnings)
    if config is not None:
        _check_dependencies(plan, config, listed, found)
    await _check_code(store, directory, engine, found)
    return layout


def _check_dependencies(plan: ImportPlan, config: Config, listed: list[PackageFile], found: Inspection) -> None:
    """Those in force: the importer's, where there are any."""
    chosen = read_dependency_choices(plan.dependencies)
    dependencies = config.dependencies if chosen is None else chosen
    asked = check_dependencies(dependencies, file=CONFIG_NAME if chosen is None else None)
    found.add(asked.problems, asked.warnings)
    found.add(check_wheels([needed.wheel for needed in dependencies if needed.wheel], listed))


def _config_use(plan: ImportPlan) -> ConfigUse:
    if plan.source.template is not None:
        return ConfigUse.LEFT_OUT
    is_optional = plan.config is not None or _implied_config(plan) is not None
    return ConfigUse.OPTIONAL if is_optional else ConfigUse.REQUIRED


def _recorded_engine(plan: ImportPlan) -> AiEngine | None:
    return AiEngine(plan.job["ai_engine"]) if plan.job is not None and plan.job["ai_engine"] else None


async def _check_code(store: ObjectStore, directory: FoundFiles, engine: AiEngine | None, found: Inspection) -> None:
    """Look at the inference code without running it."""
    file = next((file for file in directory.files if file.path == CODE_NAME), None)
    if file is not None and engine is not None:
        source = await read_file(store, file.info, limit_bytes=SIZE_LIMIT_BYTES)
        reading = await asyncio.to_thread(check_inference_code, source, file=CODE_NAME, ai_engine=engine)
        found.add(reading.problems, reading.warnings)


async def _image(installation: Installation, plan: ImportPlan, found: Inspection) -> Package:
    """An image has no files; its config is the importer's text, or lies in storage, or says nothing."""
    config: Config | None
    if plan.config is not None:
        config = _taken(read_config_choice(plan.config), found)
    elif plan.store is not None and plan.key is not None:
        data, size_bytes = await read_config_file(installation.stores[plan.store], plan.key)
        config = _taken(read_config(data, file=CONFIG_NAME, size_bytes=size_bytes), found)
    else:
        config = default_config(algorithm=UNKNOWN_ALGORITHM, ai_engine=AiEngine.IMAGE, apis=())
    if config is not None and config.ai_engine is not AiEngine.IMAGE:
        found.problems.append(_no_image_config(config))
    return Package(None, None, (), config, NO_LAYOUT)


def _no_image_config(config: Config) -> Row:
    return problem_row(
        ErrorCode.CONFIG_INVALID,
        f"The config of an image says that it is a {config.ai_engine.model_type} model.",
        file=CONFIG_NAME,
        pointer="/model_type",
        expected=AiEngine.IMAGE.model_type,
        actual=config.ai_engine.model_type,
        hint="Write Image, or import the model from object storage.",
    )


def servable_types(config: Config) -> list[str]:
    """All that the package can serve: without declared inputs it cannot be a batch service (ModelArts.3514)."""
    has_inputs = any(api.inputs for api in config.apis)
    return [kind for kind in DeploymentType if kind is not DeploymentType.BATCH or has_inputs]


def _check_deployment_types(plan: ImportPlan, config: Config, found: Inspection) -> None:
    impossible = set(plan.deployment_types or ()) - set(servable_types(config))
    if impossible:
        row = problem_row(
            ErrorCode.BATCH_INPUTS_MISSING,
            "The version is to be deployed as BATCH, and its config declares no input parameters.",
            file=CONFIG_NAME,
            pointer="/apis",
            expected="the properties of request.data",
            hint="Declare the inputs, in config.json or in `apis`, or choose other deployment types.",
        )
        found.problems.append(row)
