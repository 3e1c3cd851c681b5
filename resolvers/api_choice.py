"""What an importer says of a model's requests and answers in the place of the package, and of an image's health."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import orjson

from artifacts.ai_engine import AiEngine
from artifacts.api import read_api_choices
from artifacts.health_check import read_health_check
from artifacts.json_text import parse_json
from resolvers.errors import PackageRefusal, Refusal

# Places in config.json, and what the API calls them.
API_FIELDS = {
    ("request", "Content-type"): "requestContentType",
    ("request", "data"): "requestSchema",
    ("response", "Content-type"): "responseContentType",
    ("response", "data"): "responseSchema",
}
HEALTH_FIELDS = {
    "check_method": "checkMethod",
    "initial_delay_seconds": "initialDelaySeconds",
    "timeout_seconds": "timeoutSeconds",
    "period_seconds": "periodSeconds",
    "failure_threshold": "failureThreshold",
}


@dataclass(frozen=True, slots=True)
class ApiChoice:
    """Schemas are JSON Schemas; what is None is as config.json has it where a key is missing."""

    url: str
    method: str
    protocol: str | None
    request_content_type: str | None
    response_content_type: str | None
    request_schema: object
    response_schema: object

    def document(self) -> dict[str, object]:
        """One entry of config.json's `apis`."""
        request = _given({"Content-type": self.request_content_type, "data": self.request_schema})
        response = _given({"Content-type": self.response_content_type, "data": self.response_schema})
        sides = {"request": request or None, "response": response or None}
        return _given({"url": self.url, "method": self.method, "protocol": self.protocol, **sides})


def _given(members: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in members.items() if value is not None}


def stored_apis(choices: Sequence[ApiChoice] | None) -> list[dict[str, object]] | None:
    """Choices as rows keep them: in config.json's form."""
    return None if choices is None else [choice.document() for choice in choices]


def api_violations(choices: Sequence[ApiChoice] | None, *, is_image: bool) -> Iterator[Refusal]:
    """The rules of config.json's `apis` (modelarts_23_0092), by the code that reads them there."""
    if choices is None:
        return
    ai_engine = AiEngine.IMAGE if is_image else None
    _, findings = read_api_choices(stored_apis(choices) or [], ai_engine=ai_engine)
    for problem in findings.problems:
        yield PackageRefusal(problem, path=["apis", *_api_path(problem.pointer or "")])


def _api_path(pointer: str) -> list[str]:
    position, *rest = pointer.strip("/").split("/")
    field = API_FIELDS.get((rest[0], rest[1])) if rest[1:] else None
    return [part for part in (position, *([field, *rest[2:]] if field else rest)) if part]


def health_violations(health_check: Mapping[str, object] | None, *, path: Sequence[str]) -> Iterator[Refusal]:
    """The rules of config.json's `health`, of which `health_check` has the keys (inference-modelarts-0009)."""
    if health_check is None:
        return
    document = parse_json(orjson.dumps(health_check), file="healthCheck")
    if document.root is not None:
        read_health_check(document.root)
    for problem in document.findings.problems:
        key = (problem.pointer or "").strip("/")
        yield PackageRefusal(problem, path=[*path, *([HEALTH_FIELDS.get(key, key)] if key else [])])
