"""Who sent a request: its token, and the workspace that it picks."""

from uuid import UUID

from starlette.requests import Request

from db.connection import Pool
from gql.context import Context
from gql.limits import Limits
from resolvers.errors import UnknownToken, UnknownWorkspace
from resolvers.installation import Installation
from resolvers.prediction import Predictor
from resolvers.workspace import sign_in, workspaces_of
from server.sign_in_errors import Unauthenticated, WorkspaceRefused

WORKSPACE_HEADER = "x-workspace"


class ContextOfRequest:
    """Makes the context of a GraphQL operation."""

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

    async def __call__(self, request: Request) -> Context:
        """Raises Unauthenticated and WorkspaceRefused."""
        token = _bearer(request.headers.get("authorization", ""))
        workspace = request.headers.get(WORKSPACE_HEADER) or None
        try:
            caller = await sign_in(self._installation.pool, token, workspace)
        except UnknownToken as error:
            raise Unauthenticated(str(error)) from error
        except UnknownWorkspace as error:
            raise WorkspaceRefused(str(error)) from error
        return Context(self._installation, caller, self._predictor, self._predictions_url, self._limits, self._explain)


class TokenSignIn:
    """The workspaces that a token opens, for the gateway."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def workspaces_of(self, token: str) -> frozenset[UUID]:
        return await workspaces_of(self._pool, token)


def _bearer(authorization: str) -> str | None:
    scheme, _, token = authorization.partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None
