"""Ours and a neighbour's graph put together, behind a gateway of Apollo's."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from server.node import Node
from tests.api import TOKEN, Api, RunningServer
from tests.federation.neighbour import Neighbour, Stored
from tests.serving import serving

PROGRAMS = ("compose.mjs", "gateway.mjs")
SERVICE_DEFINITION = "{ _service { sdl } }"
WITHIN_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Toolbox:
    """A node, and a folder in which it finds the programs beside this file and their packages."""

    node: Node
    folder: Path

    @classmethod
    def laid_out(cls, node: Node, folder: Path) -> "Toolbox":
        for name in PROGRAMS:
            shutil.copyfile(Path(__file__).parent / name, folder / name)
        return cls(node, folder)

    async def started(self, program: str, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *self.node.node,
            program,
            *arguments,
            cwd=self.folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=2**24,
        )

    async def composed(self, scratch: Path, subgraphs: Mapping[str, tuple[str, str]]) -> str:
        """The supergraph of subgraphs, each with its address and its definition. Raises CompositionFailure."""
        arguments: list[str] = []
        for name, (url, sdl) in subgraphs.items():
            file = scratch / f"{name}.graphql"
            file.write_text(sdl)
            arguments += [name, url, str(file)]
        process = await self.started("compose.mjs", *arguments)
        output, complaints = await _communicated(process)
        if process.returncode != 0:
            raise CompositionFailure(complaints.decode())
        return output.decode()


class CompositionFailure(Exception):
    """What the composition complains about."""


@dataclass(frozen=True, slots=True)
class Supergraph:
    """The gateway's address, and what the neighbour stores."""

    url: str
    server: RunningServer
    neighbour: Stored

    def client(self, token: str = TOKEN, workspace: str | None = None) -> Api:
        """A client of the gateway, closed when our server ends."""
        client = self.server.client(token, workspace)
        client.http.base_url = httpx.URL(self.url)
        return client


@asynccontextmanager
async def supergraph(server: RunningServer, toolbox: Toolbox, scratch: Path) -> AsyncIterator[Supergraph]:
    """A gateway before a server of ours and a neighbour."""
    neighbour = Neighbour()
    listener = socket.create_server(("127.0.0.1", 0))
    async with serving(neighbour, listener):
        neighbour_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        subgraphs = {
            "modelyard": (f"{server.url}/graphql", await service_definition(server.client())),
            "neighbour": (neighbour_url, await _neighbours_definition(neighbour_url)),
        }
        file = scratch / "supergraph.graphql"
        file.write_text(await toolbox.composed(scratch, subgraphs))
        async with _gateway(toolbox, file) as url:
            yield Supergraph(url, server, neighbour.stored)


async def service_definition(api: Api) -> str:
    sdl: str = (await api.ask(SERVICE_DEFINITION))["_service"]["sdl"]
    return sdl


async def _neighbours_definition(url: str) -> str:
    async with httpx.AsyncClient() as client:
        answer = (await client.post(url, json={"query": SERVICE_DEFINITION})).json()
    sdl: str = answer["data"]["_service"]["sdl"]
    return sdl


@asynccontextmanager
async def _gateway(toolbox: Toolbox, file: Path) -> AsyncIterator[str]:
    process = await toolbox.started("gateway.mjs", str(file))
    try:
        assert process.stdout is not None
        async with asyncio.timeout(WITHIN_SECONDS):
            url = (await process.stdout.readline()).decode().strip()
        assert url, (await _communicated(process))[1].decode()
        yield url
    finally:
        if process.returncode is None:
            process.kill()
        await _communicated(process)


async def _communicated(process: asyncio.subprocess.Process) -> tuple[bytes, bytes]:
    try:
        async with asyncio.timeout(WITHIN_SECONDS):
            return await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
