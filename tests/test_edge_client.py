"""Clients of a node that do not behave: each is let go of in time, and the others are answered meanwhile."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from db.connection import Pool
from tests.api import Api, running_server, wait_for
from tests.edge_nodes import AgentProcess, agent, deploy_edge, edge_service_in, register
from tests.services import import_version, package
from tests.test_edge_agent import SOON, addresses, ask

ANSWER_BYTES = 32 * 1024 * 1024
# Twice what a prediction may take, half a minute, and a machine that has other things to do.
LET_GO_SECONDS = 60.0
# What is asked for: so many seconds of work, so many bytes.
OBEDIENT = "import time\ntime.sleep(data['seconds'])\nreturn 'x' * data['bytes']"


@dataclass(frozen=True, slots=True)
class Stage:
    """A node that serves at an address."""

    agent: AgentProcess
    address: str

    async def connect(self) -> socket.socket:
        """A client that takes as little as it can."""
        host, port = self.address.removeprefix("http://").split(":")
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, (host, int(port)))
        return client

    async def send(self, client: socket.socket, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(client, data)

    def held(self) -> set[tuple[object, ...]]:
        """The clients of which the agent still has its end of the connection."""
        assert self.agent.process is not None
        ends = psutil.Process(self.agent.process.pid).net_connections("tcp")
        return {tuple(end.raddr) for end in ends if end.raddr and end.status != psutil.CONN_LISTEN}

    async def lets_go_of(self, *clients: tuple[str, int], within_seconds: float = LET_GO_SECONDS) -> None:
        """Wait until it does; somebody else is answered all the time."""

        async def look() -> bool:
            assert await ask(self.address, question()) == ""
            return not self.held() & set(clients)

        await wait_for(look, within_seconds=within_seconds)


def question(*, seconds: float = 0, size: int = 0) -> dict[str, Any]:
    return {"seconds": seconds, "bytes": size}


def request(**of: Any) -> bytes:
    body = json.dumps(question(**of)).encode()
    return (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    )


@asynccontextmanager
async def stage(
    pool: Pool, database_url: str, data_dir: Path, folder: Path, environments: Path
) -> AsyncIterator[Stage]:
    settings: dict[str, Any] = {"prediction_timeout_seconds": 2.0, **SOON}
    async with running_server(pool, database_url, data_dir, **settings) as server:
        api: Api = server.client()
        version = await import_version(api, package(OBEDIENT))
        async with agent(api, await register(api, "gate"), folder, environments) as gate:
            await deploy_edge(api, "edge", version, "gate")
            await edge_service_in(api, "edge", "RUNNING")
            yield Stage(gate, (await addresses(api, "edge"))["gate"])


@pytest.fixture
async def node(
    pool: Pool, database_url: str, data_dir: Path, tmp_path: Path, environments: Path
) -> AsyncIterator[Stage]:
    async with stage(pool, database_url, data_dir, tmp_path, environments) as opened:
        yield opened


async def trickle(node: Stage, client: socket.socket, data: bytes) -> None:
    """A byte a second."""
    with suppress(OSError):
        for byte in data:
            await node.send(client, bytes([byte]))
            await asyncio.sleep(1)


@pytest.mark.slow
async def test_a_client_that_takes_nothing_of_its_answer_is_let_go_of(node: Stage) -> None:
    with await node.connect() as client:
        await node.send(client, request(size=ANSWER_BYTES))
        await node.lets_go_of(client.getsockname())


@pytest.mark.slow
@pytest.mark.parametrize("sent", [0, len(request()) - 8], ids=["head", "body"])
async def test_a_client_that_sends_a_byte_a_second_is_let_go_of(node: Stage, sent: int) -> None:
    with await node.connect() as client:
        whole = request() + b" " * 600
        await node.send(client, whole[:sent])
        trickling = asyncio.create_task(trickle(node, client, whole[sent:]))
        await node.lets_go_of(client.getsockname())
        trickling.cancel()


async def test_clients_that_go_away_leave_nothing_behind(node: Stage) -> None:
    asked = [request()[:20], request()[:-8], request(seconds=0.5), request(size=ANSWER_BYTES)]
    clients = [await node.connect() for _ in asked]
    names = [client.getsockname() for client in clients]
    for client, data in zip(clients, asked, strict=True):
        await node.send(client, data)

    async def are_there() -> bool:
        return node.held() >= set(names)

    await wait_for(are_there)
    for client in clients:
        client.close()
    await node.lets_go_of(*names, within_seconds=20)
