"""A test call to a real-time service, for people in GraphiQL."""

import re
import time
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import orjson

from db import service
from resolvers.caller import Caller
from resolvers.deployment_type import DeploymentType
from resolvers.errors import ErrorCode, Refusal, invalid, not_found
from resolvers.installation import Installation
from resolvers.service import ServiceStatus

SHOWN_LENGTH = 2_000
# A service that answers, and yet could not take this call: what the gateway says of it is the reason.
ANSWERING = frozenset({ServiceStatus.RUNNING, ServiceStatus.CONCERNING})
PATH = re.compile(r"/[^\s?#\x00-\x1f]*")


@dataclass(frozen=True, slots=True)
class Answer:
    """What an instance, or the gateway in its stead, answered."""

    status: int
    content_type: str
    body: bytes
    model_version_id: UUID | None


class Predictor(Protocol):
    async def predict(
        self, service_id: UUID, workspace_id: UUID, path: str, body: bytes, content_type: str
    ) -> Answer: ...


@dataclass(frozen=True, slots=True)
class Prediction:
    """`latency_seconds` is the time from the gateway to the instance and back."""

    json: object
    model_version_id: UUID | None
    latency_seconds: float


async def predict(
    installation: Installation, predictor: Predictor, caller: Caller, *, service_name: str, path: str, json: object
) -> Prediction:
    """Send a JSON body to a running service and read its answer. Raises Refusal."""
    row = await service.find(installation.pool, caller.workspace.id, name=service_name)
    if row is None:
        raise not_found(f"service named {service_name!r}", path=["serviceName"])
    if row["deployment_type"] != DeploymentType.REAL_TIME:
        raise Refusal(
            ErrorCode.INVALID_STATE,
            f"{service_name} is a {row['deployment_type']} service; predict asks REAL_TIME ones.",
            path=["serviceName"],
        )
    if PATH.fullmatch(path) is None:
        raise Refusal(ErrorCode.INVALID_INPUT, "A path begins with / and has no query.", path=["path"])
    encoded, began = _encoded(json), time.perf_counter()
    answer = await predictor.predict(row["id"], caller.workspace.id, path, encoded, "application/json")
    latency_seconds = time.perf_counter() - began
    if answer.status == 503 and answer.model_version_id is None and row["status"] not in ANSWERING:
        raise Refusal(
            ErrorCode.SERVICE_NOT_RUNNING,
            f"The service is {row['status']}" + (f": {row['status_message']}" if row["status_message"] else "."),
            path=["serviceName"],
            hint="startService starts it." if row["status"] == "STOPPED" else "See its statusMessage and logs.",
        )
    if answer.status >= 400:
        raise _failed(answer)
    return Prediction(_decoded(answer), answer.model_version_id, latency_seconds)


def _encoded(json: object) -> bytes:
    try:
        return orjson.dumps(json)
    except orjson.JSONEncodeError as error:
        raise invalid(f"The body cannot be sent as JSON: {error}.", path=["json"]) from error


def _failed(answer: Answer) -> Refusal:
    text = answer.body.decode(errors="replace")[:SHOWN_LENGTH]
    try:
        told = orjson.loads(answer.body)
        message = told["message"]
        places = "; ".join(f"{problem['pointer'] or '/'}: {problem['message']}" for problem in told.get("problems", ()))
        message += f" {places}" if places else ""
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError):
        message = text
    return Refusal(
        ErrorCode.PREDICTION_FAILED,
        f"The service answered {answer.status}: {message}",
        path=["json"],
        hint="The service's logs hold what its code printed.",
    )


def _decoded(answer: Answer) -> object:
    """The JSON of the answer, or its text where it is none."""
    try:
        decoded: object = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return answer.body.decode(errors="replace")
    return decoded
