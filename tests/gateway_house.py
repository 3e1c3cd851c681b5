"""A gateway with what stands before and behind it: instances are on Unix sockets, it on a loopback port."""

import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.routing import Mount
from yarl import URL

from server.gateway import Gateway
from server.prediction_front import PREDICTIONS_PATH, PredictionFront
from server.prediction_metrics import PredictionMetrics
from server.route import Instance, Route
from tests.deadline import eventually
from tests.replica import MIB, Replica
from tests.routes import Apis, Routes, Tokens, service, target
from tests.serving import serving

SIGNED_IN = {"authorization": "Bearer ours"}


@dataclass
class House:
    """A gateway with what stands before and behind it."""

    directory: Path
    routes: Routes
    tokens: Tokens
    apis: Apis
    registry: CollectorRegistry
    gateway: Gateway
    stack: AsyncExitStack
    client: aiohttp.ClientSession
    url: str = ""

    async def replica(self, name: str) -> tuple[Replica, Instance]:
        replica = Replica(name)
        path = self.directory / name
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        replica.server = await self.stack.enter_async_context(serving(replica, listener))
        return replica, Instance(id=f"ins_{name}", address=f"unix:{path}")

    async def one(self, **policy: Any) -> Replica:
        """One service with one replica; `policy` are fields of Policy."""
        replica, instance = await self.replica("a")
        await self.swap(service("svc_one", targets=[target("ver_1", 100, instance)], **policy))
        return replica

    async def route(self, *instances: Instance) -> None:
        await self.swap(service("svc_one", targets=[target("ver_1", 100, *instances)]))

    async def swap(self, *routes: Route) -> None:
        self.routes.stored = {}
        self.routes.put(*routes)
        readings = self.routes.readings
        self.routes.tell()
        await eventually(lambda: self.routes.readings > readings)

    def call(
        self, path: str = "/", *, method: str = "POST", **options: object
    ) -> "aiohttp.client._RequestContextManager":
        options = {"headers": SIGNED_IN, "data": b"{}", **options}
        return self.client.request(method, URL(f"{self.url}/svc_one{path}", encoded=True), **options)  # type: ignore[arg-type]


@asynccontextmanager
async def house(**options: object) -> AsyncIterator[House]:
    routes, tokens, apis, registry = Routes(), Tokens(), Apis(), CollectorRegistry()
    settings = {
        "timeout_seconds": 20.0,
        "max_body_bytes": 4 * MIB,
        "random": Random(7),
        "instance_header": "x-instance",
        "apis": apis,
        "predictions_url": "https://models.example/v1/infers",
    }
    gateway = Gateway(routes, tokens, metrics=PredictionMetrics(registry), **(settings | options))  # type: ignore[arg-type]
    async with AsyncExitStack() as stack:
        # Short, since a socket's path has at most 107 characters.
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gw-")))
        await gateway.open()
        stack.push_async_callback(gateway.close)
        listener = socket.create_server(("127.0.0.1", 0))
        app = PredictionFront(gateway, Starlette(routes=[Mount(PREDICTIONS_PATH, gateway)]))
        await stack.enter_async_context(serving(app, listener))
        limit = aiohttp.ClientTimeout(total=30)
        client = await stack.enter_async_context(aiohttp.ClientSession(timeout=limit, auto_decompress=False))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1/infers"
        yield House(directory, routes, tokens, apis, registry, gateway, stack, client, url)


async def refusal(response: aiohttp.ClientResponse) -> tuple[int, str]:
    body = await response.json()
    assert set(body) == {"code", "message", "requestId"}
    assert body["requestId"] == response.headers["x-request-id"]
    return response.status, body["code"]


async def answered(home: House, path: str) -> int:
    async with home.call(path) as response:
        await response.read()
        return response.status


async def versions(home: House, count: int) -> list[str]:
    drawn = []
    for _ in range(count):
        async with home.call("/") as response:
            assert response.status == 200
            drawn.append(response.headers["x-modelyard-model-version"])
    return drawn
