from collections.abc import Mapping
from typing import Any

from tests.api import Api, RunningServer, wait_for
from tests.edge_nodes import (
    DEPLOYMENTS,
    deploy_edge,
    edge_service,
    edge_service_in,
    iris,
    refuse,
    register,
    silence,
    sync,
    told,
    up,
)
from tests.services import ECHO, act, events_of, import_version, is_gone, package, running, target


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


async def test_a_stopped_service_is_brought_back_on_the_nodes_of_the_earlier_configuration(api: Api) -> None:
    versions = [await import_version(api, package(ECHO)), await import_version(api, package("return {}"))]
    gate, yard = await register(api, "gate"), await register(api, "yard")
    await up(api, "edge", versions[0], gate, yard)
    await api.mutate("updateEdgeService", "service { id }", serviceName="edge", nodes=["yard"])
    (second,) = await sync(api, yard)
    await sync(api, yard, told(second, "RUNNING"))
    await edge_service_in(api, "edge", "RUNNING")
    await act(api, "stopService", "edge")
    await sync(api, yard, told(second, "STOPPED"))
    await edge_service_in(api, "edge", "STOPPED")
    await act(api, "rollBackService", "edge")
    back = await edge_service(api, "edge")
    assert [node["edgeNode"]["name"] for node in back["deployments"]] == ["gate", "yard"]
    await api.mutate("updateEdgeService", "service { id }", serviceName="edge", target=iris(versions[1]))
    changed = await edge_service(api, "edge")
    assert [node["edgeNode"]["name"] for node in changed["deployments"]] == ["gate", "yard"]
    assert {(await sync(api, node))[0]["configuration_number"] for node in (gate, yard)} == {4}


async def test_a_service_does_not_come_to_a_node_with_another_interpreter(api: Api) -> None:
    version = await import_version(api, package(ECHO))
    gate, yard = await register(api, "gate"), await register(api, "yard")
    await up(api, "edge", version, gate)
    await sync(api, yard, runtime="python3.99")
    refused = await refuse(api, "updateEdgeService", serviceName="edge", nodes=["gate", "yard"])
    assert refused == [("UNSUPPORTED_BY_ENGINE", ["nodes", "1"])]


async def test_a_service_that_is_started_runs_on_every_one_of_its_nodes(api: Api) -> None:
    version = await import_version(api, package(ECHO))
    gate, yard = await register(api, "gate"), await register(api, "yard")
    wanted = await up(api, "edge", version, gate, yard)
    await api.mutate("stopEdgeDeployment", "service { id }", serviceName="edge", nodeName="gate")
    await act(api, "stopService", "edge")
    for node in (gate, yard):
        await sync(api, node, told(wanted[node.name], "STOPPED"))
    await edge_service_in(api, "edge", "STOPPED")
    await act(api, "startService", "edge")
    assert [(await sync(api, node))[0]["desired_state"] for node in (gate, yard)] == ["RUNNING", "RUNNING"]


async def test_a_deployment_that_succeeds_late_is_not_told_to_have_timed_out(api: Api) -> None:
    version = await import_version(api, package(ECHO))
    gate = await register(api, "gate")
    await deploy_edge(api, "edge", version, "gate")
    await sync(api, gate)
    # At once, so that the keeper never sees it late and not up.
    async with api.pool.acquire() as connection, connection.transaction():
        await connection.execute("UPDATE operation SET created_at = now() - interval '1 day'")
        await connection.execute("UPDATE edge_deployment SET state = 'RUNNING', configuration_number = 1")
    found = await edge_service_in(api, "edge", "RUNNING")
    assert "SERVICE_DEPLOYMENT_TIMED_OUT" not in await events_of(api, found)


async def test_what_is_said_of_a_service_changes_without_a_new_configuration(api: Api) -> None:
    version = await import_version(api, package(ECHO))
    gate = await register(api, "gate")
    await deploy_edge(api, "edge", version, "gate")
    changed = await api.mutate("updateEdgeService", "service { description }", serviceName="edge", description="Oak")
    assert changed["service"] == {"description": "Oak"}
    assert (await sync(api, gate))[0]["configuration_number"] == 1
    assert await refuse(api, "updateEdgeService", serviceName="nobody") == [("NOT_FOUND", ["serviceName"])]


async def test_a_stopped_service_rests_once_every_node_that_is_heard_of_says_so(
    server: RunningServer, api: Api
) -> None:
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
    await silence(server, "yard")
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


async def test_a_deleted_service_does_not_wait_for_a_node_that_is_gone_for_good(
    server: RunningServer, api: Api
) -> None:
    version = await import_version(api, package(ECHO))
    gate = await register(api, "gate")
    wanted = await up(api, "edge", version, gate)
    await silence(server, "gate")
    await act(api, "deleteService", "edge")

    async def look() -> bool:
        return await is_gone(api, "edge")

    await wait_for(look)
    assert await sync(api, gate, told(wanted["gate"], "RUNNING")) == []


async def test_another_type_of_service_is_refused(api: Api) -> None:
    version = await import_version(api, package(ECHO))
    await running(api, "here", target(version))
    for mutation, fields in (("updateEdgeService", {"description": "x"}), ("stopEdgeDeployment", {"nodeName": "gate"})):
        assert await refuse(api, mutation, serviceName="here", **fields) == [("INVALID_STATE", ["serviceName"])]
