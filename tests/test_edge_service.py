from tests.api import Api, RunningServer, wait_for
from tests.edge_nodes import (
    DEPLOYMENTS,
    deploy_edge,
    edge_service,
    edge_service_in,
    iris,
    node_of,
    on_node,
    refuse,
    register,
    silence,
    sync,
    told,
    up,
)
from tests.packages import import_package, mxnet_package
from tests.services import ECHO, import_version, package

UNKNOWN = {"modelVersion": {"modelName": "nobody", "version": "0.0.1"}}


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


async def test_a_node_that_is_not_heard_of_is_named_by_its_services(server: RunningServer, api: Api) -> None:
    version = await import_version(api, package(ECHO))
    gate, yard = await register(api, "gate"), await register(api, "yard")
    wanted = await up(api, "edge", version, gate, yard)
    await silence(server, "gate")
    assert (await node_of(api, "gate"))["status"] == "UNCONNECTED"
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
