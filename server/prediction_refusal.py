"""The gateway's own answers, where no instance's can be passed back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class RefusalCode(StrEnum):
    """Why the gateway answered itself; docs/predictions.md says what to do about each."""

    UNAUTHENTICATED = "UNAUTHENTICATED"
    SERVICE_NOT_FOUND = "SERVICE_NOT_FOUND"
    PATH_REFUSED = "PATH_REFUSED"
    INVALID_INPUT = "INVALID_INPUT"
    BODY_TOO_LARGE = "BODY_TOO_LARGE"
    BODY_TOO_SLOW = "BODY_TOO_SLOW"
    TOO_MANY_REQUESTS = "TOO_MANY_REQUESTS"
    SERVICE_NOT_READY = "SERVICE_NOT_READY"
    SERVICE_BUSY = "SERVICE_BUSY"
    INSTANCE_FAILED = "INSTANCE_FAILED"
    PREDICTION_TIMED_OUT = "PREDICTION_TIMED_OUT"
    TEMPORARILY_UNAVAILABLE = "TEMPORARILY_UNAVAILABLE"


STATUS_OF = {
    RefusalCode.UNAUTHENTICATED: 401,
    RefusalCode.SERVICE_NOT_FOUND: 404,
    RefusalCode.PATH_REFUSED: 400,
    RefusalCode.INVALID_INPUT: 400,
    RefusalCode.BODY_TOO_LARGE: 413,
    RefusalCode.BODY_TOO_SLOW: 408,
    RefusalCode.TOO_MANY_REQUESTS: 429,
    RefusalCode.SERVICE_NOT_READY: 503,
    RefusalCode.SERVICE_BUSY: 503,
    RefusalCode.INSTANCE_FAILED: 502,
    RefusalCode.PREDICTION_TIMED_OUT: 504,
    RefusalCode.TEMPORARILY_UNAVAILABLE: 503,
}


# Of what a service's own limits and checks refuse, its owner is shown the count.
COUNTED = frozenset(
    {
        RefusalCode.INVALID_INPUT,
        RefusalCode.BODY_TOO_LARGE,
        RefusalCode.BODY_TOO_SLOW,
        RefusalCode.TOO_MANY_REQUESTS,
        RefusalCode.SERVICE_BUSY,
    }
)


@dataclass(frozen=True, slots=True)
class InputProblem:
    """What is wrong at one place of a JSON body; `pointer` is as in RFC 6901, the empty one is the whole."""

    pointer: str
    message: str


class PredictionRefused(Exception):
    """The gateway's own answer instead of an instance's; `str()` is one sentence for the caller."""

    def __init__(
        self,
        code: RefusalCode,
        message: str,
        *,
        retry_after_seconds: int | None = None,
        problems: Sequence[InputProblem] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = STATUS_OF[code]
        self.retry_after_seconds = retry_after_seconds
        self.problems = problems


def no_such_service() -> PredictionRefused:
    return PredictionRefused(RefusalCode.SERVICE_NOT_FOUND, "There is no such service.")


def not_ready(status: str, version: str | None = None) -> PredictionRefused:
    """Who may try again soon is told so; a service that rests or has failed needs somebody first."""
    what = "instance" if version is None else f"instance of version {version}"
    message = f"The service has no {what} that is ready; its status is {status}."
    advice = {"STOPPED": " startService starts it.", "FAILED": " Its statusMessage and logs say why."}
    is_temporary = status not in ("STOPPED", "STOPPING", "FAILED", "DELETING")
    return PredictionRefused(
        RefusalCode.SERVICE_NOT_READY,
        message + advice.get(status, ""),
        retry_after_seconds=2 if is_temporary else None,
    )


def body_too_large(max_bytes: int) -> PredictionRefused:
    return PredictionRefused(RefusalCode.BODY_TOO_LARGE, f"The body is longer than {max_bytes} bytes.")


def body_too_slow(timeout_seconds: float) -> PredictionRefused:
    return PredictionRefused(
        RefusalCode.BODY_TOO_SLOW, f"The body stopped coming, or came too slowly, for {timeout_seconds:g} s."
    )


def too_many_requests(requests_per_second: float, wait_seconds: float) -> PredictionRefused:
    return PredictionRefused(
        RefusalCode.TOO_MANY_REQUESTS,
        f"The service takes {requests_per_second:g} requests a second.",
        retry_after_seconds=max(1, math.ceil(wait_seconds)),
    )


def invalid_input(problems: Sequence[InputProblem]) -> PredictionRefused:
    message = "The body is not what the model declares: see problems."
    return PredictionRefused(RefusalCode.INVALID_INPUT, message, problems=problems)


def too_large_to_check(max_bytes: int) -> PredictionRefused:
    message = f"The service checks what it is sent, and checks no body longer than {max_bytes} bytes."
    return PredictionRefused(RefusalCode.BODY_TOO_LARGE, message)


def instance_failed() -> PredictionRefused:
    message = "The connection to the instance broke, or what came was no HTTP answer; it may have seen the request."
    return PredictionRefused(RefusalCode.INSTANCE_FAILED, message)


def timed_out(timeout_seconds: float) -> PredictionRefused:
    return PredictionRefused(
        RefusalCode.PREDICTION_TIMED_OUT, f"The instance did not answer within {timeout_seconds:g} s."
    )
