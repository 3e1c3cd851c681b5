"""The ASGI application: GraphQL, predictions, storage, health and metrics, each at its address."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp

from artifacts.folder_store import FolderStore
from artifacts.object_store import StoreError
from db.migrate import is_current
from gql.limits import Limits
from gql.schema import Schema
from resolvers.installation import DEFAULT_STORE, Installation
from server.admission import Admission
from server.build import public_url
from server.edge_agent_file import AgentFile
from server.edge_api import EdgeApi
from server.gateway import Gateway
from server.graphiql import GraphiQL
from server.graphiql_build import GraphiQLFolders
from server.graphql_view import GraphQLView
from server.health import NotReady, Readiness, health_routes
from server.metrics import metrics_route
from server.prediction_front import PREDICTIONS_PATH, PredictionFront
from server.predictor import GatewayPredictor
from server.settings import CHECKOUT, Placement, Settings
from server.sign_in import ContextOfRequest, TokenSignIn
from server.sign_in_cache import SignInCache
from server.storage import storage_routes

GRAPHQL_PATH = "/graphql"
EXPOSED_HEADERS = ("x-request-id", "etag", "retry-after")


@dataclass(frozen=True, slots=True)
class Parts:
    """What an application is made of; all of it is open."""

    settings: Settings
    installation: Installation
    gateway: Gateway
    registry: CollectorRegistry


@dataclass(frozen=True, slots=True)
class ApiParts(Parts):
    """With the schema that the API answers by."""

    schema: Schema


def predictions_url(settings: Settings) -> str:
    """The address below which services are asked."""
    return f"{settings.gateway_public_url or public_url(settings)}{PREDICTIONS_PATH}"


def limits_of(settings: Settings) -> Limits:
    """The bounds on one GraphQL operation as the settings have them."""
    return Limits(
        depth=settings.max_query_depth,
        nesting=settings.max_query_nesting,
        aliases=settings.max_query_aliases,
        alias_characters=settings.max_query_alias_characters,
        directives=settings.max_query_directives,
        selections=settings.max_query_selections,
        root_fields=settings.max_query_root_fields,
        cost=settings.max_query_cost,
        tokens=settings.max_query_tokens,
        comments=settings.max_query_comments,
        source_characters=settings.max_query_characters,
        execution_seconds=settings.max_query_seconds,
        introspection=settings.introspection,
    )


def build_app(parts: ApiParts) -> ASGIApp:
    """The API, with predictions where the gateway is embedded."""
    edge = EdgeApi(parts.installation, AgentFile(CHECKOUT))
    routes = [*_graphql_routes(parts), *_storage_routes(parts), *edge.routes(), *_common_routes(parts)]
    if parts.settings.gateway is Placement.EMBEDDED:
        return _with_predictions(parts, routes)
    return Starlette(routes=routes, middleware=_middleware(parts.settings))


def build_gateway_app(parts: Parts) -> ASGIApp:
    """Predictions alone."""
    return _with_predictions(parts, _common_routes(parts))


def _with_predictions(parts: Parts, routes: Sequence[BaseRoute]) -> ASGIApp:
    middleware = _middleware(parts.settings)
    app = Starlette(routes=[Mount(PREDICTIONS_PATH, parts.gateway), *routes], middleware=middleware)
    return app if middleware else PredictionFront(parts.gateway, app)


def _common_routes(parts: Parts) -> Sequence[BaseRoute]:
    sign_in = SignInCache(TokenSignIn(parts.installation.pool))
    readiness = _readiness(parts.installation)
    return [*health_routes(readiness), metrics_route(parts.registry, sign_in=sign_in.workspaces_of)]


def _graphql_routes(parts: ApiParts) -> Sequence[BaseRoute]:
    settings = parts.settings
    limits = limits_of(settings)
    graphiql = GraphiQL(GraphiQLFolders(CHECKOUT), operations=CHECKOUT / "docs" / "operations", path=GRAPHQL_PATH)
    contexts = ContextOfRequest(
        parts.installation,
        GatewayPredictor(parts.gateway),
        predictions_url=predictions_url(settings),
        limits=limits,
        explain=settings.explain,
    )
    view = GraphQLView(
        parts.schema,
        context_for=contexts,
        kept_context=contexts.kept,
        page=graphiql.page,
        admission=partial(Admission, running=settings.max_running_queries, waiting=settings.max_waiting_queries),
        body_limit_bytes=settings.max_request_body_bytes,
    )
    return [Route(GRAPHQL_PATH, view), Route("/", _to_graphql), *graphiql.routes()]


async def _to_graphql(_request: Request) -> Response:
    return RedirectResponse(GRAPHQL_PATH)


def _storage_routes(parts: Parts) -> Sequence[BaseRoute]:
    stores = parts.installation.stores.items()
    return storage_routes({name: store for name, store in stores if isinstance(store, FolderStore)})


def _readiness(installation: Installation) -> Readiness:
    async def check_database() -> None:
        if not await is_current(installation.pool):
            raise NotReady("the database is not at this program's version")

    async def check_store() -> None:
        try:
            await installation.stores[DEFAULT_STORE].check()
        except StoreError as error:
            raise NotReady(str(error)) from error

    return Readiness({"database": check_database, "store": check_store})


def _middleware(settings: Settings) -> list[Middleware]:
    if not settings.cors_origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "PUT", "DELETE", "OPTIONS"],
            allow_headers=["*"],
            expose_headers=EXPOSED_HEADERS,
            max_age=600,
        )
    ]
