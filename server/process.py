"""The processes: `serve` with what is embedded in it, `worker`, `gateway`."""

import asyncio
import gc
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial

import uvicorn
import uvloop
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp

from db.failure import MappingFailure
from db.listener import Listener
from gql import mapping_check
from gql.schema import Schema, build_schema
from resolvers import workspace
from resolvers.edge_node_watch import keep_watching
from resolvers.installation import Installation
from server.app import ApiParts, Parts, build_app, build_gateway_app, limits_of, predictions_url
from server.background import kept_running
from server.background import work as do_work
from server.banner import print_banner
from server.build import installation as build_installation
from server.client_address import TrustedProxies
from server.data_directory import prepare_data_directory
from server.database import database, database_pool, reading_pool
from server.gateway import Gateway
from server.kept_file import default_token
from server.listener import open_listener
from server.log import configure_log
from server.prediction_metrics import PredictionMetrics
from server.prediction_minute import MinuteTallies
from server.prediction_minute_store import StoredMinutes
from server.route_source import StoredApis, StoredRoutes
from server.settings import Placement, Settings
from server.sign_in import TokenSignIn

CHANNELS = ("modelyard_service",)
SIGNALS = (signal.SIGINT, signal.SIGTERM)
SHUTDOWN_SECONDS = 3
KEEP_ALIVE_SECONDS = 75
COLLECTION_THRESHOLDS = (50_000, 20, 50)


@dataclass(frozen=True, slots=True)
class Foundation:
    """What every process stands on."""

    settings: Settings
    installation: Installation
    listener: Listener


def serve(settings: Settings) -> None:
    """The API, with the worker and the gateway inside unless the settings place them elsewhere. Raises StartFailure."""
    _run(settings, _serve(settings))


def work(settings: Settings) -> None:
    """Background work alone, until a signal."""
    _run(settings, _work(settings))


def serve_gateway(settings: Settings) -> None:
    """Predictions alone."""
    _run(settings, _serve_gateway(settings))


def _run(settings: Settings, main: Coroutine[None, None, None]) -> None:
    configure_log(settings.log_level)
    uvloop.run(main)


async def _serve(settings: Settings) -> None:
    async with running(settings) as app:
        token = None if settings.token else default_token(settings.data_dir)
        await _answer(settings, app, lambda: print_banner(settings, token))


@asynccontextmanager
async def running(settings: Settings, schema: Schema | None = None) -> AsyncIterator[ASGIApp]:
    """The API's application with everything behind it at work, for whoever serves it. Raises StartFailure."""
    async with assembled(settings, schema) as parts:
        yield build_app(parts)


@asynccontextmanager
async def assembled(settings: Settings, schema: Schema | None = None) -> AsyncIterator[ApiParts]:
    """What the API's application is made of, at work. Raises StartFailure and DatabaseFailure.

    Whoever gives the schema answers for it: it has the settings' limits, and the database has what it reads.
    """
    has_worker = settings.worker is Placement.EMBEDDED
    async with _foundation(settings, dies_with_server=has_worker) as base:
        schema = schema or await _checked_schema(settings, base.installation)
        setting = settings.token.get_secret_value() if settings.token else None
        default = None if setting else default_token(settings.data_dir)
        await workspace.settle(base.installation.pool, setting=setting, default=default)
        async with _gateway(base) as parts, AsyncExitStack() as stack:
            watch = kept_running("edge nodes", partial(keep_watching, base.installation))
            await stack.enter_async_context(_beside(watch))
            if has_worker:
                await stack.enter_async_context(_beside(do_work(settings, base.installation, base.listener)))
            yield ApiParts(parts.settings, parts.installation, parts.gateway, parts.registry, schema)


async def _checked_schema(settings: Settings, installation: Installation) -> Schema:
    schema = build_schema(limits_of(settings), plans=settings.plans)
    if settings.database_statement_cache_size:
        await _check_mapping(installation, schema)
    return schema


async def _check_mapping(installation: Installation, schema: Schema) -> None:
    """Raises MappingFailure. Only prepares, which a PgBouncer need not bear."""
    execution = schema.execution
    told = await mapping_check.missing(installation.reading_pool, execution.schema, execution.keys)
    if told:
        more = f" ({len(told) - 1} more are like it)" if told[1:] else ""
        raise MappingFailure(f"The database lacks what the schema reads: {told[0].splitlines()[0]}{more}.")


async def _serve_gateway(settings: Settings) -> None:
    async with _foundation(settings, dies_with_server=False) as base, _gateway(base) as parts:
        await _answer(settings, build_gateway_app(parts), lambda: None)


async def _work(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, stop.set)
    async with (
        _foundation(settings, dies_with_server=False) as base,
        _beside(do_work(settings, base.installation, base.listener)),
    ):
        _begin_collections()
        await stop.wait()


@asynccontextmanager
async def _foundation(settings: Settings, *, dies_with_server: bool) -> AsyncIterator[Foundation]:
    prepare_data_directory(settings.data_dir)
    async with AsyncExitStack() as stack:
        dsn = await stack.enter_async_context(database(settings))
        pool = await stack.enter_async_context(database_pool(settings, dsn))
        reading = await stack.enter_async_context(reading_pool(settings, dsn))
        made = await stack.enter_async_context(
            build_installation(settings, pool, reading, dies_with_server=dies_with_server)
        )
        listener = Listener(dsn, CHANNELS)
        await stack.enter_async_context(_beside(kept_running("listener", listener.run)))
        yield Foundation(settings, made, listener)


@asynccontextmanager
async def _gateway(base: Foundation) -> AsyncIterator[Parts]:
    registry = CollectorRegistry()
    pool = base.installation.pool
    minutes = MinuteTallies(StoredMinutes(pool))
    metrics = PredictionMetrics(registry, minutes=minutes)
    with base.listener.subscription("modelyard_service") as heard:
        gateway = Gateway(
            StoredRoutes(pool, heard),
            TokenSignIn(pool),
            metrics=metrics,
            apis=StoredApis(pool),
            predictions_url=predictions_url(base.settings),
            timeout_seconds=base.settings.prediction_timeout_seconds,
            max_body_bytes=base.settings.prediction_max_body_bytes,
            trusted_proxies=TrustedProxies(base.settings.trusted_proxies),
        )
        await gateway.open()
        try:
            async with _beside(minutes.follow(metrics.under_way)):
                yield Parts(base.settings, base.installation, gateway, registry)
        finally:
            await gateway.close()
            await minutes.close()


async def _answer(settings: Settings, app: ASGIApp, announce: Callable[[], None]) -> None:
    """Answer requests until a signal."""
    listening = open_listener(settings.host, settings.port)
    _begin_collections()
    await _Server(configuration(app), announce).serve(sockets=[listening])


def _begin_collections() -> None:
    """What is there now stays: collections need not look through it again."""
    gc.collect()
    gc.freeze()
    # What is left to look at is young: requests come and go.
    gc.set_threshold(*COLLECTION_THRESHOLDS)
    gc.enable()


@asynccontextmanager
async def _beside(job: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Do a job for as long as the context lasts."""
    task = asyncio.create_task(job)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


class _Server(uvicorn.Server):
    """Says so once it listens."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._announce()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Not uvicorn's, which raises the signal again: a SIGTERM would end us before what we started is closed."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in SIGNALS:
                loop.remove_signal_handler(number)


def configuration(app: ASGIApp) -> uvicorn.Config:
    """How uvicorn serves an application of ours."""
    return uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
