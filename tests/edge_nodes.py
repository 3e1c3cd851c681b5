"""Edge nodes: registered ones, their reports, and their agents as processes, begun from the server's file."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from engines.package_source import base_interpreter
from resolvers import edge_node_watch
from server.build import installation as build_installation
from tests.api import Api, RunningServer, free_port, wait_for

NODE = "status statusMessage lastSeenAt runtime agentVersion isolation cpuCount memoryBytes architecture revision"
DEPLOYMENTS = """... on EdgeService {
    target { modelVersion { version } }
    deployments { desiredState state reason address configurationNumber reportedAt edgeNode { name status } } }"""
STOP_SECONDS = 30.0
TABLES = ("edge_node", "edge_deployment", "edge_service_node", "service_configuration", "service_target")


@dataclass(frozen=True, slots=True)
class Node:
    name: str
    id: str
    token: str


async def register(api: Api, name: str) -> Node:
    payload = await api.mutate("registerEdgeNode", "token edgeNode { id }", name=name)
    assert payload["errors"] == [], payload
    return Node(name, payload["edgeNode"]["id"], payload["token"])


async def node_of(api: Api, name: str, selection: str = NODE) -> Any:
    document = f"query ($name: String!) {{ edgeNode(by: {{name: $name}}) {{ {selection} }} }}"
    return (await api.ask(document, name=name))["edgeNode"]


async def node_in(api: Api, name: str, status: str, *, within_seconds: float = 30) -> Any:
    """The node once it is in a state."""

    async def look() -> Any:
        found = await node_of(api, name)
        return found if found["status"] == status else None

    return await wait_for(look, within_seconds=within_seconds)


async def silence(server: RunningServer, *names: str) -> None:
    """Have nodes be unheard of for long, and that noticed at once."""
    await server.pool.execute(
        "UPDATE edge_node SET last_seen_at = now() - interval '2 hours' WHERE name = ANY($1)", names
    )
    pool = server.pool
    async with build_installation(server.settings, pool, pool, dies_with_server=True) as installation:  # type: ignore[arg-type]
        await edge_node_watch.look(installation)


def report(*deployments: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """What an agent sends."""
    return {
        "agent_version": "test",
        "architecture": "x86_64",
        "runtime": "python3.11",
        "isolation": "NONE",
        "cpu_count": 2,
        "memory_bytes": 2**33,
        "failure": None,
        "deployments": list(deployments),
        "logs": [],
        **changes,
    }


def told(wanted: Mapping[str, Any], state: str, **changes: Any) -> dict[str, Any]:
    """What an agent says of a deployment that it was told of."""
    number = wanted["configuration_number"] if state == "RUNNING" else None
    address = "http://127.0.0.1:8500"
    said = {"service_id": wanted["service_id"], "state": state, "reason": None, "address": address}
    return {**said, "configuration_number": number, **changes}


async def post(api: Api, token: str, body: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}"}
    return await api.http.post("/edge/v1/sync", json=body, headers=headers)


async def sync(api: Api, node: Node, *deployments: Mapping[str, Any], **changes: Any) -> list[dict[str, Any]]:
    """What a node that reports this is told to have."""
    response = await post(api, node.token, report(*deployments, **changes))
    assert response.status_code == 200, response.text
    wanted: list[dict[str, Any]] = response.json()["deployments"]
    return wanted


async def deploy_edge(api: Api, name: str, version: str, *nodes: str, **fields: Any) -> dict[str, Any]:
    """A new edge service of the model `iris`."""
    target = {"modelVersion": {"modelName": "iris", "version": version}}
    payload = await api.mutate(
        "deployEdgeService", "service { id status }", name=name, target=target, nodes=list(nodes), **fields
    )
    assert payload["errors"] == [], payload
    service: dict[str, Any] = payload["service"]
    return service


async def edge_service(api: Api, name: str) -> Any:
    return await api.service(name, DEPLOYMENTS)


async def edge_service_in(api: Api, name: str, *statuses: str, within_seconds: float = 60) -> Any:
    async def look() -> Any:
        found = await edge_service(api, name)
        return found if found["status"] in statuses else None

    return await wait_for(look, within_seconds=within_seconds)


async def on_node(api: Api, name: str, node: str, state: str, *, within_seconds: float = 60) -> Any:
    """A service on a node once it is in a state there."""

    async def look() -> Any:
        found = await edge_service(api, name)
        deployment = next(each for each in found["deployments"] if each["edgeNode"]["name"] == node)
        return deployment if deployment["state"] == state else None

    return await wait_for(look, within_seconds=within_seconds)


def iris(version: str, **fields: Any) -> dict[str, Any]:
    return {"modelVersion": {"modelName": "iris", "version": version}, **fields}


async def stored(api: Api) -> dict[str, Any]:
    """What a refused mutation must leave as it is."""
    counts: dict[str, Any] = {table: await api.count(table) for table in TABLES}
    rows = await api.pool.fetch("SELECT id, desired_state, revision FROM edge_deployment ORDER BY id")
    services = await api.pool.fetch("SELECT id, revision, desired_state FROM service ORDER BY id")
    return {**counts, **await api.counts(), "rows": [tuple(row) for row in [*rows, *services]]}


async def refuse(api: Api, mutation: str, /, **fields: Any) -> list[tuple[str, list[str]]]:
    """The codes and paths of the errors of a request that must change nothing."""
    before = await stored(api)
    errors = await api.refused(mutation, **fields)
    assert await stored(api) == before
    return sorted((error["code"], error["path"]) for error in errors)


async def up(api: Api, name: str, version: str, *nodes: Node) -> dict[str, Any]:
    """A new service that every one of its nodes says it runs: what each node is told, by its name."""
    await deploy_edge(api, name, version, *(node.name for node in nodes))
    wanted = {node.name: (await sync(api, node))[0] for node in nodes}
    for node in nodes:
        await sync(api, node, told(wanted[node.name], "RUNNING"))
    await edge_service_in(api, name, "RUNNING")
    return wanted


@dataclass(slots=True)
class AgentProcess:
    """An agent on a machine that has a Python and nothing else: `file` is what a server handed out."""

    file: Path
    data: Path
    arguments: tuple[str, ...]
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def log(self) -> Path:
        return self.data.with_suffix(".log")

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def start(self) -> None:
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": os.environ.get("HOME", "/")}
        command = [base_interpreter(), "-I", str(self.file), "--data", str(self.data), *self.arguments]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, cwd="/", stdout=log, stderr=log)

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return await asyncio.to_thread(self.process.wait, STOP_SECONDS)

    async def restart(self, number: signal.Signals = signal.SIGTERM) -> None:
        await self.end(number)
        self.start()


@asynccontextmanager
async def agent(api: Api, node: Node, folder: Path, environments: Path) -> AsyncIterator[AgentProcess]:
    """A node's agent, which runs until the block ends; what it said goes along with a failure."""
    file = folder / f"{node.name}.pyz"
    file.write_bytes((await api.http.get("/edge/agent.pyz")).content)
    data = folder / node.name
    data.mkdir()
    (data / "environments").symlink_to(environments)
    options = ("--server", str(api.http.base_url), "--token", node.token, "--port-base", str(free_port()))
    started = AgentProcess(file, data, options)
    started.start()
    try:
        yield started
    except BaseException as failure:
        failure.add_note(f"{node.name} said:\n{started.said[-20_000:]}")
        raise
    finally:
        assert started.process is not None
        if started.process.poll() is None:
            await started.end()
