"""What an import would do, found out by the import's own code and writing nothing."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from artifacts.model_signature import find_signature, judge_signature
from artifacts.object_store import StoreError
from db import model
from resolvers import version_number
from resolvers.caller import Caller
from resolvers.errors import ErrorCode, Refusal, Refusals
from resolvers.import_plan import ImportPlan, plan_of_new
from resolvers.import_request import ImportRequest, new_version, violations
from resolvers.import_source import FoundSource, find_source
from resolvers.installation import Installation
from resolvers.model import name_violations, numbers_exhausted
from resolvers.operation_attempt import store_problem
from resolvers.package_description import api_row, config_text, environment_requirements, metrics
from resolvers.package_inspection import Inspection, Package, Row, add_scans, inspect, servable_types
from resolvers.source_look import look_at_source
from resolvers.transaction import Transaction, transaction

SCAN_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class FoundPackage:
    """What is known of a package that has been found; what its config says is None where that cannot be read."""

    store: str | None
    key: str | None
    file_count: int
    size_bytes: int
    model_path: str
    inference_code_path: str | None
    ai_engine: str | None = None
    algorithm: str | None = None
    requested_runtime: str | None = None
    runtime: str | None = None
    requirements: Sequence[str] | None = None
    deployment_types: Sequence[str] = ()
    apis: Sequence[Row] = ()
    dependencies: Sequence[Row] = ()
    metrics: Row | None = None
    health_check: Row | None = None
    config: str | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """`refusals` are of the request, `problems` and `warnings` of the package. `version` is the one it would get."""

    version: str | None
    refusals: Sequence[Refusal]
    problems: Sequence[Row]
    warnings: Sequence[Row]
    package: FoundPackage | None


async def preview_import(installation: Installation, caller: Caller, request: ImportRequest) -> Preview:
    """Everything that importModel would refuse, and what the version would be. A read: nothing is stored."""
    refusals = violations(installation, request)
    await look_at_source(installation, caller, request.source)
    async with transaction(installation.pool, caller.workspace.id, caller.actor) as unit:
        refusals += await name_violations(unit, request)
        version = await _next_version(unit, request)
        source, refused = await _source(installation, unit, request)
    if version is None and request.version is None:
        refusals.append(numbers_exhausted(request.name))
    every = [*refusals, *(refusal for refusal in refused if refusal not in refusals)]
    if source is None or any(refusal.path[:1] == ("source",) for refusal in every):
        return Preview(version, every, [], [], None)
    plan = plan_of_new(new_version(request, source), source.job)
    inspection = await _inspect(installation, caller, plan)
    problems = [problem for problem in inspection.problems if not _is_told(problem, every)]
    package = inspection.package
    described = _described(plan, package) if package is not None else None
    return Preview(version, every, problems, inspection.warnings, described)


def _is_told(problem: Row, refusals: Sequence[Refusal]) -> bool:
    """Whether a problem is the request's own, and a refusal has told it with its place there."""
    own_runtime = (ErrorCode.RUNTIME_UNAVAILABLE, ("runtime",))
    return any(
        problem["message"] == refusal.message
        or (problem["code"], refusal.path) == own_runtime == (refusal.code, refusal.path)
        for refusal in refusals
    )


async def _next_version(unit: Transaction, request: ImportRequest) -> str | None:
    """None where the request names what is no version, and where all numbers are used."""
    if request.version is not None:
        return request.version if version_number.parse(request.version) is not None else None
    existing = await model.find(unit.connection, unit.workspace_id, name=request.name)
    return version_number.following(existing["last_version_number"] if existing is not None else 0)


async def _source(
    installation: Installation, unit: Transaction, request: ImportRequest
) -> tuple[FoundSource | None, Sequence[Refusal]]:
    """The source, though other things may be wrong with the request: what lies there is worth knowing anyway."""
    try:
        return await find_source(installation, unit, request.source, ()), ()
    except Refusals as refused:
        return None, refused.refusals


async def _inspect(installation: Installation, caller: Caller, plan: ImportPlan) -> Inspection:
    try:
        inspection = await inspect(installation, plan)
        await add_scans(installation, caller.workspace.id, inspection, seconds=SCAN_SECONDS)
    except StoreError as failure:
        return Inspection(problems=[store_problem(failure)])
    package = inspection.package
    if package is not None and find_signature(file.path for file in package.files) is None:
        inspection.add(*judge_signature(None, installation.rules.signature_policy))
    return inspection


def _described(plan: ImportPlan, package: Package) -> FoundPackage:
    found = FoundPackage(
        store=package.store.name if package.store is not None else None,
        key=package.key,
        file_count=len(package.files),
        size_bytes=package.size_bytes,
        model_path=package.layout.model_path,
        inference_code_path=package.layout.inference_code,
    )
    config = package.config
    if config is None:
        return found
    return FoundPackage(
        **{
            **asdict(found),
            "ai_engine": config.ai_engine,
            "algorithm": config.algorithm,
            "requested_runtime": package.requested_runtime,
            "runtime": package.runtime.name if package.runtime else None,
            "requirements": environment_requirements(package.runtime, config),
            "deployment_types": plan.deployment_types or servable_types(config),
            "apis": [api_row(api) for api in config.apis],
            "dependencies": [asdict(dependency) for dependency in config.dependencies],
            "metrics": metrics(plan, config),
            "health_check": {**config.health_check.to_json()} if config.health_check else None,
            "config": config_text(config),
        }
    )
