"""How an image says that it is well: `health` of config.json."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from artifacts.json_node import JsonNode, JsonObject

DEFAULT_URL = "/health"
DEFAULT_PERIOD_SECONDS = 5
DEFAULT_DELAY_SECONDS = 12
DEFAULT_FAILURES = 12
# The least each may be; all may be as large as a 32-bit number (inference-modelarts-0009).
_LEAST: Final = {"initial_delay_seconds": 0, "timeout_seconds": 0, "period_seconds": 1, "failure_threshold": 1}
_LARGEST = 2**31 - 1


class HealthCheckMethod(StrEnum):
    HTTP = "HTTP"
    EXEC = "EXEC"


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """`url` is asked with HTTP, `command` is run with EXEC (modelarts_23_0092; inference-modelarts-0009)."""

    check_method: HealthCheckMethod = HealthCheckMethod.HTTP
    url: str | None = None
    command: str | None = None
    initial_delay_seconds: int = DEFAULT_DELAY_SECONDS
    timeout_seconds: int | None = None
    period_seconds: int = DEFAULT_PERIOD_SECONDS
    failure_threshold: int = DEFAULT_FAILURES

    def to_json(self) -> JsonObject:
        values: JsonObject = {
            "check_method": self.check_method.value,
            "url": self.url,
            "command": self.command,
            "initial_delay_seconds": self.initial_delay_seconds,
            "timeout_seconds": self.timeout_seconds,
            "period_seconds": self.period_seconds,
            "failure_threshold": self.failure_threshold,
        }
        return {key: value for key, value in values.items() if value is not None}


def read_health_check(node: JsonNode) -> HealthCheck | None:
    """What is not given has the default of inference-modelarts-0009; a command has none."""
    fields = node.fields(("check_method", "url", "command", "protocol", *_LEAST))
    if "protocol" in fields:
        fields["protocol"].choice(("http",))
    chosen = fields["check_method"].choice(("HTTP", "EXEC")) if "check_method" in fields else None
    method = HealthCheckMethod(chosen or "HTTP")
    url = _read_url(fields["url"]) if "url" in fields else None
    command = fields["command"].text() if "command" in fields else None
    if method is HealthCheckMethod.EXEC and command is None:
        hint = 'Add "command", or write "HTTP" as check_method.'
        node.reject("A health check by EXEC must have the key command.", expected="command", hint=hint)
    counts = {key: fields[key].whole_number(at_least=_LEAST[key], at_most=_LARGEST) for key in _LEAST if key in fields}
    given = {key: count for key, count in counts.items() if count is not None}
    return HealthCheck(method, url or (DEFAULT_URL if method is HealthCheckMethod.HTTP else None), command, **given)


def _read_url(node: JsonNode) -> str | None:
    url = node.text()
    if url is not None and not url.startswith("/"):
        node.refuse("an absolute path such as /health")
    return url
