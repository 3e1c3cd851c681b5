"""Where a service's versions run: its route, and the port through which routes are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from server.service_policy import Policy


@dataclass(frozen=True, slots=True)
class Instance:
    """A ready replica: its id and its address, `unix:/path/of/socket` or `http://host:port/prefix`."""

    id: str
    address: str


@dataclass(frozen=True, slots=True)
class Target:
    """A deployed model version, its share of the traffic and its ready instances. `version` is its number, as 1.0.3."""

    model_version_id: str
    version: str
    weight: int
    instances: tuple[Instance, ...]


@dataclass(frozen=True, slots=True)
class Route:
    """A service (`svc_…`) as stored: whose it is, its status, where its versions run, and what it asks of us."""

    service_id: str
    workspace_id: UUID
    status: str
    targets: tuple[Target, ...]
    name: str = ""
    policy: Policy = field(default_factory=Policy)


class RouteSource(Protocol):
    """Where routes are read from."""

    async def routes(self) -> Sequence[Route]:
        """Every service that exists, in one consistent reading."""

    async def route(self, service_id: str) -> Route | None:
        """One service, read now."""

    async def changed(self) -> None:
        """Return when something may have changed since the last return."""
