"""What a prediction's path says: which service, and what to ask of its instance."""

from __future__ import annotations

from urllib.parse import unquote

from starlette.types import Scope

from server.prediction_refusal import PredictionRefused, RefusalCode, no_such_service

LONGEST_SERVICE_ID = 64
PROTOCOL_PREFIX = "/v2/"


def split_path(scope: Scope) -> tuple[str, str]:
    """The service's id and what to ask of the instance, path and query as they came."""
    mount = scope.get("root_path", "").encode()
    raw_path: bytes = scope["raw_path"]
    check_path(scope["path"])
    if not (raw_path.isascii() and raw_path.startswith(mount + b"/")):
        raise no_such_service()
    service_id, _, path = raw_path[len(mount) + 1 :].decode().partition("/")
    query = scope["query_string"]
    if not 0 < len(service_id) <= LONGEST_SERVICE_ID:
        raise no_such_service()
    return service_id, f"/{path}?{query.decode('latin-1')}" if query else f"/{path}"


def named_version(target: str) -> str | None:
    """The version that is asked for by the Open Inference Protocol; the path is read as an instance reads it."""
    path = target.partition("?")[0]
    if "%" in path:
        path = unquote(path)
    if not path.startswith(PROTOCOL_PREFIX):
        return None
    match [part for part in path.split("/") if part]:
        case ["v2", "models", _, "versions", version, *_]:
            return version
    return None


def check_path(path: str) -> None:
    # An engine's address may have a prefix, out of which `..` would lead where a proxy resolves it.
    if "/." in path and not {".", ".."}.isdisjoint(path.split("/")):
        raise PredictionRefused(RefusalCode.PATH_REFUSED, "The path holds a '.' or '..' segment.")
