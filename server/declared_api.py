"""The apis that versions declare, as the gateway needs them: what a version declares never changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from server.lookup_cache import LookupCache

Api = Mapping[str, Any]
LIFETIME_SECONDS = 3600.0
VERSIONS = 512


class ApiSource(Protocol):
    """Where declared apis are read from."""

    async def apis_of(self, workspace_id: UUID, version_id: str) -> Sequence[Api]:
        """The `apis` of a version (`ver_…`), as config.json has them; none for one that is not there."""


class NoApis:
    """Nothing is declared."""

    async def apis_of(self, workspace_id: UUID, version_id: str) -> Sequence[Api]:
        return ()


class DeclaredApis:
    """Asked of the source once for each version."""

    def __init__(self, source: ApiSource) -> None:
        self._source = source
        self._known: LookupCache[Sequence[Api]] = LookupCache(lifetime_seconds=LIFETIME_SECONDS, capacity=VERSIONS)

    async def of(self, workspace_id: UUID, version_id: str) -> Sequence[Api]:
        return await self._known.get(version_id, lambda: self._source.apis_of(workspace_id, version_id))
