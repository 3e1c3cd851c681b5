from collections.abc import Mapping
from typing import Any

from tests.api import Api, wait_for
from tests.edge import (
    DEPLOYMENTS,
    Node,
    deploy_edge,
    edge_service,
    edge_service_in,
    node_in,
    on_node,
    register,
    sync,
    told,
)
from tests.packages import import_package, mxnet_package
from tests.services import ECHO, act, events_of, import_version, is_gone, package, running, target

UNKNOWN = {"modelVersion": {"modelName": "nobody", "version": "0.0.1"}}
TABLES = ("edge_node", "edge_deployment", "edge_service_node", "service_configuration", "service_target")


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


async def test_everything_that_is_wrong_with_a_deployment_is_told_at_once(api: Api) -> None:
    await register(api, "gate")
    missing = ("NOT_FOUND", ["target", "modelVersion", "modelName"])
    fields = {"name": "a b", "target": UNKNOWN, "nodes": ["gate", "yard", "gate"], "description": "a\0b"}
    assert await refuse(api, "deployEdgeService", **fields) == [
        ("INVALID_INPUT", ["description"]),
        ("INVALID_INPUT", ["name"]),
        ("INVALID_INPUT", ["nodes", "2"]),
        ("NOT_FOUND", ["nodes", "1"]),
        missing,
    ]
    assert await refuse(api, "deployEdgeService", name="edge", target=UNKNOWN, nodes=[]) == [
        ("INVALID_INPUT", ["nodes"]),
        missing,
    ]
    odd = {**UNKNOWN, "environment": [{"name": "PATH", "value": "x"}], "inferenceSpecification": "huge"}
    assert await refuse(api, "deployEdgeService", name="edge", target=odd, nodes=["gate"]) == [
        ("INVALID_INPUT", ["target", "environment", "0", "name"]),
        ("NOT_FOUND", ["target", "inferenceSpecification"]),
        missing,
    ]


async def test_a_version_without_an_environment_is_not_deployed_to_the_edge(api: Api) -> None:
    imported = await import_package(api, mxnet_package())
    await register(api, "gate")
    errors = await api.refused("deployEdgeService", name="edge", target=iris(imported["version"]), nodes=["gate"])
    assert [(error["code"], error["engine"], error["field"]) for error in errors] == [
        ("UNSUPPORTED_BY_ENGINE", "edge", "aiEngine")
    ]


async def test_a_type_that_was_not_chosen_at_import_is_not_deployed(api: Api) -> None:
    version = await import_version(api, package(ECHO), deploymentTypes=["REAL_TIME"])
    await register(api, "gate")
    refused = await refuse(api, "deployEdgeService", name="edge", target=iris(version), nodes=["gate"])
    assert refused == [("DEPLOYMENT_TYPE_NOT_CHOSEN", ["target", "modelVersion"])]


async def test_a_node_with_another_interpreter_is_refused(api: Api) -> None:
    version = await import_version(api, package(ECHO))
    node = await register(api, "gate")
    await sync(api, node, runtime="python3.99")
    refused = await refuse(api, "deployEdgeService", name="edge", target=iris(version), nodes=["gate"])
    assert refused == [("UNSUPPORTED_BY_ENGINE", ["nodes", "0"])]


async def test_a_service_is_told_to_its_nodes_and_is_as_they_say(api: Api) -> None:
    version = await import_version(api, package(ECHO))
    gate, yard = await register(api, "gate"), await register(api, "yard")
    environment = [{"name": "LEVEL", "value": "high"}]
    again = {"name": "edge", "target": iris(version, environment=environment), "nodes": ["yard", "gate"]}
    payloads = [
        await api.mutate("deployEdgeService", "service { id status }", **again, idempotencyKey="k") for _ in range(2)
    ]
    assert payloads[0] == payloads[1]
    waiting = await edge_service(api, "edge")
    assert (waiting["status"], [node["state"] for node in waiting["deployments"]]) == (
        "DEPLOYING",
        ["PENDING", "PENDING"],
    )
    (wanted,) = await sync(api, gate)
    assert (wanted["service_name"], wanted["desired_state"], wanted["model_name"]) == ("edge", "RUNNING", "iris")
    assert wanted["environment"] == {"LEVEL": "high"}
    assert await sync(api, yard) == [wanted]
    await sync(api, gate, told(wanted, "RUNNING"))
    await on_node(api, "edge", "gate", "RUNNING")
    assert (await edge_service(api, "edge"))["status"] == "DEPLOYING"
    await sync(api, yard, told(wanted, "FAILED", reason="There is no room."))
    concerning = await edge_service_in(api, "edge", "CONCERNING")
    assert concerning["statusMessage"] == "yard: There is no room."
    await sync(api, gate, told(wanted, "FAILED", reason="It fell over."))
    failed = await edge_service_in(api, "edge", "FAILED")
    assert "gate: It fell over." in failed["statusMessage"]
    await sync(api, gate, told(wanted, "RUNNING"))
    await sync(api, yard, told(wanted, "RUNNING", address="http://127.0.0.1:8501"))
    running = await edge_service_in(api, "edge", "RUNNING")
    assert running["statusMessage"] is None
    assert {node["address"] for node in running["deployments"]} == {"http://127.0.0.1:8500", "http://127.0.0.1:8501"}
    assert {node["configurationNumber"] for node in running["deployments"]} == {1}


async def test_only_a_node_that_is_to_run_a_version_is_given_its_files(api: Api) -> None:
    version = await import_version(api, package(ECHO))
    gate, yard = await register(api, "gate"), await register(api, "yard")
    await deploy_edge(api, "edge", version, "gate")
    (wanted,) = await sync(api, gate)
    path = f"/edge/v1/versions/{wanted['model_version_id']}/files"
    found = {
        node.name: await api.http.get(path, headers={"authorization": f"Bearer {node.token}"}) for node in (gate, yard)
    }
    assert (found["gate"].status_code, found["yard"].status_code) == (200, 404)
    (config,) = [file for file in found["gate"].json()["files"] if file["path"] == "config.json"]
    fetched = await api.http.get(config["url"])
    assert len(fetched.content) == config["size_bytes"]
    assert (await api.http.get(path)).status_code == 401


async def test_a_node_that_is_not_heard_of_is_named_by_its_services(api: Api) -> None:
    version = await import_version(api, package(ECHO))
    gate, yard = await register(api, "gate"), await register(api, "yard")
    wanted = await up(api, "edge", version, gate, yard)
    await api.pool.execute("UPDATE edge_node SET last_seen_at = now() - interval '2 hours' WHERE name = 'gate'")
    await node_in(api, "gate", "UNCONNECTED")
    concerning = await edge_service_in(api, "edge", "CONCERNING")
    assert concerning["statusMessage"].startswith("gate has not reported since ")
    await sync(api, gate, told(wanted["gate"], "RUNNING"))
    await edge_service_in(api, "edge", "RUNNING")


async def test_a_service_is_stopped_and_started_on_one_node_alone(api: Api) -> None:
    version = await import_version(api, package(ECHO))
    gate, yard = await register(api, "gate"), await register(api, "yard")
    await up(api, "edge", version, gate, yard)
    there = {"serviceName": "edge", "nodeName": "gate"}
    assert await refuse(api, "startEdgeDeployment", **there) == [("INVALID_STATE", ["nodeName"])]
    assert await refuse(api, "stopEdgeDeployment", **there, expectedRevision=9) == [("CONFLICT", ["expectedRevision"])]
    elsewhere = {"serviceName": "edge", "nodeName": "nowhere"}
    assert await refuse(api, "stopEdgeDeployment", **elsewhere) == [("NOT_FOUND", ["nodeName"])]
    stopped = await api.mutate("stopEdgeDeployment", f"service {{ {DEPLOYMENTS} }}", **there)
    assert [node["desiredState"] for node in stopped["service"]["deployments"]] == ["STOPPED", "RUNNING"]
    assert await refuse(api, "stopEdgeDeployment", **there) == [("INVALID_STATE", ["nodeName"])]
    (wanted,) = await sync(api, gate)
    assert wanted["desired_state"] == "STOPPED"
    assert (await sync(api, yard))[0]["desired_state"] == "RUNNING"
    await sync(api, gate, told(wanted, "STOPPED"))

    async def is_told() -> bool:
        return bool((await edge_service(api, "edge"))["statusMessage"] == "gate is stopped.")

    await wait_for(is_told)
    assert (await edge_service(api, "edge"))["status"] == "RUNNING"
    assert (await api.mutate("startEdgeDeployment", "service { id }", **there))["errors"] == []
    assert (await sync(api, gate))[0]["desired_state"] == "RUNNING"


async def test_an_update_is_a_new_configuration_that_the_nodes_come_to(api: Api) -> None:
    versions = [await import_version(api, package(ECHO)), await import_version(api, package("return {}"))]
    gate, yard = await register(api, "gate"), await register(api, "yard")
    await up(api, "edge", versions[0], gate, yard)
    assert await refuse(api, "updateEdgeService", serviceName="edge", nodes=["gate", "nowhere"]) == [
        ("NOT_FOUND", ["nodes", "1"])
    ]
    changed = await api.mutate(
        "updateEdgeService",
        f"warnings {{ code }} service {{ status {DEPLOYMENTS} }}",
        serviceName="edge",
        target=iris(versions[1]),
    )
    assert (changed["errors"], changed["service"]["status"]) == ([], "DEPLOYING")
    wanted = {node.name: (await sync(api, node))[0] for node in (gate, yard)}
    assert {each["configuration_number"] for each in wanted.values()} == {2}
    await sync(api, gate, told(wanted["gate"], "RUNNING", configuration_number=1))
    await sync(api, yard, told(wanted["yard"], "RUNNING"))
    behind = await edge_service(api, "edge")
    assert behind["status"] == "DEPLOYING"
    await sync(api, gate, told(wanted["gate"], "RUNNING"))
    await edge_service_in(api, "edge", "RUNNING")
    document = (
        """{ service(by: {name: "edge"}) { configurations(first: 5) { nodes { number cause state isRouted } } } }"""
    )
    newest, first = (await api.ask(document))["service"]["configurations"]["nodes"]
    assert newest == {"number": 2, "cause": "UPDATE", "state": "SUCCEEDED", "isRouted": True}
    assert (first["state"], first["isRouted"]) == ("SUCCEEDED", False)


async def test_a_node_that_is_taken_out_of_a_service_lets_go_of_it(api: Api) -> None:
    version = await import_version(api, package(ECHO))
    gate, yard = await register(api, "gate"), await register(api, "yard")
    await up(api, "edge", version, gate, yard)
    assert await refuse(api, "deleteEdgeNode", nodeName="gate") == [("IN_USE", ["nodeName"])]
    changed = await api.mutate("updateEdgeService", f"service {{ {DEPLOYMENTS} }}", serviceName="edge", nodes=["yard"])
    assert [node["edgeNode"]["name"] for node in changed["service"]["deployments"]] == ["yard"]
    assert await sync(api, gate) == []
    assert (await sync(api, yard))[0]["configuration_number"] == 2
    assert (await api.mutate("deleteEdgeNode", "edgeNode { name }", nodeName="gate"))["errors"] == []


async def test_an_earlier_configuration_comes_back_on_its_nodes_and_a_restart_begins_the_last_anew(api: Api) -> None:
    version = await import_version(api, package(ECHO))
    gate, yard = await register(api, "gate"), await register(api, "yard")
    first = await up(api, "edge", version, gate, yard)
    await api.mutate("updateEdgeService", "service { id }", serviceName="edge", nodes=["yard"])
    (second,) = await sync(api, yard)
    await sync(api, yard, told(second, "RUNNING"))
    await edge_service_in(api, "edge", "RUNNING")
    await act(api, "rollBackService", "edge")

    async def is_told() -> bool:
        return bool(await sync(api, gate))

    await wait_for(is_told)
    (third,) = await sync(api, gate)
    assert (third["configuration_number"], third["generation"]) == (3, first["gate"]["generation"])
    for node in (gate, yard):
        await sync(api, node, told(third, "RUNNING"))
    found = await edge_service_in(api, "edge", "RUNNING")
    assert len(found["deployments"]) == 2
    await act(api, "restartService", "edge")
    (fourth,) = await sync(api, gate)
    assert (fourth["configuration_number"], fourth["generation"]) == (4, third["generation"] + 1)


async def test_a_configuration_whose_node_is_deleted_does_not_come_back(api: Api) -> None:
    version = await import_version(api, package(ECHO))
    gate, yard = await register(api, "gate"), await register(api, "yard")
    await up(api, "edge", version, gate, yard)
    await api.mutate("updateEdgeService", "service { id }", serviceName="edge", nodes=["yard"])
    assert (await api.mutate("deleteEdgeNode", "edgeNode { name }", nodeName="gate"))["errors"] == []
    assert await refuse(api, "rollBackService", serviceName="edge") == [("NOT_FOUND", ["configurationNumber"])]


async def test_what_is_said_of_a_service_changes_without_a_new_configuration(api: Api) -> None:
    version = await import_version(api, package(ECHO))
    gate = await register(api, "gate")
    await deploy_edge(api, "edge", version, "gate")
    changed = await api.mutate("updateEdgeService", "service { description }", serviceName="edge", description="Oak")
    assert changed["service"] == {"description": "Oak"}
    assert (await sync(api, gate))[0]["configuration_number"] == 1
    assert await refuse(api, "updateEdgeService", serviceName="nobody") == [("NOT_FOUND", ["serviceName"])]


async def test_a_stopped_service_rests_once_every_node_that_is_heard_of_says_so(api: Api) -> None:
    version = await import_version(api, package(ECHO))
    gate, yard = await register(api, "gate"), await register(api, "yard")
    wanted = await up(api, "edge", version, gate, yard)
    await act(api, "stopService", "edge")
    stopping: Mapping[str, Any] = (await sync(api, gate, told(wanted["gate"], "RUNNING")))[0]
    assert stopping["desired_state"] == "STOPPED"
    await sync(api, gate, told(wanted["gate"], "STOPPED"))
    assert (await edge_service(api, "edge"))["status"] == "STOPPING"
    assert await refuse(api, "stopEdgeDeployment", serviceName="edge", nodeName="yard") == [
        ("INVALID_STATE", ["serviceName"])
    ]
    await api.pool.execute("UPDATE edge_node SET last_seen_at = now() - interval '2 hours' WHERE name = 'yard'")
    stopped = await edge_service_in(api, "edge", "STOPPED")
    assert stopped["statusMessage"] == "Not heard of, and so not told as yet: yard."
    await act(api, "startService", "edge")
    assert (await sync(api, gate, told(wanted["gate"], "STOPPED")))[0]["desired_state"] == "RUNNING"


async def test_a_deleted_service_is_gone_once_its_nodes_no_longer_have_it(api: Api) -> None:
    version = await import_version(api, package(ECHO))
    gate = await register(api, "gate")
    wanted = await up(api, "edge", version, gate)
    service = await edge_service(api, "edge")
    await act(api, "deleteService", "edge")
    assert await sync(api, gate, told(wanted["gate"], "RUNNING")) == []
    assert not await is_gone(api, "edge")
    await sync(api, gate)

    async def look() -> bool:
        return await is_gone(api, "edge")

    await wait_for(look)
    assert (await events_of(api, service))[-2:] == ["SERVICE_DELETE_REQUESTED", "SERVICE_DELETED"]
    assert await api.count("edge_deployment") == 0
    assert (await api.mutate("deleteEdgeNode", "edgeNode { name }", nodeName="gate"))["errors"] == []


async def test_a_deleted_service_does_not_wait_for_a_node_that_is_gone_for_good(api: Api) -> None:
    version = await import_version(api, package(ECHO))
    gate = await register(api, "gate")
    wanted = await up(api, "edge", version, gate)
    await api.pool.execute("UPDATE edge_node SET last_seen_at = now() - interval '2 hours'")
    await node_in(api, "gate", "UNCONNECTED")
    await act(api, "deleteService", "edge")

    async def look() -> bool:
        return await is_gone(api, "edge")

    await wait_for(look)
    assert await sync(api, gate, told(wanted["gate"], "RUNNING")) == []


async def test_lines_that_are_sent_again_are_taken_down_once(api: Api) -> None:
    version = await import_version(api, package(ECHO))
    gate = await register(api, "gate")
    await deploy_edge(api, "edge", version, "gate")
    (wanted,) = await sync(api, gate)
    line = {"instance_id": "1" * 32, "model_version_id": wanted["model_version_id"]}
    first = {"service_id": wanted["service_id"], "log_id": "2" * 32, "first_number": 1}
    one, two, three = ({**line, "text": text} for text in ("one", "two\0", "three"))
    await sync(api, gate, logs=[{**first, "lines": [one, two]}])
    await sync(api, gate, logs=[{**first, "lines": [one, two, three]}])
    await sync(api, gate, logs=[{**first, "log_id": "3" * 32, "lines": [one]}])
    found = await api.service("edge", "logs(first: 9) { nodes { text edgeNode { name } modelVersion { version } } }")
    assert [each["text"] for each in found["logs"]["nodes"]] == ["one", "two\ufffd", "three", "one"]
    assert {each["edgeNode"]["name"] for each in found["logs"]["nodes"]} == {"gate"}


async def test_another_type_of_service_is_refused(api: Api) -> None:
    version = await import_version(api, package(ECHO))
    await running(api, "here", target(version))
    for mutation, fields in (("updateEdgeService", {"description": "x"}), ("stopEdgeDeployment", {"nodeName": "gate"})):
        assert await refuse(api, mutation, serviceName="here", **fields) == [("INVALID_STATE", ["serviceName"])]
