"""Which headers of a prediction are passed on to an instance, and which of its answer are passed back."""

from __future__ import annotations

import re
from secrets import token_hex

from starlette.types import Scope

from engines.instance_connection import Headers
from server.client_address import Forwarded
from server.prediction_body import BUFFERED_BYTES

VERSION_HEADER = b"x-modelyard-model-version"
REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")

HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding"
    b" upgrade".split()
)
# Not passed on as they came: the sender's secrets, what the instance is told anew, what each connection sets itself.
HELD_REQUEST_HEADERS = HOP_BY_HOP | frozenset(
    b"authorization x-auth-token cookie host expect content-length x-request-id forwarded x-real-ip x-forwarded-for"
    b" x-forwarded-proto x-forwarded-host x-forwarded-port x-forwarded-prefix".split()
)
# Passed back: what describes the answer, and names of the model's own. Others a browser takes for the word of our whole
# origin (Set-Cookie, Clear-Site-Data, Alt-Svc, Service-Worker-Allowed).
PASSED_RESPONSE_HEADERS = frozenset(
    b"accept-ranges age allow cache-control content-digest content-disposition content-encoding content-language"
    b" content-length content-range content-type deprecation etag expires last-modified location retry-after"
    b" server-timing traceparent tracestate vary warning".split()
)
# X-, CloudEvents, the Open Inference Protocol, OpenAI and limits of rate.
OWN_PREFIXES = (b"x-", b"ce-", b"inference-", b"openai-", b"ratelimit")
# Not those that browsers know, and those that a proxy before us takes for orders.
HELD_PREFIXES = (
    b"x-modelyard-", b"x-request-id", b"x-content-", b"x-dns-", b"x-frame-", b"x-permitted-", b"x-ua-", b"x-webkit-",
    b"x-xss-", b"x-accel-", b"x-lighttpd-", b"x-reproxy-", b"x-sendfile",
)  # fmt: skip
# To http, https or a path: what follows another scheme is no place to send anybody.
LOCATION = re.compile(rb"(?:https?:|[\w.~%-]*(?:[/?#]|$))[!-~\x80-\xff]*", re.IGNORECASE)
# A model's bytes must never act as a page of ours: on this origin browsers keep API tokens.
GUARDS = (
    (b"content-security-policy", b"sandbox; default-src 'none'"),
    (b"x-content-type-options", b"nosniff"),
)


class RequestHead:
    """A request's headers, split into those passed on and those held."""

    __slots__ = ("held", "method", "passed", "request_id")

    def __init__(self, scope: Scope) -> None:
        self.method: str = scope["method"]
        self.passed: Headers = []
        self.held: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            if name in HELD_REQUEST_HEADERS:
                self.held[name] = self.held[name] + b", " + value if name in self.held else value
            else:
                self.passed.append((name, value))
        given = self.held.get(b"x-request-id", b"")
        self.request_id = given.decode() if REQUEST_ID.fullmatch(given) else token_hex(16)

    @property
    def content_length(self) -> int | None:
        value = self.held.get(b"content-length")
        return int(value) if value is not None and value.isdigit() else None

    def for_instance(self, forwarded: Forwarded) -> Headers:
        named = _named_by_connection(self.held.get(b"connection", b""))
        headers = [header for header in self.passed if header[0] not in named] if named else self.passed
        headers.append((b"x-request-id", self.request_id.encode()))
        headers.append((b"x-forwarded-proto", forwarded.scheme.encode()))
        if forwarded.hops:
            headers.append((b"x-forwarded-for", forwarded.hops.encode("latin-1")))
        length = self.content_length
        if length is not None and length > BUFFERED_BYTES:
            headers.append((b"content-length", b"%d" % length))
        return headers


def answered_headers(given: Headers) -> Headers:
    """Those of an instance's answer, with names in lower case, that are passed back."""
    passed = [header for header in given if _is_passed_back(*header)]
    named = _named_by_connection(b",".join([value for name, value in given if name == b"connection"]))
    return [header for header in passed if header[0] not in named] if named else passed


def _is_passed_back(name: bytes, value: bytes) -> bool:
    if name == b"location":
        return LOCATION.fullmatch(value) is not None
    is_own = name.startswith(OWN_PREFIXES) and not name.startswith(HELD_PREFIXES)
    return is_own or name in PASSED_RESPONSE_HEADERS


def _named_by_connection(value: bytes) -> frozenset[bytes]:
    if value.lower() in (b"", b"keep-alive", b"close"):
        return frozenset()
    return frozenset(name.strip().lower() for name in value.split(b","))
