"""Holds JSON bodies to what a version declares, for services that ask for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from urllib.parse import unquote
from uuid import UUID

import orjson
import structlog
from jsonschema_rs import Draft202012Validator

from artifacts.input_validator import Compiler, NotCompiled, body_schema
from artifacts.json_node import json_pointer
from server.declared_api import Api, DeclaredApis
from server.lookup_cache import LookupCache
from server.prediction_refusal import InputProblem

MOST_PROBLEMS = 20
LONGEST_MESSAGE = 300
VERSIONS = 512
LIFETIME_SECONDS = 3600.0
NO_JSON = InputProblem("", "The body is no JSON.")

log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class BodyCheck:
    """What the body of one API is held to."""

    method: str
    path: re.Pattern[str]
    validator: Draft202012Validator

    def problems(self, body: bytes) -> Sequence[InputProblem]:
        """Every violation, of the first twenty."""
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError:
            return (NO_JSON,)
        found = islice(self.validator.iter_errors(value), MOST_PROBLEMS)
        return [InputProblem(json_pointer(error.instance_path), error.message[:LONGEST_MESSAGE]) for error in found]


class InputChecks:
    """The checks of versions, each compiled once.

    A service that checks inputs runs no version that cannot be compiled; should one do so, it is logged.
    """

    def __init__(self, apis: DeclaredApis) -> None:
        self._apis = apis
        self._known: LookupCache[Sequence[BodyCheck]] = LookupCache(
            lifetime_seconds=LIFETIME_SECONDS, capacity=VERSIONS
        )

    async def of(self, workspace_id: UUID, version_id: str, *, method: str, path: str) -> BodyCheck | None:
        """The check of a version's API; None where nothing is declared of JSON there."""
        checks = await self._known.get(version_id, lambda: self._compiled(workspace_id, version_id))
        said = unquote(path)
        return next((check for check in checks if check.method == method and check.path.fullmatch(said)), None)

    async def _compiled(self, workspace_id: UUID, version_id: str) -> Sequence[BodyCheck]:
        compiler = Compiler()
        return [
            check
            for api in await self._apis.of(workspace_id, version_id)
            if (check := _check_of(api, version_id, compiler)) is not None
        ]


def path_pattern(url: str) -> re.Pattern[str]:
    """What matches the paths of a declared url, in which `{name}` stands for one segment."""
    return re.compile("".join("[^/]+" if part.startswith("{") else re.escape(part) for part in _parts(url)))


def _parts(url: str) -> Sequence[str]:
    return re.split(r"(\{[^{}/]*\})", url)


def _check_of(api: Api, version_id: str, compiler: Compiler) -> BodyCheck | None:
    schema = body_schema(api)
    if schema is None:
        return None
    try:
        validator = compiler.validator_of(schema)
    except NotCompiled as error:
        log.warning("input is not checked", model_version=version_id, url=api["url"], reason=str(error))
        return None
    return BodyCheck(api["method"], path_pattern(api["url"]), validator)
