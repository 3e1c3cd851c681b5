"""Who may ask a service: whoever's token opens its workspace, and anybody where it is public."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar
from uuid import UUID

import structlog

from server.prediction_refusal import PredictionRefused, RefusalCode, no_such_service
from server.route_table import Entry, RouteTable
from server.sign_in_cache import SignIn, SignInCache

LOOKUP_SECONDS = 5.0
NOBODY: frozenset[UUID] = frozenset()

Found = TypeVar("Found")
log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


class Door:
    """Lets callers in to services."""

    def __init__(self, table: RouteTable, sign_in: SignIn) -> None:
        self._table = table
        self._sign_in = SignInCache(sign_in)

    async def open(self, service_id: str, authorization: bytes) -> tuple[Entry, frozenset[UUID]]:
        """The service, and the workspaces that the caller may ask in. Raises PredictionRefused."""
        known = self._table.known(service_id)
        if known is None and not self._table.is_fresh:
            known = await looked_up(self._table.find(service_id))
        # A service that nobody has heard of yet is looked up only for those who are signed in.
        if known is not None and known.route.policy.is_public:
            return known, NOBODY
        workspaces = await self._workspaces_of(authorization)
        return await self.entry(service_id, workspaces), workspaces

    async def entry(self, service_id: str, workspaces: frozenset[UUID]) -> Entry:
        """The service's entry as of now; of another workspace it is as if it were not there."""
        entry = self._table.known(service_id)
        if entry is None:
            entry = await looked_up(self._table.find(service_id))
        if entry is None or not (entry.route.policy.is_public or entry.route.workspace_id in workspaces):
            raise no_such_service()
        return entry

    async def _workspaces_of(self, authorization: bytes) -> frozenset[UUID]:
        workspaces = self._sign_in.kept(authorization)
        if workspaces is None:
            workspaces = await looked_up(self._sign_in.workspaces_of(authorization))
        if not workspaces:
            raise PredictionRefused(RefusalCode.UNAUTHENTICATED, "Sign in with Authorization: Bearer <token>.")
        return workspaces


async def looked_up(lookup: Awaitable[Found]) -> Found:
    """What a lookup answers. Raises PredictionRefused where it fails or takes too long."""
    try:
        async with asyncio.timeout(LOOKUP_SECONDS):
            return await lookup
    except Exception as error:  # whatever stands behind the port: its failure must not let anybody in
        log.warning("prediction not looked up", error=repr(error))
        raise PredictionRefused(
            RefusalCode.TEMPORARILY_UNAVAILABLE, "The request cannot be checked now.", retry_after_seconds=1
        ) from error
