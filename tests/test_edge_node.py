import asyncio
import hashlib
import time
from typing import Any

import pytest
from structlog.testing import capture_logs

from db.connection import Pool
from resolvers import edge_node_watch
from resolvers.edge_sync import REASON_LENGTH
from server.build import installation as build_installation
from server.settings import Placement
from tests.api import TOKEN, Api, RunningServer, running_server, wait_for
from tests.edge_nodes import Node, node_in, node_of, post, register, report, sync
from tests.server_process import Checkout

NAMES = "query { edgeNodes(orderBy: {field: NAME, direction: ASC}) { totalCount nodes { name status } } }"
LAST_LOST_AT = "SELECT max(occurred_at) FROM event WHERE kind = 'EDGE_NODE_DISAPPEARED'"
NONE_UNDER_WAY = "SELECT NOT EXISTS (SELECT FROM operation WHERE state IN ('QUEUED', 'RUNNING'))"


async def events_of(api: Api, node: Node) -> list[str]:
    """What happened to a node, the oldest first."""
    found = await node_of(api, node.name, "auditEvents(first: 50) { nodes { kind } }")
    return [event["kind"] for event in reversed(found["auditEvents"]["nodes"])]


async def refuse(api: Api, mutation: str, /, **fields: Any) -> list[dict[str, Any]]:
    """The errors of a request that must change nothing."""
    before = [tuple(row) for row in await api.pool.fetch("SELECT * FROM edge_node ORDER BY id")]
    counts = await api.counts()
    errors = await api.refused(mutation, **fields)
    assert [tuple(row) for row in await api.pool.fetch("SELECT * FROM edge_node ORDER BY id")] == before
    assert await api.counts() == counts
    return errors


async def test_a_node_is_registered_with_a_token_that_is_shown_once_and_stored_as_its_digest(api: Api) -> None:
    selection = "token installCommand edgeNode { id name description status createdBy }"
    first = await api.mutate("registerEdgeNode", selection, name="gate", description="At the gate", idempotencyKey="k")
    again = await api.mutate("registerEdgeNode", selection, name="gate", description="At the gate", idempotencyKey="k")
    assert first["errors"] == []
    assert first["edgeNode"] == again["edgeNode"]
    assert (first["edgeNode"]["status"], first["edgeNode"]["description"]) == ("REGISTERED", "At the gate")
    assert first["token"] in first["installCommand"]
    assert f"{api.http.base_url}".rstrip("/") in first["installCommand"]
    assert (again["token"], again["installCommand"]) == (None, None)
    stored = await api.pool.fetchrow("SELECT * FROM edge_node")
    assert stored is not None
    assert stored["token_sha256"] == hashlib.sha256(first["token"].encode()).digest()
    assert first["token"] not in repr(stored)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"name": ""}, ["name"]),
        ({"name": "a b"}, ["name"]),
        ({"name": "x" * 65}, ["name"]),
        ({"name": "gate", "description": "x" * 1001}, ["description"]),
        ({"name": "gate", "description": "a\0b"}, ["description"]),
    ],
)
async def test_each_field_of_a_node_has_its_rule(api: Api, fields: dict[str, Any], path: list[str]) -> None:
    (error,) = await refuse(api, "registerEdgeNode", **fields)
    assert (error["code"], error["path"]) == ("INVALID_INPUT", path)


async def test_a_name_is_one_nodes_alone_until_that_is_deleted(api: Api) -> None:
    await register(api, "gate")
    await register(api, "yard")
    for mutation, fields in (
        ("registerEdgeNode", {"name": "gate"}),
        ("updateEdgeNode", {"nodeName": "yard", "name": "gate"}),
    ):
        (error,) = await refuse(api, mutation, **fields)
        assert (error["code"], error["path"]) == ("ALREADY_EXISTS", ["name"])
    deleted = await api.mutate("deleteEdgeNode", "edgeNode { name }", nodeName="gate")
    assert (deleted["edgeNode"], deleted["errors"]) == ({"name": "gate"}, [])
    await register(api, "gate")
    assert (await api.ask(NAMES))["edgeNodes"]["totalCount"] == 2


async def test_what_is_said_of_a_node_can_be_changed_by_who_read_it_last(api: Api) -> None:
    node = await register(api, "gate")
    (error,) = await refuse(api, "updateEdgeNode", nodeName="gate", name="door", expectedRevision=7)
    assert error["code"] == "CONFLICT"
    changed = await api.mutate(
        "updateEdgeNode", "edgeNode { id name description revision }", nodeName="gate", name="door", description="Oak"
    )
    assert changed["edgeNode"] == {"id": node.id, "name": "door", "description": "Oak", "revision": 2}
    cleared = await api.mutate("updateEdgeNode", "edgeNode { name description }", nodeName="door", description=None)
    assert cleared["edgeNode"] == {"name": "door", "description": None}


@pytest.mark.parametrize("mutation", ["updateEdgeNode", "renewEdgeNodeToken", "deleteEdgeNode"])
async def test_an_unknown_node_is_not_found(api: Api, mutation: str) -> None:
    (error,) = await refuse(api, mutation, nodeName="nobody", idempotencyKey="one")
    assert (error["code"], error["path"]) == ("NOT_FOUND", ["nodeName"])


async def test_a_node_of_another_workspace_is_not_there(server: RunningServer, api: Api) -> None:
    other = await server.client_of_new_workspace("other")
    node = await register(api, "gate")
    assert (await other.ask(NAMES))["edgeNodes"]["totalCount"] == 0
    assert (await other.ask("query ($id: ID!) { node(id: $id) { id } }", id=node.id))["node"] is None
    (error,) = await refuse(other, "deleteEdgeNode", nodeName="gate")
    assert error["code"] == "NOT_FOUND"
    await register(other, "gate")


async def test_a_node_is_running_with_what_its_agent_tells_of_the_machine(api: Api) -> None:
    node = await register(api, "gate")
    assert await sync(api, node) == []
    shown = await node_of(api, "gate")
    assert {name: shown[name] for name in ("status", "runtime", "architecture", "cpuCount")} == {
        "status": "RUNNING",
        "runtime": "python3.11",
        "architecture": "x86_64",
        "cpuCount": 2.0,
    }
    assert shown["lastSeenAt"]
    await sync(api, node)
    await sync(api, node, failure="There is no room.")
    failed = await node_of(api, "gate")
    assert (failed["status"], failed["statusMessage"]) == ("FAILED", "There is no room.")
    assert await events_of(api, node) == ["EDGE_NODE_REGISTERED", "EDGE_NODE_CONNECTED", "EDGE_NODE_FAILED"]


async def test_only_a_nodes_own_and_newest_token_lets_its_agent_in(api: Api) -> None:
    node = await register(api, "gate")
    renewed = await api.mutate("renewEdgeNodeToken", "token installCommand edgeNode { revision }", nodeName="gate")
    assert (renewed["errors"], renewed["edgeNode"]["revision"]) == ([], 2)
    for token in ("x", "nonsense nonsense", TOKEN, node.token):
        refused = await post(api, token, report())
        assert (refused.status_code, refused.json()["code"]) == (401, "UNAUTHENTICATED"), token
    assert (await post(api, renewed["token"], report())).status_code == 200
    assert (await api.mutate("deleteEdgeNode", "edgeNode { name }", nodeName="gate"))["errors"] == []
    assert (await post(api, renewed["token"], report())).status_code == 401


async def test_a_nodes_token_opens_nothing_else(api: Api) -> None:
    node = await register(api, "gate")
    headers = {"authorization": f"Bearer {node.token}"}
    answer = await api.http.post("/graphql", json={"query": "{ __typename }"}, headers=headers)
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        report(cpu_count="many"),
        report(runtime="x" * 201),
        report(failure=7),
        report({"service_id": "nobody", "state": "RUNNING"}),
        report(told := {"service_id": "0" * 32, "state": "ODD", "reason": None, "address": None}),
        report({**told, "state": "RUNNING", "configuration_number": 0}),
    ],
)
async def test_a_report_that_is_none_changes_nothing(api: Api, body: Any) -> None:
    node = await register(api, "gate")
    answer = await post(api, node.token, body)
    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST")
    assert (await node_of(api, "gate"))["status"] == "REGISTERED"


async def test_reports_on_what_a_node_is_not_to_have_are_passed_over(api: Api) -> None:
    node = await register(api, "gate")
    unknown = {"service_id": "0" * 32, "state": "RUNNING", "reason": None, "address": None, "configuration_number": 1}
    assert await sync(api, node, unknown) == []
    assert await api.count("edge_deployment") == 0


async def test_a_node_that_is_silent_is_unconnected_and_comes_back(
    pool: Pool, database_url: str, data_dir: Any
) -> None:
    async with running_server(pool, database_url, data_dir, edge_node_lost_seconds=1.0) as server:
        api = server.client()
        node = await register(api, "gate")
        await sync(api, node)
        await node_in(api, "gate", "UNCONNECTED")
        await sync(api, node)
        assert (await node_of(api, "gate"))["status"] == "RUNNING"
        await node_in(api, "gate", "UNCONNECTED")
        lost, back = "EDGE_NODE_DISAPPEARED", "EDGE_NODE_RETURNED"
        assert await events_of(api, node) == ["EDGE_NODE_REGISTERED", "EDGE_NODE_CONNECTED", lost, back, lost]


async def test_a_node_is_not_taken_for_silent_because_the_server_was_away(
    pool: Pool, database_url: str, data_dir: Any
) -> None:
    async with running_server(pool, database_url, data_dir, edge_node_lost_seconds=2.0) as server:
        node = await register(server.client(), "gate")
        await sync(server.client(), node)
    await pool.execute("UPDATE edge_node SET last_seen_at = now() - interval '1 hour'")
    async with running_server(pool, database_url, data_dir, edge_node_lost_seconds=2.0) as server:
        api = server.client()
        await sync(api, node)
        assert await events_of(api, node) == ["EDGE_NODE_REGISTERED", "EDGE_NODE_CONNECTED"]
        # That it watches all the same.
        await node_in(api, "gate", "UNCONNECTED")


async def test_a_node_is_not_taken_for_silent_because_the_server_stood_still(
    pool: Pool, database_url: str, data_dir: Any
) -> None:
    async with running_server(pool, database_url, data_dir, edge_node_lost_seconds=1.0) as server:
        api = server.client()
        node = await register(api, "gate")
        await sync(api, node)
        # From now on it watches.
        await node_in(api, "gate", "UNCONNECTED")
        await sync(api, node)
        # The server runs in this process: nothing of it goes on meanwhile.
        time.sleep(2.0)  # noqa: ASYNC251
        resumed_at = await pool.fetchval("SELECT clock_timestamp()")
        await node_in(api, "gate", "UNCONNECTED")
        lost_at = await pool.fetchval(LAST_LOST_AT)
        assert (lost_at - resumed_at).total_seconds() > 0.8


async def test_a_node_is_not_taken_for_silent_because_the_database_was_away_at_the_start(
    pool: Pool, database_url: str, data_dir: Any
) -> None:
    async with running_server(pool, database_url, data_dir, edge_node_lost_seconds=6.0) as server:
        node = await register(server.client(), "gate")
        await sync(server.client(), node)
    await pool.execute("UPDATE edge_node SET last_seen_at = now() - interval '1 hour'")

    with capture_logs() as logs:

        async def is_noticed() -> bool:
            return any(line.get("task") == "edge nodes" for line in logs)

        async with running_server(pool, database_url, data_dir, edge_node_lost_seconds=6.0) as server:
            await pool.execute("ALTER TABLE edge_node RENAME TO edge_node_away")
            await wait_for(is_noticed, within_seconds=5.5)
            await pool.execute("ALTER TABLE edge_node_away RENAME TO edge_node")
            back_at = await pool.fetchval("SELECT clock_timestamp()")
            await node_in(server.client(), "gate", "UNCONNECTED")
    lost_at = await pool.fetchval(LAST_LOST_AT)
    assert (lost_at - back_at).total_seconds() > 6.0


async def test_a_worker_does_not_judge_nodes_that_could_reach_no_server(
    pool: Pool, database_url: str, data_dir: Any
) -> None:
    settings = {"DATABASE_URL": database_url, "MODELYARD_TOKEN": TOKEN, "MODELYARD_EDGE_NODE_LOST_SECONDS": "0.1"}
    async with running_server(pool, database_url, data_dir, worker=Placement.NONE) as server:
        api = server.client()
        node = await register(api, "gate")
        await sync(api, node)
        await pool.execute("UPDATE edge_node SET last_seen_at = now() - interval '2 hours'")
        with Checkout(data_dir, settings).process("worker"):
            # Twice, so that whatever else it does had its turn.
            for _ in range(2):
                await api.mutate("cleanUp", "operation { id }")
                await wait_for(lambda: pool.fetchval(NONE_UNDER_WAY), within_seconds=90)
            await sync(api, node)
            assert await events_of(api, node) == ["EDGE_NODE_REGISTERED", "EDGE_NODE_CONNECTED"]


async def test_a_server_without_a_worker_notices_a_silence(pool: Pool, database_url: str, data_dir: Any) -> None:
    settings: dict[str, Any] = {"worker": Placement.NONE, "edge_node_lost_seconds": 1.0}
    async with running_server(pool, database_url, data_dir, **settings) as server:
        api = server.client()
        await sync(api, await register(api, "gate"))
        await node_in(api, "gate", "UNCONNECTED")


async def test_what_a_node_says_of_its_failure_is_kept_short_and_as_text(api: Api) -> None:
    node = await register(api, "gate")
    await sync(api, node, failure="a\0b" + "x" * 10_000)
    failed = await node_of(api, "gate")
    assert failed["status"] == "FAILED"
    assert failed["statusMessage"] == "a\N{REPLACEMENT CHARACTER}b" + "x" * (REASON_LENGTH - 3)


async def test_a_silence_that_many_workers_notice_at_once_is_told_once(api: Api, server: RunningServer) -> None:
    nodes = [await register(api, f"node-{number}") for number in range(3)]
    for node in nodes:
        await sync(api, node)
    await api.pool.execute("UPDATE edge_node SET last_seen_at = now() - interval '2 hours'")
    pool = server.pool
    async with build_installation(server.settings, pool, pool, dies_with_server=True) as installation:  # type: ignore[arg-type]
        await asyncio.gather(*(edge_node_watch.look(installation) for _ in range(4)))
    assert await api.pool.fetchval("SELECT count(*) FROM event WHERE kind = 'EDGE_NODE_DISAPPEARED'") == 3


async def test_the_agents_file_is_the_same_for_everybody_and_needs_no_token(api: Api) -> None:
    first = await api.http.get("/edge/agent.pyz", headers={"authorization": ""})
    assert first.status_code == 200
    assert first.content.startswith(b"#!/usr/bin/env python3\nPK")
    kept = await api.http.get("/edge/agent.pyz", headers={"if-none-match": first.headers["etag"]})
    assert (kept.status_code, kept.content) == (304, b"")
