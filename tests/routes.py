"""Routes and tokens, as a database would give them."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from server.declared_api import Api
from server.route import Instance, Route, Target
from server.service_policy import Policy

OURS, THEIRS = UUID(int=1), UUID(int=2)
TOKENS = {"ours": frozenset({OURS}), "theirs": frozenset({THEIRS})}


class Routes:
    """Routes as a database would give them."""

    def __init__(self) -> None:
        self.stored: dict[str, Route] = {}
        self.is_broken = False
        self.asked: list[str] = []
        self.readings = 0
        self._change = asyncio.Event()

    def put(self, *routes: Route) -> None:
        self.stored.update({route.service_id: route for route in routes})

    def tell(self) -> None:
        self._change.set()

    async def routes(self) -> Sequence[Route]:
        self.readings += 1
        if self.is_broken:
            raise ConnectionRefusedError("no database")
        return list(self.stored.values())

    async def route(self, service_id: str) -> Route | None:
        self.asked.append(service_id)
        if self.is_broken:
            raise ConnectionRefusedError("no database")
        return self.stored.get(service_id)

    async def changed(self) -> None:
        await self._change.wait()
        self._change.clear()


class Tokens:
    """Tokens as a database would know them."""

    def __init__(self) -> None:
        self.lookups: Counter[str] = Counter()
        self.is_broken = False

    async def workspaces_of(self, token: str) -> frozenset[UUID]:
        self.lookups[token] += 1
        if self.is_broken:
            raise ConnectionRefusedError("no database")
        return TOKENS.get(token, frozenset())


class Apis:
    """What versions declare, as a database would know it."""

    def __init__(self) -> None:
        self.stored: dict[str, Sequence[Api]] = {}
        self.lookups: Counter[str] = Counter()
        self.is_broken = False

    def declare(self, version_id: str, *apis: Mapping[str, Any]) -> None:
        """Each is of a POST to / with JSON on both sides, but for what it says."""
        usual = {
            "url": "/",
            "method": "POST",
            "request_content_type": "application/json",
            "response_content_type": "application/json",
            "request_schema": None,
            "response_schema": None,
        }
        self.stored[version_id] = [{**usual, **api} for api in apis]

    async def apis_of(self, workspace_id: UUID, version_id: str) -> Sequence[Api]:
        self.lookups[version_id] += 1
        if self.is_broken:
            raise ConnectionRefusedError("no database")
        return self.stored.get(version_id, ())


def target(version: str, weight: int, *instances: Instance, number: str = "0.0.1") -> Target:
    return Target(model_version_id=version, version=number, weight=weight, instances=instances)


def service(
    service_id: str,
    *,
    targets: Sequence[Target] = (),
    workspace: UUID = OURS,
    status: str = "RUNNING",
    **policy: Any,
) -> Route:
    """`policy` are fields of Policy."""
    return Route(service_id, workspace, status, tuple(targets), name="one", policy=Policy(**policy))
