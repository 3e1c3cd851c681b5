"""The config in force: what an importer named wins over what the package says."""

from dataclasses import replace

from artifacts.api import read_api_choices
from artifacts.config import Config
from artifacts.health_check import read_health_check
from artifacts.json_node import JsonNode, JsonValue
from artifacts.problem import Findings
from resolvers.dependency_choice import read_dependency_choices
from resolvers.import_plan import ImportPlan


def apply_choices(plan: ImportPlan, config: Config) -> tuple[Config, Findings]:
    """The config with the importer's choices, and what is wrong with those."""
    apis, findings = None, Findings()
    if plan.apis is not None:
        apis, findings = read_api_choices(plan.apis, ai_engine=config.ai_engine)
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
    return chosen, findings


def _json(value: object) -> JsonValue:
    assert isinstance(value, str | int | None)
    return value
