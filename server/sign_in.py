"""Who sent a request: its token, and the workspace that it picks."""

import hashlib
from uuid import UUID

from starlette.requests import Request

from db.connection import Pool
from gql.context import Context
from gql.limits import Limits
from resolvers.errors import UnknownToken, UnknownWorkspace
from resolvers.installation import Installation
from resolvers.prediction import Predictor
from resolvers.workspace import sign_in, workspaces_of
from server.lookup_cache import LookupCache
from server.sign_in_cache import LIFETIME_SECONDS
from server.sign_in_errors import Unauthenticated, WorkspaceRefused

WORKSPACE_HEADER = "x-workspace"


class ContextOfRequest:
    """Makes the context of a GraphQL operation; who was let in is known for a few seconds."""

    def __init__(
        self,
        installation: Installation,
        predictor: Predictor,
        *,
        predictions_url: str,
        limits: Limits,
        explain: bool = False,
    ) -> None:
        self._installation = installation
        self._predictor = predictor
        self._predictions_url = predictions_url
        self._limits = limits
        self._explain = explain
        self._contexts: LookupCache[Context] = LookupCache(lifetime_seconds=LIFETIME_SECONDS, capacity=4096)

    def kept(self, authorization: bytes, workspace: bytes) -> Context | None:
        """The context for two headers' values where it needs no lookup."""
        kept = self._contexts.kept(_key(authorization, workspace))
        return kept[0] if kept else None

    async def __call__(self, request: Request) -> Context:
        """Raises Unauthenticated and WorkspaceRefused."""
        authorization = request.headers.get("authorization", "")
        workspace = request.headers.get(WORKSPACE_HEADER, "")
        key = _key(authorization.encode("latin-1"), workspace.encode("latin-1"))
        return await self._contexts.get(key, lambda: self._context(_bearer(authorization), workspace or None))

    async def _context(self, token: str | None, workspace: str | None) -> Context:
        try:
            caller = await sign_in(self._installation.pool, token, workspace)
        except UnknownToken as error:
            raise Unauthenticated(str(error)) from error
        except UnknownWorkspace as error:
            raise WorkspaceRefused(str(error)) from error
        return Context(self._installation, caller, self._predictor, self._predictions_url, self._limits, self._explain)


def _key(authorization: bytes, workspace: bytes) -> bytes:
    """Tokens are not kept as they are."""
    return hashlib.sha256(authorization).digest() + workspace


class TokenSignIn:
    """The workspaces that a token opens, for the gateway."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def workspaces_of(self, token: str) -> frozenset[UUID]:
        return await workspaces_of(self._pool, token)


def _bearer(authorization: str) -> str | None:
    scheme, _, token = authorization.partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None
