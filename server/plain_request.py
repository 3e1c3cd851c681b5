"""Requests as nearly all are: one POST of a JSON object in one piece, read without the machinery of others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import orjson
from starlette.types import Message, Receive, Scope

CONTENT_TYPES = frozenset({b"application/json", b"application/json; charset=utf-8", b"application/json;charset=utf-8"})


@dataclass(frozen=True, slots=True)
class PlainHeaders:
    """What of a request's headers its answer depends on; empty where there is none."""

    authorization: bytes
    workspace: bytes
    accept: bytes
    request_id: bytes


@dataclass(frozen=True, slots=True)
class Operation:
    """What a body asks for."""

    query: str
    variables: dict[str, Any]
    name: str | None


def plain_headers(scope: Scope) -> PlainHeaders | None:
    """None where the request is of another kind."""
    if scope["method"] != "POST":
        return None
    # Of a header that is given twice the first one counts, as elsewhere.
    found = dict(reversed(scope["headers"]))
    accept = found.get(b"accept", b"")
    if found.get(b"content-type", b"").lower() not in CONTENT_TYPES or b"stream" in accept or b"multipart" in accept:
        return None
    return PlainHeaders(
        found.get(b"authorization", b""), found.get(b"x-workspace", b""), accept, found.get(b"x-request-id", b"")
    )


def read_operation(message: Message) -> Operation | None:
    """The operation of a body that has arrived whole; None where it is of another kind, or there is something wrong."""
    if message["type"] != "http.request" or message.get("more_body", False):
        return None
    try:
        body = orjson.loads(message.get("body", b""))
    except orjson.JSONDecodeError:
        return None
    if not isinstance(body, dict):
        return None
    query, variables, name = body.get("query"), body.get("variables"), body.get("operationName")
    if not isinstance(query, str) or not isinstance(variables, dict | None) or not isinstance(name, str | None):
        return None
    if not isinstance(body.get("extensions"), dict | None):
        return None
    return Operation(query, cast("dict[str, Any]", variables or {}), name)


def replayed(message: Message, receive: Receive) -> Receive:
    """What was received already, and then what else there is."""
    waiting = [message]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again
