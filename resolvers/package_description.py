"""What a package turned out to be, as its version's row keeps it."""

from dataclasses import asdict

import orjson

from artifacts.ai_engine import AiEngine
from artifacts.api import Api
from artifacts.config import Config
from db import model_version
from engines.runtime_catalogue import Runtime, requirements_for
from resolvers.import_plan import ImportPlan
from resolvers.package_inspection import Inspection, servable_types

EVALUATION_METRICS = ("f1", "recall", "precision", "accuracy")
# What training jobs call the metric that config.json calls f1 (modelarts_03_0056).
METRIC_NAMES = {"f1_score": "f1"}


def describe_package(plan: ImportPlan, inspection: Inspection) -> model_version.Description:
    """What is stored of a package that nothing stands against."""
    package = inspection.package
    assert package is not None
    config = package.config
    assert config is not None
    return model_version.Description(
        source_store=package.store.name if package.store is not None else None,
        source_key=package.key,
        input_output_mode=plan.source.input_output_mode,
        deployment_types=plan.deployment_types or servable_types(config),
        ai_engine=config.ai_engine,
        algorithm=config.algorithm,
        requested_runtime=package.requested_runtime,
        runtime=package.runtime.name if package.runtime else None,
        requirements=environment_requirements(package.runtime, config),
        config=config_text(config),
        apis=[api_row(api) for api in config.apis],
        dependencies=[asdict(dependency) for dependency in config.dependencies],
        metrics=metrics(plan, config),
        health_check={**config.health_check.to_json()} if config.health_check else None,
        container=container(config),
        inference_code_path=package.layout.inference_code,
        model_path=package.layout.model_path,
        warnings=inspection.warnings,
    )


def environment_requirements(runtime: Runtime | None, config: Config) -> list[str] | None:
    """The pip lines of a package's environment, without the wheels that it brings along; None where it has none."""
    if runtime is None:
        return None
    lines = requirements_for(runtime, [found.requirement for found in config.dependencies])
    wheels = {found.requirement for found in config.dependencies if found.wheel}
    return [line for line in lines if line not in wheels]


def container(config: Config) -> dict[str, object] | None:
    """How an image is started and reached; None for what is no image."""
    if config.ai_engine is not AiEngine.IMAGE:
        return None
    return {"command": config.command, "protocol": config.protocol, "port": config.port}


def config_text(config: Config) -> str:
    """The config in force, as a config.json of its own."""
    return orjson.dumps(config.to_json(), option=orjson.OPT_INDENT_2).decode()


def metrics(plan: ImportPlan, config: Config) -> dict[str, object] | None:
    """The training job's evaluation where it has one, else what the config says (modelarts_03_0078)."""
    reported = plan.job["metrics"] if plan.job is not None else ()
    evaluated = {METRIC_NAMES.get(metric["name"], metric["name"]): metric["value"] for metric in reported}
    measured: dict[str, object] = {name: evaluated[name] for name in EVALUATION_METRICS if name in evaluated}
    if measured:
        return measured
    declared: dict[str, object] = {**config.metrics.to_json()} if config.metrics else {}
    return declared or None


def api_row(api: Api) -> dict[str, object]:
    """An api as rows keep it: typed, flat, with one entry per top-level property of its schemas."""
    return {
        "url": api.url,
        "method": api.method,
        "protocol": api.protocol,
        "request_content_type": api.request_content_type,
        "response_content_type": api.response_content_type,
        "request_schema": api.request_schema,
        "response_schema": api.response_schema,
        "inputs": [asdict(parameter) for parameter in api.inputs],
        "outputs": [asdict(parameter) for parameter in api.outputs],
    }
