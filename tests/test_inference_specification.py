"""Sizes of instances: those that every installation has, a workspace's own, and which one a target gets."""

from typing import Any

import pytest

from tests.api import Api, RunningServer, wait_for
from tests.pools import GIBIBYTE, create_pool, refuse
from tests.services import ECHO, act, deploy, import_version, is_gone, package, target

LISTED = """{ inferenceSpecifications { name description cpuCount memoryBytes gpuCount ascendCount isBuiltIn isAvailable
    unavailableReason } }"""
SIZE = """... on RealTimeService { targets { inferenceSpecification { name description cpuCount memoryBytes gpuCount
    ascendCount isBuiltIn isAvailable } } }"""
MEDIUM = {"name": "medium", "cpuCount": 1.5, "memoryBytes": 3 * GIBIBYTE}


async def sizes(api: Api) -> dict[str, dict[str, Any]]:
    return {size["name"]: size for size in (await api.ask(LISTED))["inferenceSpecifications"]}


async def create(api: Api, **fields: Any) -> dict[str, Any]:
    selection = "inferenceSpecification { name description cpuCount memoryBytes gpuCount isBuiltIn isAvailable }"
    payload = await api.mutate("createInferenceSpecification", selection, **fields)
    assert payload["errors"] == [], payload
    made: dict[str, Any] = payload["inferenceSpecification"]
    return made


async def size_of(api: Api, service: str) -> dict[str, Any]:
    (found,) = (await api.service(service, SIZE))["targets"]
    size: dict[str, Any] = found["inferenceSpecification"]
    return size


async def test_the_catalogue_says_which_sizes_the_engine_can_honour(api: Api) -> None:
    found = await sizes(api)
    usual, gpu = found["modelarts.vm.cpu.2u"], found["modelarts.vm.gpu.p4"]
    assert (usual["cpuCount"], usual["memoryBytes"], usual["isAvailable"], usual["unavailableReason"]) == (
        2,
        8 * GIBIBYTE,
        True,
        None,
    )
    assert (gpu["gpuCount"], gpu["isBuiltIn"], gpu["isAvailable"]) == (1, True, False)
    assert "no accelerators" in gpu["unavailableReason"]
    assert found["modelarts.vm.ai1.a310"]["ascendCount"] == 1


async def test_a_size_of_the_workspaces_own_is_added_used_and_taken_out(server: RunningServer, api: Api) -> None:
    made = await create(api, **MEDIUM, description="in between", idempotencyKey="one")
    assert made == {
        **MEDIUM,
        "description": "in between",
        "gpuCount": 0,
        "isBuiltIn": False,
        "isAvailable": True,
    }
    assert await create(api, **MEDIUM, description="in between", idempotencyKey="one") == made
    (error,) = await refuse(api, "createInferenceSpecification", **MEDIUM)
    assert (error["code"], error["path"]) == ("ALREADY_EXISTS", ["name"])
    other = await server.client_of_new_workspace("other")
    assert "medium" not in await sizes(other)
    (error,) = await refuse(other, "deleteInferenceSpecification", name="medium")
    assert error["code"] == "NOT_FOUND"

    version = await import_version(api, package(ECHO))
    await deploy(api, "iris", target(version, inferenceSpecification="medium"))
    await api.service_in("iris", "RUNNING")
    (error,) = await refuse(api, "deleteInferenceSpecification", name="medium")
    assert (error["code"], "iris" in error["message"]) == ("IN_USE", True)
    await act(api, "deleteService", "iris")
    await wait_for(lambda: is_gone(api, "iris"))
    gone = await api.mutate("deleteInferenceSpecification", "name", name="medium")
    assert gone == {"name": "medium", "errors": []}
    assert "medium" not in await sizes(api)
    (error,) = await refuse(api, "deleteInferenceSpecification", name="medium")
    assert (error["code"], error["path"]) == ("NOT_FOUND", ["name"])
    (error,) = await refuse(api, "deleteInferenceSpecification", name="modelarts.vm.cpu.2u")
    assert (error["code"], error["hint"] is not None) == ("NOT_FOUND", True)


@pytest.mark.parametrize(
    ("fields", "code", "path"),
    [
        ({"name": "modelarts.vm.cpu.2u"}, "ALREADY_EXISTS", ["name"]),
        ({"name": "custom"}, "ALREADY_EXISTS", ["name"]),
        ({"name": "a b"}, "INVALID_INPUT", ["name"]),
        ({"description": "a\0b"}, "INVALID_INPUT", ["description"]),
        ({"cpuCount": 0}, "INVALID_INPUT", ["cpuCount"]),
        ({"memoryBytes": 0}, "INVALID_INPUT", ["memoryBytes"]),
        ({"gpuCount": -0.5}, "INVALID_INPUT", ["gpuCount"]),
        ({"gpuCount": 1, "ascendCount": 1}, "INVALID_INPUT", ["ascendCount"]),
    ],
)
async def test_each_field_of_a_size_has_its_rule(api: Api, fields: dict[str, Any], code: str, path: list[str]) -> None:
    (error,) = await refuse(api, "createInferenceSpecification", **{**MEDIUM, **fields})
    assert (error["code"], error["path"]) == (code, path)


async def test_a_target_shows_the_size_that_was_chosen_whatever_became_of_its_name(api: Api) -> None:
    await create(api, **MEDIUM)
    version = await import_version(api, package(ECHO))
    await deploy(api, "iris", target(version, inferenceSpecification="medium"))
    await api.pool.execute("UPDATE inference_specification SET cpu_count = 7")
    found = await size_of(api, "iris")
    assert (found["name"], found["cpuCount"], found["isBuiltIn"]) == ("medium", 1.5, False)
    assert found["description"] == "1.5 processors and 3 GiB of memory"


async def test_an_accelerator_is_refused_where_the_engine_has_none(api: Api) -> None:
    version = await import_version(api, package(ECHO))
    await create_pool(api, "gpu-a", cpuCount=64, memoryBytes=256 * GIBIBYTE, gpuCount=4)
    custom = {"cpuCount": 1, "memoryBytes": GIBIBYTE, "gpuCount": 0.5}
    for asked, path in (
        ({"inferenceSpecification": "modelarts.vm.gpu.t4"}, "inferenceSpecification"),
        ({"customInferenceSpecification": custom}, "customInferenceSpecification"),
    ):
        deployment = {"name": "iris", "targets": [target(version, **asked)], "resourcePool": "gpu-a"}
        (error,) = await refuse(api, "deployRealTimeService", **deployment)
        assert (error["code"], error["engine"], error["field"]) == (
            "UNSUPPORTED_BY_ENGINE",
            "local",
            "inferenceSpecification",
        )
        assert error["path"] == ["targets", "0", path]


async def test_the_minimum_of_a_version_counts_in_dedicated_pools_and_only_there(api: Api) -> None:
    version = await import_version(api, package(ECHO), minimumInferenceSpecification={"cpuCount": 3})
    await create_pool(api, "wide", cpuCount=64, memoryBytes=256 * GIBIBYTE)
    await deploy(api, "shared", target(version))
    assert (await size_of(api, "shared"))["name"] == "modelarts.vm.cpu.2u"
    await deploy(api, "dedicated", target(version), resourcePool="wide")
    found = await size_of(api, "dedicated")
    assert (found["name"], found["cpuCount"], found["memoryBytes"]) == ("custom", 3, 8 * GIBIBYTE)
    small = target(version, inferenceSpecification="modelarts.vm.cpu.free")
    for pool, codes in (("wide", ["BELOW_MINIMUM_SPECIFICATION"]), ("shared", [])):
        payload = await api.mutate(
            "deployRealTimeService",
            "warnings { code message path }",
            name=f"small-{pool}",
            targets=[small],
            resourcePool=pool,
        )
        assert payload["errors"] == []
        assert [warning["code"] for warning in payload["warnings"]] == codes
        if codes:
            (warning,) = payload["warnings"]
            assert warning["path"] == ["targets", "0", "inferenceSpecification"]
            assert "1 processor" in warning["message"]
            assert "3 processors" in warning["message"]


async def test_a_version_without_minimum_gets_the_usual_size_in_a_dedicated_pool_too(api: Api) -> None:
    version = await import_version(api, package(ECHO))
    await create_pool(api, "wide", cpuCount=64, memoryBytes=256 * GIBIBYTE)
    await deploy(api, "iris", target(version), resourcePool="wide")
    assert (await size_of(api, "iris"))["name"] == "modelarts.vm.cpu.2u"


async def test_a_size_of_ones_own_is_for_dedicated_pools(api: Api) -> None:
    version = await import_version(api, package(ECHO))
    await create_pool(api, "wide", cpuCount=4, memoryBytes=16 * GIBIBYTE)
    custom = {"cpuCount": 0.5, "memoryBytes": GIBIBYTE}
    asked = target(version, customInferenceSpecification=custom)
    (error,) = await refuse(api, "deployRealTimeService", name="iris", targets=[asked])
    here = ["targets", "0", "customInferenceSpecification"]
    assert (error["code"], error["path"]) == ("INVALID_INPUT", here)
    both = {**asked, "inferenceSpecification": "modelarts.vm.cpu.2u"}
    (error,) = await refuse(api, "deployRealTimeService", name="iris", targets=[both], resourcePool="wide")
    assert (error["code"], error["path"]) == ("INVALID_INPUT", here)
    wrong = target(version, customInferenceSpecification={**custom, "cpuCount": 0})
    (error,) = await refuse(api, "deployRealTimeService", name="iris", targets=[wrong], resourcePool="wide")
    assert (error["code"], error["path"]) == ("INVALID_INPUT", [*here, "cpuCount"])
    await deploy(api, "iris", asked, resourcePool="wide")
    found = await size_of(api, "iris")
    assert (found["name"], found["cpuCount"], found["memoryBytes"]) == ("custom", 0.5, GIBIBYTE)


async def test_an_instance_that_is_larger_than_its_whole_pool_is_refused_at_once(api: Api) -> None:
    version = await import_version(api, package(ECHO))
    await create_pool(api, "narrow", cpuCount=1.5, memoryBytes=16 * GIBIBYTE)
    asked = {"name": "iris", "targets": [target(version)], "resourcePool": "narrow"}
    (error,) = await refuse(api, "deployRealTimeService", **asked)
    assert (error["code"], error["path"]) == ("INSUFFICIENT_CAPACITY", ["targets", "0", "inferenceSpecification"])
    assert error["message"] == "The pool narrow has 1.5 processors altogether; an instance takes 2 processors."


async def test_all_that_is_wrong_with_a_target_is_told_at_once(api: Api) -> None:
    await create_pool(api, "wide", cpuCount=4, memoryBytes=16 * GIBIBYTE)
    asked = target("0.0.1", model="nobody", inferenceSpecification="huge", instanceCount=0)
    errors = await refuse(api, "deployRealTimeService", name="a b", targets=[asked], resourcePool="none")
    assert {(error["code"], tuple(error["path"])) for error in errors} == {
        ("INVALID_INPUT", ("name",)),
        ("NOT_FOUND", ("resourcePool",)),
        ("INVALID_INPUT", ("targets", "0", "instanceCount")),
        ("NOT_FOUND", ("targets", "0", "inferenceSpecification")),
        ("NOT_FOUND", ("targets", "0", "modelVersion", "modelName")),
    }
    hint = next(error["hint"] for error in errors if error["path"][-1] == "inferenceSpecification")
    assert "modelarts.vm.cpu.2u" in hint


@pytest.mark.parametrize(
    "name",
    ["DB_PASSWORD", "api_key", "TOKEN", "AWS_SECRET_ACCESS_KEY", "MY_PRIVATE_KEY_2", "GIT_CREDENTIALS", "DB_PWD"],
)
async def test_a_variable_that_is_named_as_a_secret_is_refused_and_says_why(api: Api, name: str) -> None:
    asked = target("0.0.1", model="nobody", environment=[{"name": name, "value": "x"}])
    errors = await refuse(api, "deployRealTimeService", name="iris", targets=[asked])
    found = next(error for error in errors if error["code"] == "INVALID_INPUT")
    assert found["path"] == ["targets", "0", "environment", "0", "name"]
    assert "everybody who sees the service" in found["message"]


@pytest.mark.parametrize("name", ["MAX_TOKENS", "TOKENIZER", "KEYBOARD", "SECRETARY", "COMPASS"])
async def test_a_variable_that_only_sounds_like_a_secret_is_let_through(api: Api, name: str) -> None:
    asked = target("0.0.1", model="nobody", environment=[{"name": name, "value": "x"}])
    errors = await refuse(api, "deployRealTimeService", name="iris", targets=[asked])
    assert [error["code"] for error in errors] == ["NOT_FOUND"]


@pytest.mark.parametrize("name", ["DATABASE_URL", "OBJECT_STORE_URL", "ENGINE_URL", "MODELYARD_TOKEN"])
async def test_a_variable_of_the_server_is_refused(api: Api, name: str) -> None:
    asked = target("0.0.1", model="nobody", environment=[{"name": name, "value": "x"}])
    errors = await refuse(api, "deployRealTimeService", name="iris", targets=[asked])
    assert ["targets", "0", "environment", "0", "name"] in [error["path"] for error in errors]
