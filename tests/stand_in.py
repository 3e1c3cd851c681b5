"""A small schema behind the real view, for tests of what the view and the execution do with any schema."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import orjson
import strawberry
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Route
from strawberry.scalars import JSON
from strawberry.types import ExecutionResult

from gql.limits import Limits
from gql.schema import Schema
from server.admission import Admission
from server.graphiql import GraphiQL
from server.graphiql_build import GraphiQLFolders
from server.graphql_view import GraphQLView
from server.sign_in_errors import Unauthenticated, WorkspaceRefused

CHECKOUT = Path(__file__).resolve().parent.parent
TOKEN = "mtk_stand-in"
SIGNED_IN = {"authorization": f"Bearer {TOKEN}"}


class BadName(Exception):
    """A caller's mistake, as resolvers raise it."""

    code = "BAD_NAME"


@strawberry.type(description="A model that the stand-in has.")
class Model:
    id: strawberry.ID
    name: str

    @strawberry.field
    def siblings(self, first: int = 20) -> list[Model]:
        return [Model(id=strawberry.ID(f"mdl_{n}"), name=f"sibling {n}") for n in range(first)]


@strawberry.type
class Query:
    @strawberry.field
    def echo(self, text: str = "hello", at: datetime | None = None, number: int = 1) -> str:
        return text

    @strawberry.field
    def models(self, first: int = 20) -> list[Model]:
        return [Model(id=strawberry.ID(f"mdl_{n}"), name=f"model {n}") for n in range(first)]

    @strawberry.field
    def nodes(self, ids: list[strawberry.ID]) -> list[Model]:
        return [Model(id=node_id, name="a node") for node_id in ids]

    @strawberry.field
    def mistake(self) -> str | None:
        raise BadName("The name is taken.")

    @strawberry.field
    def fault(self) -> str | None:
        raise ValueError("the password is hunter2")

    @strawberry.field
    def too_big(self) -> int | None:
        return 1 << 40

    @strawberry.field
    async def stuck(self) -> str | None:
        await asyncio.Event().wait()
        return None


@strawberry.type
class Mutation:
    @strawberry.mutation
    def remember(self, info: strawberry.Info[list[JSON], None], value: JSON) -> bool:
        info.context.append(value)
        return True


class PlanningSchema(Schema):
    """Answers one operation as the planner does: with bytes that are the response's data already."""

    async def execute(self, query: str | None, *args: Any, **kwargs: Any) -> ExecutionResult:
        if query == "{ planned }":
            data: Any = orjson.Fragment(b'{"planned":"bytes"}')
            return ExecutionResult(data=data, errors=None)
        return await super().execute(query, *args, **kwargs)


def stand_in_schema(limits: Limits | None = None) -> Schema:
    """Runs as the real one does."""
    return PlanningSchema(query=Query, mutation=Mutation, limits=limits or Limits(), caller_faults=(BadName,))


class StandIn:
    """The application, and everything that its mutation was given."""

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        body_limit_bytes: int = 1 << 20,
        body_timeout_seconds: float = 30.0,
        running: int = 64,
        waiting: int = 256,
        knows_who_asks: bool = True,
        graphiql: GraphiQL | None = None,
    ) -> None:
        self.remembered: list[JSON] = []
        view = GraphQLView(
            stand_in_schema(limits),
            context_for=self._context_for,
            kept_context=self._kept_context if knows_who_asks else lambda _authorization, _workspace: None,
            page=graphiql.page if graphiql else lambda: PlainTextResponse("the page"),
            admission=partial(Admission, running=running, waiting=waiting, wait_seconds=0.2),
            body_limit_bytes=body_limit_bytes,
            body_timeout_seconds=body_timeout_seconds,
        )
        routes: Iterable[BaseRoute] = graphiql.routes() if graphiql else ()
        self.app = Starlette(routes=[*routes, Route("/graphql", view)])

    async def _context_for(self, request: Request) -> list[JSON]:
        if request.headers.get("authorization") != SIGNED_IN["authorization"]:
            raise Unauthenticated("This token is unknown.")
        if request.headers.get("x-workspace", "default") == "broken":
            raise RuntimeError("the database at 10.0.0.1 is down")
        if request.headers.get("x-workspace", "default") != "default":
            raise WorkspaceRefused("You have no part in this workspace.")
        return self.remembered

    def _kept_context(self, authorization: bytes, workspace: bytes) -> list[JSON] | None:
        is_known = authorization == SIGNED_IN["authorization"].encode() and workspace in (b"", b"default")
        return self.remembered if is_known else None

    def client(self) -> httpx.AsyncClient:
        """Speaks to the application without a socket; signed in."""
        transport = httpx.ASGITransport(app=self.app)
        return httpx.AsyncClient(transport=transport, base_url="http://modelyard.test", headers=SIGNED_IN)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """The address of the endpoint, on a socket, for clients that are other processes."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            config = uvicorn.Config(
                self.app, lifespan="off", ws="none", log_level="warning", timeout_graceful_shutdown=1
            )
            server = uvicorn.Server(config)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(server.serve([listening]))
                yield f"http://127.0.0.1:{listening.getsockname()[1]}/graphql"
                server.should_exit = True


def checkout_graphiql(operations: Path) -> GraphiQL:
    """GraphiQL as this checkout has it built, with the operations of a test."""
    return GraphiQL(GraphiQLFolders(CHECKOUT), operations=operations)
