"""Which of the two media types of GraphQL over HTTP a request wants its answer in."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

JSON = "application/json"
GRAPHQL_RESPONSE = "application/graphql-response+json"


@lru_cache(maxsize=256)
def answer_media_type(accept: str) -> str:
    """`application/json` unless `application/graphql-response+json` is named and not ranked below it."""
    qualities = dict(_accepted(accept))
    wanted = qualities.get(GRAPHQL_RESPONSE, 0.0)
    return GRAPHQL_RESPONSE if wanted > 0 and wanted >= qualities.get(JSON, 0.0) else JSON


def names_json(accept: str) -> bool:
    """Whether one of the two is asked for by name; an image, a script or a link of another site cannot."""
    return any(media_type in (JSON, GRAPHQL_RESPONSE) for media_type, _ in _accepted(accept))


def names_html(accept: str) -> bool:
    """Whether a page is asked for by name, as browsers do when somebody opens an address."""
    return any(media_type == "text/html" for media_type, _ in _accepted(accept))


def is_json(content_type: str) -> bool:
    """Whether a body is said to be JSON, in UTF-8; a form or plain text, which other sites may send unasked, is not."""
    media_type, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charsets = [part.partition("=")[2].strip('"') for part in parameters if part.startswith("charset=")]
    return media_type == JSON and all(charset in ("utf-8", "utf8") for charset in charsets)


def _accepted(accept: str) -> Iterator[tuple[str, float]]:
    for part in accept.split(","):
        media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
        yield media_type, _quality(parameters)


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 1.0
    return 1.0
