"""Real agents, each begun from the file that a running server hands out, with a Python that has nothing of ours."""

import asyncio
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from db.connection import Pool
from tests.api import Api, RunningServer, free_port, running_server, wait_for
from tests.edge_nodes import AgentProcess, agent, deploy_edge, edge_service, edge_service_in, node_in, on_node, register
from tests.plain_http import NO_TLS
from tests.server_process import nothing_left
from tests.services import act, import_version, is_gone, package

SOON = {"edge_sync_seconds": 0.3, "edge_node_lost_seconds": 2.0}


def answering(number: int) -> dict[str, bytes]:
    """A package whose service says which it is, and prints a line of its own."""
    return package(f"return {{'answer': {number}, 'asked': data}}", constructor=f"print('loaded {number}', flush=True)")


@asynccontextmanager
async def nodes(api: Api, folder: Path, environments: Path, *names: str) -> AsyncIterator[list[AgentProcess]]:
    """Registered nodes with their agents at work, on one machine."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(agent(api, await register(api, name), folder, environments))
            for name in names
        ]


async def ask(address: str, body: object = 1) -> Any:
    async with httpx.AsyncClient(verify=NO_TLS) as client:
        response = await client.post(address, json=body, timeout=20)
    assert response.status_code == 200, response.text
    return response.json()


async def addresses(api: Api, name: str) -> dict[str, str]:
    """Where a service answers, by the nodes' names."""
    found = await edge_service(api, name)
    return {each["edgeNode"]["name"]: each["address"] for each in found["deployments"]}


async def answers_again(address: str, answer: int) -> None:
    async def look() -> bool:
        try:
            return bool((await ask(address))["answer"] == answer)
        except (httpx.TransportError, AssertionError):
            return False

    await wait_for(look, within_seconds=60)


def instances_of(data: Path) -> list[psutil.Process]:
    """The processes that run models of a node."""
    return [each for each in psutil.process_iter() if f"--socket={data}" in " ".join(_command(each))]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@pytest.mark.slow
async def test_nodes_serve_with_and_without_the_server_and_after_their_own_restart(
    pool: Pool, database_url: str, data_dir: Path, tmp_path: Path, environments: Path
) -> None:
    settings: Mapping[str, Any] = {"port": free_port(), **SOON}
    async with AsyncExitStack() as outer:
        async with running_server(pool, database_url, data_dir, **settings) as server:
            api = server.client()
            version = await import_version(api, answering(1))
            gate, yard = await outer.enter_async_context(nodes(api, tmp_path, environments, "gate", "yard"))
            await deploy_edge(api, "edge", version, "gate", "yard")
            await edge_service_in(api, "edge", "RUNNING")
            known = await addresses(api, "edge")
            assert len(set(known.values())) == 2
            for address in known.values():
                assert await ask(address, {"x": 1}) == {"answer": 1, "asked": {"x": 1}}

            async def is_logged() -> bool:
                found = await api.service("edge", "logs(first: 50) { nodes { text edgeNode { name } } }")
                lines = found["logs"]["nodes"]
                return {line["edgeNode"]["name"] for line in lines if line["text"] == "loaded 1"} == {"gate", "yard"}

            await wait_for(is_logged)
        assert [(await ask(address))["answer"] for address in known.values()] == [1, 1]
        await gate.restart(signal.SIGKILL)
        await yard.restart(signal.SIGTERM)
        for address in known.values():
            await answers_again(address, 1)
        async with running_server(pool, database_url, data_dir, **settings) as server:
            api = server.client()
            await edge_service_in(api, "edge", "RUNNING")
            assert await addresses(api, "edge") == known
            assert await gate.end() == 0
            await yard.end(signal.SIGKILL)
            await nothing_left(gate.data)
            await nothing_left(yard.data)
            await node_in(api, "gate", "UNCONNECTED")
            await edge_service_in(api, "edge", "CONCERNING", "FAILED")
            gate.start()
            await on_node(api, "edge", "gate", "RUNNING")
            await node_in(api, "gate", "RUNNING")
            await answers_again(known["gate"], 1)


@pytest.mark.slow
async def test_an_update_loses_no_prediction_and_one_that_fails_leaves_what_serves(
    pool: Pool, database_url: str, data_dir: Path, tmp_path: Path, environments: Path
) -> None:
    async with running_server(pool, database_url, data_dir, **SOON) as server:
        api = server.client()
        first = await import_version(api, answering(1))
        second = await import_version(api, answering(2))
        broken = await import_version(api, package("return 1", constructor="raise ValueError('no such thing')"))
        async with nodes(api, tmp_path, environments, "gate") as (gate,):
            await deploy_edge(api, "edge", first, "gate")
            await edge_service_in(api, "edge", "RUNNING")
            address = (await addresses(api, "edge"))["gate"]
            seen: list[int] = []
            asking = asyncio.create_task(_keep_asking(address, seen))
            await _update(api, second)
            await edge_service_in(api, "edge", "RUNNING")
            assert await _ended(asking) is None
            assert set(seen) == {1, 2}
            assert seen == sorted(seen)
            await _update(api, broken)
            failing = await edge_service_in(api, "edge", "CONCERNING")
            assert "no such thing" in failing["statusMessage"]
            (deployment,) = failing["deployments"]
            assert (deployment["state"], deployment["configurationNumber"]) == ("RUNNING", 2)
            await gate.restart(signal.SIGKILL)
            await answers_again(address, 2)
            await _update(api, first)
            await edge_service_in(api, "edge", "RUNNING")
            assert (await ask(address))["answer"] == 1


async def test_a_node_brings_back_an_instance_that_ends_and_stops_and_lets_go_when_told(
    server: RunningServer, api: Api, tmp_path: Path, environments: Path
) -> None:
    version = await import_version(api, answering(1))
    async with nodes(api, tmp_path, environments, "gate", "yard") as (gate, yard):
        await deploy_edge(api, "edge", version, "gate", "yard")
        await edge_service_in(api, "edge", "RUNNING")
        known = await addresses(api, "edge")
        for process in instances_of(gate.data):
            process.kill()
        await answers_again(known["gate"], 1)
        there = {"serviceName": "edge", "nodeName": "gate"}
        await api.mutate("stopEdgeDeployment", "service { id }", **there)
        await on_node(api, "edge", "gate", "STOPPED")
        assert not instances_of(gate.data)
        assert (await ask(known["yard"]))["answer"] == 1
        await api.mutate("startEdgeDeployment", "service { id }", **there)
        await on_node(api, "edge", "gate", "RUNNING")
        assert await addresses(api, "edge") == known
        await act(api, "stopService", "edge")
        await edge_service_in(api, "edge", "STOPPED")
        assert not instances_of(yard.data)
        await act(api, "startService", "edge")
        await edge_service_in(api, "edge", "RUNNING")
        await act(api, "deleteService", "edge")

        async def look() -> bool:
            return await is_gone(api, "edge")

        await wait_for(look)
        assert not instances_of(gate.data)
        assert not any((gate.data / "packages").iterdir())


async def test_a_file_with_another_byte_is_not_run_until_it_is_the_one_that_was_imported(
    server: RunningServer, api: Api, data_dir: Path, tmp_path: Path, environments: Path
) -> None:
    version = await import_version(api, answering(1))
    blob = await _blob(api, data_dir)
    kept = blob.read_bytes()
    blob.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    async with nodes(api, tmp_path, environments, "gate") as (gate,):
        await deploy_edge(api, "edge", version, "gate")
        failed = await on_node(api, "edge", "gate", "FAILED")
        assert failed["reason"].startswith("ARTIFACT_DRIFT: customize_service.py ")
        assert not instances_of(gate.data)
        blob.write_bytes(kept)
        await on_node(api, "edge", "gate", "RUNNING")
        assert (await ask((await addresses(api, "edge"))["gate"]))["answer"] == 1


@pytest.mark.slow
async def test_a_node_whose_token_was_renewed_says_so_and_goes_on_serving(
    server: RunningServer, api: Api, tmp_path: Path, environments: Path
) -> None:
    version = await import_version(api, answering(1))
    async with nodes(api, tmp_path, environments, "gate") as (gate,):
        await deploy_edge(api, "edge", version, "gate")
        await edge_service_in(api, "edge", "RUNNING")
        address = (await addresses(api, "edge"))["gate"]
        renewed = await api.mutate("renewEdgeNodeToken", "token", nodeName="gate")

        async def is_told() -> bool:
            return "does not accept this node's token" in gate.said

        await wait_for(is_told)
        assert (await ask(address))["answer"] == 1
        gate.arguments = ("--token", renewed["token"])
        await gate.restart()
        await answers_again(address, 1)
        seen = await node_in(api, "gate", "RUNNING")

        async def is_seen_again() -> bool:
            return bool((await node_in(api, "gate", "RUNNING"))["lastSeenAt"] > seen["lastSeenAt"])

        await wait_for(is_seen_again)


async def _keep_asking(address: str, seen: list[int]) -> None:
    """One prediction after the other, each of which must be answered."""
    while True:
        seen.append((await ask(address))["answer"])


async def _ended(asking: "asyncio.Task[None]") -> BaseException | None:
    """What went wrong while it was asked, if anything did."""
    asking.cancel()
    (outcome,) = await asyncio.gather(asking, return_exceptions=True)
    return None if isinstance(outcome, asyncio.CancelledError) else outcome


async def _update(api: Api, version: str) -> None:
    target = {"modelVersion": {"modelName": "iris", "version": version}}
    payload = await api.mutate("updateEdgeService", "service { status }", serviceName="edge", target=target)
    assert (payload["errors"], payload["service"]["status"]) == ([], "DEPLOYING")


async def _blob(api: Api, data_dir: Path) -> Path:
    """Where the store has the code of the only version."""
    sha256 = await api.pool.fetchval("SELECT sha256 FROM model_file WHERE path = 'customize_service.py'")
    (found,) = [path for path in data_dir.rglob(sha256.hex()) if path.is_file()]
    return found
