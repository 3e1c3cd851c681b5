"""The processes that are compared: ceilings and servers, the load on them, the CPU time that they take."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import UUID

import httpx
import psutil

from bench.load import Load
from server.settings import CHECKOUT
from tests.api import free_port, wait_for
from tests.server_process import Checkout

TOKEN = "the-token-of-the-benchmark"
CONNECTIONS_PER_CORE = 2
START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Target:
    """One or several processes that the load is spread over; `path` of a page's name."""

    name: str
    ports: Sequence[int]
    processes: Sequence[psutil.Process]
    is_graphql: bool = True
    token: str = TOKEN

    def only(self, workers: int) -> Target:
        """The first of its processes; the others have nothing to do."""
        return replace(self, ports=self.ports[:workers], processes=self.processes[:workers])

    def path(self, page: str) -> str:
        return "/graphql" if self.is_graphql else f"/{page}"

    async def first_answer(self, page: str, body: str) -> Mapping[str, object]:
        """The `data` of one answer. Raises ValueError for one with errors."""
        headers = {"authorization": f"Bearer {self.token}", "content-type": "application/json"}
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.ports[0]}", timeout=60) as http:
            response = await http.post(self.path(page), content=body, headers=headers)
        answer = response.json()
        if response.status_code != 200 or "errors" in answer:
            raise ValueError(f"{self.name} answers {page} with {response.status_code}: {response.text[:1000]}")
        data: Mapping[str, object] = answer["data"]
        return data


@dataclass(slots=True)
class CpuMeter:
    """CPU seconds that a set of processes has taken; those that end are no longer counted."""

    processes: Sequence[psutil.Process]
    before: dict[int, float] = field(default_factory=dict)

    def begin(self) -> None:
        self.before = self._now()

    def spent(self) -> float:
        """Seconds since `begin`, of the processes and of their children."""
        return sum(seconds - self.before.get(pid, 0.0) for pid, seconds in self._now().items())

    def _now(self) -> dict[int, float]:
        seconds = {}
        for parent in self.processes:
            for process in (parent, *parent.children(recursive=True)):
                try:
                    times = process.cpu_times()
                except psutil.NoSuchProcess:
                    continue
                seconds[process.pid] = times.user + times.system
        return seconds


@asynccontextmanager
async def ceiling(database_url: str, workspace: UUID, *, workers: int) -> AsyncIterator[Target]:
    """The hand-written statements; each process has two connections for each core."""
    connections = CONNECTIONS_PER_CORE * (os.cpu_count() or 1)
    async with AsyncExitStack() as stack:
        ports, processes = [], []
        for _ in range(workers):
            port = free_port()
            command = [sys.executable, "-m", "bench.reading_ceiling", "--database-url", database_url]
            command += ["--workspace", str(workspace), "--port", str(port), "--connections", str(connections)]
            processes.append(await stack.enter_async_context(_running(command, port)))
            ports.append(port)
        yield Target("ceiling", ports, processes, is_graphql=False)


@asynccontextmanager
async def modelyard(
    name: str, database_url: str, folder: Path, *, workers: int, settings: Mapping[str, str] | None = None
) -> AsyncIterator[Target]:
    """`./modelyard serve` as it comes, `workers` times: the database is what the processes share."""
    given = {"MODELYARD_TOKEN": TOKEN, "DATABASE_URL": database_url, **(settings or {})}
    async with AsyncExitStack() as stack:
        ports, processes = [], []
        for number in range(workers):
            checkout = Checkout(folder / f"{name.replace(' ', '-')}-{number}", given)
            process = await stack.enter_async_context(checkout.serving())
            processes.append(psutil.Process(process.pid))
            ports.append(checkout.port)
        yield Target(name, ports, processes)


@asynccontextmanager
async def _running(command: Sequence[str], port: int) -> AsyncIterator[psutil.Process]:
    process = subprocess.Popen(command, cwd=CHECKOUT)  # noqa: ASYNC220  nothing else is done meanwhile
    try:
        await wait_for(lambda: _is_ready(process, port), within_seconds=START_SECONDS)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(15)


async def _is_ready(process: subprocess.Popen[bytes], port: int) -> bool:
    assert process.poll() is None, f"it ended with {process.returncode}"
    try:
        async with httpx.AsyncClient() as http:
            return (await http.get(f"http://127.0.0.1:{port}/readyz")).status_code == 200
    except httpx.TransportError:
        return False


async def put_load(target: Target, page: str, bodies: Sequence[str], *, seconds: float, concurrency: int) -> Load:
    """One round, by a load generator in a process of its own."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(bodies, file)
        file.flush()
        command = [sys.executable, "-m", "bench.load", "--bodies", file.name]
        command += ["--ports", ",".join(map(str, target.ports)), "--path", target.path(page), "--token", target.token]
        command += ["--seconds", str(seconds), "--concurrency", str(concurrency)]
        done = await asyncio.to_thread(
            subprocess.run, command, cwd=CHECKOUT, check=True, stdout=subprocess.PIPE, timeout=seconds + 90
        )
    return Load(**json.loads(done.stdout))
