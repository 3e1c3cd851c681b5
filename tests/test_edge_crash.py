"""Agents that are killed: in the middle of a download, and with replicas that have started processes of their own."""

import asyncio
import hashlib
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import httpx
import psutil
import pytest

from db.connection import Pool
from tests.api import Api, RunningServer, free_port, running_server, wait_for
from tests.edge_nodes import agent, deploy_edge, edge_service_in, on_node, register
from tests.services import import_version, package
from tests.test_edge_agent import SOON, addresses, answers_again, ask, instances_of

MIB = 1024 * 1024
WEIGHTS_BYTES = 12 * MIB
# Of one answer, before the rest is held back.
PASSED_BYTES = 2 * MIB + MIB // 2
DIGESTS = "import hashlib\nreturn hashlib.sha256(open('weights.bin', 'rb').read()).hexdigest()"
STARTS_ANOTHER = """import subprocess, sys
subprocess.Popen([sys.executable, '-c', 'import os, time; os.setsid(); time.sleep(600)', '{mark}'])"""


@dataclass(slots=True)
class Door:
    """In front of a server: passes of each answer no more than its beginning, until it is opened."""

    server_port: int
    port: int = field(default_factory=free_port)
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    heads: list[bytes] = field(default_factory=list)
    connections: set["asyncio.Task[None]"] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.connections.add(task)
        back, forth = await asyncio.open_connection("127.0.0.1", self.server_port)
        asking = asyncio.create_task(self._ask(reader, forth))
        with suppress(OSError, asyncio.CancelledError):
            await self._answer(back, writer)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        for each in (forth, writer):
            each.close()
            with suppress(OSError):
                await each.wait_closed()
        self.connections.discard(task)

    async def _ask(self, reader: asyncio.StreamReader, forth: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(MIB):
            self.heads.append(chunk.partition(b"\r\n\r\n")[0])
            forth.write(chunk)
            await forth.drain()

    async def _answer(self, back: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passed = 0
        while chunk := await back.read(MIB // 2):
            if passed >= PASSED_BYTES:
                await self.opened.wait()
            passed += len(chunk)
            writer.write(chunk)
            await writer.drain()


@asynccontextmanager
async def door_to(port: int) -> AsyncIterator[Door]:
    door = Door(port)
    listening = await asyncio.start_server(door.accept, "127.0.0.1", door.port)
    try:
        yield door
    finally:
        listening.close()
        for connection in door.connections:
            connection.cancel()
        await asyncio.gather(*door.connections)


def arrived_bytes(data: Path) -> int:
    """How much there is of files that are not whole."""
    return sum(file.stat().st_size for file in data.glob("packages/*/arriving/*"))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_download_that_a_signal_broke_off_is_gone_on_with_and_nothing_is_served_before(
    number: signal.Signals, pool: Pool, database_url: str, data_dir: Path, tmp_path: Path, environments: Path
) -> None:
    weights = os.urandom(WEIGHTS_BYTES)
    async with (
        door_to(free_port()) as door,
        running_server(pool, database_url, data_dir, port=door.server_port, public_url=door.url, **SOON) as server,
    ):
        api = server.client()
        version = await import_version(api, {**package(DIGESTS), "model/weights.bin": weights})
        async with agent(api, await register(api, "gate"), tmp_path, environments) as gate:
            await deploy_edge(api, "edge", version, "gate")

            async def has_begun() -> bool:
                return arrived_bytes(gate.data) >= 2 * MIB

            await wait_for(has_begun, within_seconds=90)
            await gate.end(number)
            arrived = arrived_bytes(gate.data)
            assert arrived < WEIGHTS_BYTES
            assert not list(gate.data.glob("packages/*/package/weights.bin"))
            gate.start()

            async def goes_on() -> bool:
                return arrived_bytes(gate.data) > arrived

            await wait_for(goes_on, within_seconds=90)
            assert f"Range: bytes={arrived}-".encode() in door.heads[-1]

            async def address() -> str | None:
                return (await addresses(api, "edge"))["gate"]

            async with httpx.AsyncClient() as client:
                refused = await client.post(await wait_for(address), json=1)
            assert (refused.status_code, refused.json()["code"]) == (503, "SERVICE_NOT_RUNNING")
            assert not instances_of(gate.data)
            door.opened.set()
            await on_node(api, "edge", "gate", "RUNNING")
            assert await ask((await addresses(api, "edge"))["gate"]) == hashlib.sha256(weights).hexdigest()


@pytest.mark.parametrize("isolation", ["auto", "none"])
async def test_nothing_of_a_replica_is_left_once_a_killed_agent_is_back(
    isolation: str, server: RunningServer, api: Api, tmp_path: Path, environments: Path
) -> None:
    mark = str(uuid4())

    def others() -> list[psutil.Process]:
        return [each for each in psutil.process_iter(["cmdline"]) if mark in (each.info["cmdline"] or ())]

    version = await import_version(api, package("return {'answer': 1}", constructor=STARTS_ANOTHER.format(mark=mark)))
    async with agent(api, await register(api, "gate"), tmp_path, environments) as gate:
        gate.arguments += ("--isolation", isolation)
        await gate.restart()
        await deploy_edge(api, "edge", version, "gate")
        await edge_service_in(api, "edge", "RUNNING")
        address = (await addresses(api, "edge"))["gate"]
        before = others()
        assert len(before) == 1
        await gate.end(signal.SIGKILL)

        async def has_ended() -> bool:
            return not instances_of(gate.data)

        await wait_for(has_ended)
        gate.start()
        await answers_again(address, 1)
        assert not {each.pid for each in before} & {each.pid for each in others()}
        await gate.end(signal.SIGTERM)
        assert not instances_of(gate.data)
        assert not others()
