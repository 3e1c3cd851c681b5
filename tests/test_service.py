import asyncio
from typing import Any

import pytest

from tests.api import Api, RunningServer, running_server, wait_for
from tests.packages import MXNET, import_package, mxnet_package, without
from tests.services import (
    ECHO,
    act,
    deploy,
    events_of,
    import_version,
    is_gone,
    key_of,
    package,
    running,
    target,
)

UNKNOWN = target("0.0.1", model="nobody")
VERSION_MISSING = ("NOT_FOUND", ["targets", "0", "modelVersion", "modelName"])


def found_in(errors: list[dict[str, Any]]) -> list[tuple[str, list[str]]]:
    return sorted((error["code"], error["path"]) for error in errors)


async def refuse(api: Api, mutation: str, /, **fields: Any) -> list[dict[str, Any]]:
    """The errors of a request that must change nothing."""
    before = await api.counts()
    errors = await api.refused(mutation, **fields)
    assert await api.counts() == before
    return errors


def named_variable(name: str) -> dict[str, Any]:
    return {"environment": [{"name": name, "value": "x"}]}


@pytest.mark.parametrize(
    ("field", "values", "code", "path"),
    [
        ("name", ("", "a b", "x" * 65, "ä", "a\n"), "INVALID_INPUT", ["name"]),
        ("description", ("x" * 1001, "a\0b"), "INVALID_INPUT", ["description"]),
        ("targets", tuple([{**UNKNOWN, "weight": weight}] for weight in (0, 99)), "INVALID_INPUT", ["targets"]),
    ],
)
async def test_each_field_of_a_deployment_has_its_rule(
    api: Api, field: str, values: tuple[Any, ...], code: str, path: list[str]
) -> None:
    for value in values:
        errors = await refuse(api, "deployRealTimeService", **{"name": "iris", "targets": [UNKNOWN], field: value})
        assert found_in(errors) == [(code, path), VERSION_MISSING], value


@pytest.mark.parametrize(
    ("values", "code", "path"),
    [
        (({"instanceCount": -1}, {"instanceCount": 0}, {"instanceCount": 21}), "INVALID_INPUT", ["instanceCount"]),
        (({"inferenceSpecification": ""}, {"inferenceSpecification": "huge"}), "NOT_FOUND", ["inferenceSpecification"]),
        (
            tuple(named_variable(name) for name in ("", "1A", "A-B", "Ä", "A=B", "A\n", "x" * 129)),
            "INVALID_INPUT",
            ["environment", "0", "name"],
        ),
        (
            tuple(named_variable(name) for name in ("PATH", "HOME", "LD_PRELOAD", "PYTHONPATH", "MODELYARD_TOKEN")),
            "INVALID_INPUT",
            ["environment", "0", "name"],
        ),
        (
            tuple({"environment": [{"name": "A", "value": value}]} for value in ("x" * 4001, "a\0b")),
            "INVALID_INPUT",
            ["environment", "0", "value"],
        ),
        (
            tuple(
                {"environment": [{"name": "MODELYARD_CONCURRENCY", "value": value}]}
                for value in ("", "0", "257", "many", "²", "10000")
            ),
            "INVALID_INPUT",
            ["environment", "0", "value"],
        ),
        (
            ({"environment": [{"name": name, "value": "x"} for name in ("A", "B", "A")]},),
            "INVALID_INPUT",
            ["environment", "2", "name"],
        ),
        (
            ({"environment": [{"name": f"A{number}", "value": "x"} for number in range(101)]},),
            "INVALID_INPUT",
            ["environment"],
        ),
    ],
)
async def test_each_field_of_a_target_has_its_rule(
    api: Api, values: tuple[dict[str, Any], ...], code: str, path: list[str]
) -> None:
    for value in values:
        errors = await refuse(api, "deployRealTimeService", name="iris", targets=[{**UNKNOWN, **value}])
        assert found_in(errors) == sorted([(code, ["targets", "0", *path]), VERSION_MISSING]), value


async def test_a_weight_is_a_percentage(api: Api) -> None:
    targets = [{**UNKNOWN, "weight": weight} for weight in (-1, 101)]
    errors = await refuse(api, "deployRealTimeService", name="iris", targets=targets)
    wrong = [error["path"] for error in errors if error["code"] == "INVALID_INPUT"]
    assert wrong == [["targets", "0", "weight"], ["targets", "1", "weight"]]


@pytest.mark.parametrize("count", [0, 11])
async def test_a_service_has_one_to_ten_targets(api: Api, count: int) -> None:
    errors = await refuse(api, "deployRealTimeService", name="iris", targets=[UNKNOWN] * count)
    assert found_in(errors) == [("INVALID_INPUT", ["targets"])]


async def test_the_strict_rules_of_modelarts_hold_descriptions_short(
    pool: Any, database_url: str, data_dir: Any
) -> None:
    async with running_server(pool, database_url, data_dir, strict_modelarts=True) as server:
        api = server.client()
        for description in ("x" * 101, "a < b", 'a "quoted" one'):
            errors = await refuse(api, "deployRealTimeService", name="iris", targets=[UNKNOWN], description=description)
            assert ("INVALID_INPUT", ["description"]) in found_in(errors)


async def test_only_a_normal_version_is_deployed(api: Api) -> None:
    broken = await import_package(api, without(mxnet_package(), "model/config.json"))
    assert broken["status"] == "IMPORT_FAILED"
    (error,) = await refuse(api, "deployRealTimeService", name="iris", targets=[target(broken["version"])])
    assert (error["code"], error["path"]) == ("MODEL_VERSION_NOT_READY", ["targets", "0", "modelVersion"])
    assert "IMPORT_FAILED" in error["message"]
    assert "retryImport" in error["hint"]


async def test_what_the_engine_has_no_environment_for_is_not_deployed(api: Api) -> None:
    imported = await import_package(api, mxnet_package())
    assert imported["deployableAs"] == []
    (error,) = await refuse(api, "deployRealTimeService", name="iris", targets=[target(imported["version"])])
    assert (error["code"], error["engine"], error["field"]) == ("UNSUPPORTED_BY_ENGINE", "local", "aiEngine")


async def test_a_version_is_deployed_only_as_a_type_that_was_chosen_at_its_import(api: Api) -> None:
    source = await api.record_job("iris", algorithm=MXNET)
    await api.upload("iris", source, mxnet_package())
    version = await api.import_version("iris", source, deploymentTypes=["BATCH"])
    assert (await api.imported("iris", version))["status"] == "NORMAL"
    (error,) = await refuse(api, "deployRealTimeService", name="iris", targets=[target(version)])
    assert error["code"] == "DEPLOYMENT_TYPE_NOT_CHOSEN"
    assert "BATCH" in error["hint"]


@pytest.mark.parametrize("mutation", ["startService", "stopService", "deleteService"])
async def test_an_unknown_service_is_not_found(api: Api, mutation: str) -> None:
    (error,) = await refuse(api, mutation, serviceName="nobody", idempotencyKey="one")
    assert (error["code"], error["path"]) == ("NOT_FOUND", ["serviceName"])


async def test_a_service_names_versions_of_one_model_each_once(api: Api) -> None:
    one = await import_version(api, package(ECHO))
    other = await import_version(api, package(ECHO), model="other")
    for targets, message in (
        ([target(one, weight=50), target(one, weight=50)], "twice"),
        ([target(one, weight=50), target(other, model="other", weight=50)], "one model"),
    ):
        (error,) = await refuse(api, "deployRealTimeService", name="iris", targets=targets)
        assert (error["code"], error["path"]) == ("INVALID_INPUT", ["targets"])
        assert message in error["message"]


async def test_a_request_with_the_same_key_is_done_once(api: Api) -> None:
    version = await import_version(api, package(ECHO))
    first = await deploy(api, "iris", target(version), idempotencyKey="one")
    before = await api.counts()
    assert (await deploy(api, "iris", target(version), idempotencyKey="one"))["id"] == first["id"]
    for changed in ({"description": "another"}, {"name": "another"}, {"targets": [target(version, instanceCount=2)]}):
        fields = {"name": "iris", "targets": [target(version)], "idempotencyKey": "one", **changed}
        (error,) = await api.refused("deployRealTimeService", **fields)
        assert error["code"] == "IDEMPOTENCY_KEY_REUSED"
    (error,) = await api.refused("deployRealTimeService", name="iris", targets=[target(version)])
    assert (error["code"], error["path"]) == ("ALREADY_EXISTS", ["name"])
    stopped = await act(api, "stopService", "iris", idempotencyKey="two")
    again = await act(api, "stopService", "iris", idempotencyKey="two")
    assert again["revision"] == stopped["revision"] == 2
    (error,) = await api.refused("startService", serviceName="iris", idempotencyKey="two")
    assert error["code"] == "IDEMPOTENCY_KEY_REUSED"
    after = await api.counts()
    assert after["service"] == before["service"] == 1
    assert (after["operation"], after["idempotency_key"]) == (before["operation"] + 1, before["idempotency_key"] + 1)


async def test_the_same_deployment_sent_many_times_at_once_is_one_service(api: Api) -> None:
    version = await import_version(api, package(ECHO))
    keyed = [deploy(api, "keyed", target(version), idempotencyKey="one") for _ in range(5)]
    assert len({service["id"] for service in await asyncio.gather(*keyed)}) == 1
    selection = {"name": "unkeyed", "targets": [target(version)]}
    plain = await asyncio.gather(
        *[api.mutate("deployRealTimeService", "service { id }", **selection) for _ in range(5)]
    )
    codes = [error["code"] for payload in plain for error in payload["errors"]]
    assert codes == ["ALREADY_EXISTS"] * 4
    assert await api.count("service") == 2


async def test_deployments_that_name_the_same_versions_in_another_order_do_not_block_each_other(api: Api) -> None:
    versions = [await import_version(api, package(ECHO)) for _ in range(2)]
    targets = [target(version, weight=50, instanceCount=1) for version in versions]
    orders = [targets, targets[::-1]] * 4
    deployments = [deploy(api, f"service-{number}", *order) for number, order in enumerate(orders)]
    services = await asyncio.gather(*deployments)
    stored = await api.service("service-1", "... on RealTimeService { targets { modelVersion { version } } }")
    assert [found["modelVersion"]["version"] for found in stored["targets"]] == versions[::-1]
    await asyncio.gather(*[act(api, "deleteService", service["name"]) for service in services])


async def test_actions_are_held_to_states_and_revisions(api: Api) -> None:
    version = await import_version(api, package(ECHO))
    service = await running(api, "iris", target(version))
    assert service["revision"] == 1
    await refuse_action(api, "startService", "INVALID_STATE")
    error = await refuse_action(api, "stopService", "CONFLICT", expectedRevision=7)
    assert (error["expectedRevision"], error["actualRevision"]) == (7, 1)
    assert (await act(api, "stopService", "iris", expectedRevision=1))["desiredState"] == "STOPPED"
    await refuse_action(api, "stopService", "INVALID_STATE")
    await api.service_in("iris", "STOPPED")
    await refuse_action(api, "stopService", "INVALID_STATE")
    await refuse_action(api, "deleteService", "CONFLICT", expectedRevision=1)
    assert (await act(api, "deleteService", "iris", expectedRevision=2))["status"] == "DELETING"
    await wait_for(lambda: is_gone(api, "iris"))
    for mutation in ("startService", "stopService", "deleteService"):
        await refuse_action(api, mutation, "NOT_FOUND")
    happened = await events_of(api, service)
    steps = ("SERVICE_INSTANCE_", "SERVICE_MODEL_", "SERVICE_ENVIRONMENT_")
    assert [kind for kind in happened if not kind.startswith(steps)] == [
        "SERVICE_DEPLOY_REQUESTED",
        "SERVICE_RUNNING",
        "SERVICE_STOP_REQUESTED",
        "SERVICE_STOPPED",
        "SERVICE_DELETE_REQUESTED",
        "SERVICE_DELETED",
    ]
    kinds = "SELECT kind, state FROM operation WHERE subject_id = $1 ORDER BY id"
    assert [tuple(row) for row in await api.pool.fetch(kinds, key_of(service))] == [
        ("DEPLOY_SERVICE", "SUCCEEDED"),
        ("STOP_SERVICE", "SUCCEEDED"),
        ("DELETE_SERVICE", "SUCCEEDED"),
    ]


async def refuse_action(api: Api, mutation: str, code: str, **fields: Any) -> dict[str, Any]:
    before = await api.counts()
    (error,) = await api.refused(mutation, serviceName="iris", **fields)
    assert error["code"] == code, error
    assert await api.counts() == before
    return error


async def test_services_are_listed_by_status_and_seen_by_their_workspace_only(server: RunningServer, api: Api) -> None:
    version = await import_version(api, package(ECHO))
    for name in ("first", "second"):
        await deploy(api, name, target(version))
    await act(api, "stopService", "second")
    await api.service_in("second", "STOPPED")
    await api.service_in("first", "RUNNING")
    document = "query ($filter: ServiceFilter) { services(filter: $filter) { nodes { name } totalCount } }"
    for statuses, names in ((None, ["second", "first"]), (["RUNNING"], ["first"]), (["STOPPED"], ["second"]), ([], [])):
        found = (await api.ask(document, filter={"status": statuses}))["services"]
        assert ([node["name"] for node in found["nodes"]], found["totalCount"]) == (names, len(names))
    other = await server.client_of_new_workspace("other")
    assert (await other.ask(document))["services"] == {"nodes": [], "totalCount": 0}
    assert await other.service("first") is None
    by_id = "query ($id: ID!) { service(by: {id: $id}) { name } node(id: $id) { id } }"
    service = await api.service("first")
    assert await other.ask(by_id, id=service["id"]) == {"service": None, "node": None}
    assert (await api.ask(by_id, id=service["id"]))["service"] == {"name": "first"}
    for mutation in ("startService", "stopService", "deleteService"):
        (error,) = await other.refused(mutation, serviceName="first")
        assert error["code"] == "NOT_FOUND"
    assert (await api.service("first"))["status"] == "RUNNING"
