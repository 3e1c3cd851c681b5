"""What an import would make of a package, and everything that stands against it: for imports and previews alike."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from artifacts.ai_engine import AiEngine
from artifacts.api import read_api_choices
from artifacts.built_in_algorithm import find_built_in_algorithm
from artifacts.config import Config, ConfigReading, default_config, read_config, read_config_choice
from artifacts.config_use import ConfigUse
from artifacts.health_check import read_health_check
from artifacts.inference_code import SIZE_LIMIT_BYTES, check_inference_code
from artifacts.input_output_mode import InputOutputMode
from artifacts.json_node import JsonNode, JsonValue
from artifacts.layout import LayoutReading, check_layout, check_wheels
from artifacts.model_template import ModelTemplate, find_model_template
from artifacts.object_store import ObjectStore
from artifacts.package_file import PackageFile
from artifacts.problem import Findings, Problem
from engines.runtime_catalogue import Runtime, resolve, runtimes
from resolvers.dependency_choice import read_dependency_choices
from resolvers.deployment_type import DeploymentType
from resolvers.errors import ErrorCode
from resolvers.import_attempt import problem_row, stored_problem
from resolvers.import_plan import ImportPlan
from resolvers.import_source import SourceKind
from resolvers.installation import Installation
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
from resolvers.scan_policy import scan_policy

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
    """What was found, as rows keep problems. There are problems exactly where an import would be refused."""

    package: Package | None = None
    problems: list[Row] = field(default_factory=list)
    warnings: list[Row] = field(default_factory=list)

    def add(self, problems: Iterable[Problem], warnings: Iterable[Problem] = ()) -> None:
        self.problems += [stored_problem(problem) for problem in problems]
        self.warnings += [stored_problem(warning) for warning in warnings]


async def inspect(installation: Installation, plan: ImportPlan) -> Inspection:
    """Find the package, read its config, apply the importer's choices, check layout and runtime. Raises StoreError."""
    found = Inspection()
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
        config = _with_choices(plan, package.config, found)
        runtime = _runtime(installation, config, requested, found)
        package = replace(package, config=config, requested_runtime=requested, runtime=runtime)
        _check_deployment_types(plan, config, found)
    found.package = package
    return found


async def add_scans(
    installation: Installation, workspace_id: UUID, inspection: Inspection, *, seconds: float = SCAN_SECONDS
) -> None:
    """Add what the pickles would be refused for where they lie: of a package that is not copied. Raises StoreError."""
    package = inspection.package
    if package is None or package.store is None:
        return
    policy = await scan_policy(installation, installation.pool, workspace_id)
    limit_bytes = installation.rules.file_size_limit_bytes
    scans = await scan_files(package.store, package.files, file_size_limit_bytes=limit_bytes, seconds=seconds)
    for path, scan in scans.items():
        inspection.add(*judge(path, scan, policy))


async def _files(installation: Installation, plan: ImportPlan, found: Inspection) -> Package:
    assert plan.store is not None
    assert plan.key is not None
    store = installation.stores[plan.store]
    version_name = plan.job["name"] if plan.job is not None else None
    directory = await find_files(store, plan.key, version_name)
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
    return _taken(read_config(data, file=CONFIG_NAME, needs_image=True), found)


def _taken(reading: ConfigReading, found: Inspection) -> Config | None:
    found.add(reading.problems, reading.warnings)
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
    engine = config.ai_engine if config else _recorded_engine(plan)
    layout = check_layout(
        listed,
        ai_engine=engine,
        needs_code=False if _implied_config(plan) is not None else None,
        file_size_limit_bytes=rules.file_size_limit_bytes,
        config_use=_config_use(plan),
        is_strict=rules.is_strict,
    )
    found.add(layout.problems, layout.warnings)
    if config is not None:
        dependencies = read_dependency_choices(plan.dependencies) or config.dependencies
        found.add(check_wheels([needed.wheel for needed in dependencies if needed.wheel], listed))
    await _check_code(store, directory, engine, found)
    return layout


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
    if file is not None and engine is not None and file.info.size_bytes <= SIZE_LIMIT_BYTES:
        source = await read_file(store, file.info, limit_bytes=SIZE_LIMIT_BYTES)
        reading = check_inference_code(source, file=CODE_NAME, ai_engine=engine)
        found.add(reading.problems, reading.warnings)


async def _image(installation: Installation, plan: ImportPlan, found: Inspection) -> Package:
    """An image has no files; its config is the importer's text, or lies in storage, or says nothing."""
    config: Config | None
    if plan.config is not None:
        config = _taken(read_config_choice(plan.config), found)
    elif plan.store is not None and plan.key is not None:
        data = await read_config_file(installation.stores[plan.store], plan.key)
        config = _taken(read_config(data, file=CONFIG_NAME), found)
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


def _with_choices(plan: ImportPlan, config: Config, found: Inspection) -> Config:
    """The config in force: what the importer named wins over what the package says."""
    apis = None
    if plan.apis is not None:
        apis, findings = read_api_choices(plan.apis, ai_engine=config.ai_engine)
        found.add(findings.problems, findings.warnings)
    chosen = config.with_choices(
        apis=apis, dependencies=read_dependency_choices(plan.dependencies), runtime=plan.runtime
    )
    if plan.source.health_check is not None:
        health_check: JsonValue = {key: _json(value) for key, value in plan.source.health_check.items()}
        chosen = replace(chosen, health_check=read_health_check(JsonNode(health_check, "healthCheck", Findings())))
    if plan.source.command is not None:
        chosen = replace(chosen, command=plan.source.command)
    if plan.source.image is not None:
        chosen = replace(chosen, swr_location=plan.source.image)
    return chosen


def _json(value: object) -> JsonValue:
    assert isinstance(value, str | int | None)
    return value


def _runtime(installation: Installation, config: Config, requested: str | None, found: Inspection) -> Runtime | None:
    """The runtime that the version gets: the importer's choice, else what the package asks for, else the default.

    None for an engine that has no environment here; then there is a warning, as nothing else is wrong.
    """
    available = [runtime.name for runtime in runtimes(config.ai_engine) if runtime.is_available]
    if not available:
        found.warnings.append(_no_environment(config))
        return None
    given = resolve(config.ai_engine, config.runtime, installation.rules.runtime_map)
    if given is None or not given.is_available:
        found.problems.append(_runtime_missing(config, available))
        return None
    if requested and requested != given.name:
        found.warnings.append(_runtime_substituted(config, requested, given))
    return given


def _runtime_substituted(config: Config, requested: str, given: Runtime) -> Row:
    who = "the importer chose" if config.runtime == given.name else "the operator has mapped that to"
    return problem_row(
        ErrorCode.RUNTIME_SUBSTITUTED,
        f"The package asks for the runtime {requested}; {who} {given.name}.",
        file=CONFIG_NAME,
        pointer="/runtime",
        expected=requested,
        actual=given.name,
        hint="Send a test prediction: its code may need changes for another interpreter or newer libraries.",
    )


def _no_environment(config: Config) -> Row:
    name = config.ai_engine.model_type
    return problem_row(
        ErrorCode.UNSUPPORTED_BY_ENGINE,
        f"This installation has no environment for {name} models: the version cannot be deployed here.",
        hint="Everything but deployment works. `runtimes` lists the engines that there are environments for.",
    )


def _runtime_missing(config: Config, available: Sequence[str]) -> Row:
    names = ", ".join(available)
    return problem_row(
        ErrorCode.RUNTIME_UNAVAILABLE,
        f"The config asks for the runtime {config.runtime!r}, which this installation does not have.",
        file=CONFIG_NAME,
        pointer="/runtime",
        expected=names,
        actual=config.runtime,
        hint=f"If the package runs with one of these, name it in `runtime` of importModel or retryImport: {names}.",
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
