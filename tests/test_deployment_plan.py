"""Plans of deployments: what would be started and stopped, whether there is room, and what makes a plan stale."""

from typing import Any

from tests.api import Api, RunningServer, running_server
from tests.pools import GIBIBYTE, create_pool, refuse, stored
from tests.services import ECHO, act, deploy, import_version, package, running, target

AMOUNTS = "{ cpuCount memoryBytes gpuCount ascendCount }"
PLAN = f"""query ($input: PlanDeploymentInput!) {{ planDeployment(input: $input) {{
    fingerprint isPossible problems {{ code path message hint }} warnings {{ code path }}
    targets {{ modelVersion {{ version }} weightBefore weightAfter instanceCountBefore instanceCountAfter
        startedInstanceCount stoppedInstanceCount keptInstanceCount isBelowMinimum
        inferenceSpecification {{ name cpuCount }} }}
    capacity {{ pool {{ name kind }} free {AMOUNTS} needed {AMOUNTS} freeAfter {AMOUNTS}
        isSufficient sentence }} }} }}"""


async def plan(api: Api, mutation: str, **fields: Any) -> Any:
    """The plan of a mutation, which stores nothing."""
    before = await stored(api)
    found = (await api.ask(PLAN, input={mutation: fields}))["planDeployment"]
    assert await stored(api) == before
    return found


def counts(planned: dict[str, Any]) -> tuple[Any, ...]:
    names = ("weightBefore", "weightAfter", "startedInstanceCount", "stoppedInstanceCount", "keptInstanceCount")
    return (planned["modelVersion"]["version"], *(planned[name] for name in names))


async def test_a_plan_shows_what_a_deployment_would_start_and_what_it_needs(api: Api) -> None:
    version = await import_version(api, package(ECHO))
    await create_pool(api, "gpu-a", cpuCount=8, memoryBytes=64 * GIBIBYTE)
    asked = {"name": "iris", "targets": [target(version, instanceCount=2)], "resourcePool": "gpu-a"}
    found = await plan(api, "deployRealTimeService", **asked)
    assert (found["isPossible"], found["problems"], found["warnings"]) == (True, [], [])
    (planned,) = found["targets"]
    assert counts(planned) == (version, 0, 100, 2, 0, 0)
    assert planned["inferenceSpecification"] == {"name": "modelarts.vm.cpu.2u", "cpuCount": 2}
    capacity = found["capacity"]
    assert capacity["pool"] == {"name": "gpu-a", "kind": "DEDICATED"}
    assert capacity["free"] == {"cpuCount": 8, "memoryBytes": 64 * GIBIBYTE, "gpuCount": 0, "ascendCount": 0}
    assert capacity["needed"] == {"cpuCount": 4, "memoryBytes": 16 * GIBIBYTE, "gpuCount": 0, "ascendCount": 0}
    assert capacity["freeAfter"]["cpuCount"] == 4
    assert (capacity["isSufficient"], capacity["sentence"]) == (True, "The pool gpu-a has room for it.")
    assert await plan(api, "deployRealTimeService", **asked) == found
    assert await api.service("iris") is None


async def test_a_plan_is_unbounded_where_nobody_counts(api: Api) -> None:
    version = await import_version(api, package(ECHO))
    found = await plan(api, "deployRealTimeService", name="iris", targets=[target(version)])
    nothing = {"cpuCount": None, "memoryBytes": None, "gpuCount": None, "ascendCount": None}
    assert found["capacity"]["free"] == found["capacity"]["freeAfter"] == nothing
    assert found["capacity"]["isSufficient"]


async def test_a_plan_without_room_is_possible_and_says_what_waits(api: Api) -> None:
    version = await import_version(api, package(ECHO), minimumInferenceSpecification={"cpuCount": 3})
    await create_pool(api, "gpu-a", cpuCount=3, memoryBytes=64 * GIBIBYTE)
    asked = target(version, instanceCount=2, inferenceSpecification="modelarts.vm.cpu.2u")
    found = await plan(api, "deployRealTimeService", name="iris", targets=[asked], resourcePool="gpu-a")
    assert (found["isPossible"], found["capacity"]["isSufficient"]) == (True, False)
    assert found["capacity"]["sentence"] == (
        "The pool gpu-a has 3 of 3 processors free; 4 processors are needed."
        " Instances wait, PENDING, until there is room."
    )
    assert [warning["code"] for warning in found["warnings"]] == ["BELOW_MINIMUM_SPECIFICATION"]
    assert found["targets"][0]["isBelowMinimum"]


async def test_a_plan_tells_all_that_the_mutation_would_refuse(server: RunningServer, api: Api) -> None:
    version = await import_version(api, package(ECHO))
    await deploy(api, "taken", target(version))
    await api.service_in("taken", "RUNNING")
    for name, targets in (
        ("a b", [target(version, weight=99)]),
        ("taken", [target(version)]),
        ("iris", [target("0.0.9", model="nobody", inferenceSpecification="huge")]),
        ("iris", [target(version)] * 11),
    ):
        found = await plan(api, "deployRealTimeService", name=name, targets=targets)
        assert (found["isPossible"], found["fingerprint"]) == (False, None)
        errors = await refuse(api, "deployRealTimeService", name=name, targets=targets)
        assert [(problem["code"], problem["path"]) for problem in found["problems"]] == [
            (error["code"], error["path"]) for error in errors
        ]
    other = await server.client_of_new_workspace("other")
    found = await plan(other, "deployRealTimeService", name="iris", targets=[target(version)])
    assert [problem["code"] for problem in found["problems"]] == ["NOT_FOUND"]
    found = await plan(other, "updateRealTimeService", serviceName="taken", targets=[target(version)])
    assert [problem["code"] for problem in found["problems"]] == ["NOT_FOUND"]


async def test_a_deployment_goes_by_its_plan_while_all_is_as_it_was(api: Api) -> None:
    version = await import_version(api, package(ECHO))
    await create_pool(api, "gpu-a", cpuCount=8, memoryBytes=64 * GIBIBYTE)
    asked = {"name": "iris", "targets": [target(version)], "resourcePool": "gpu-a"}
    fingerprint = (await plan(api, "deployRealTimeService", **asked))["fingerprint"]
    stale = [{**asked, "description": "another"}, {**asked, "targets": [target(version, instanceCount=2)]}]
    for changed in stale:
        (error,) = await refuse(api, "deployRealTimeService", **changed, planFingerprint=fingerprint)
        assert (error["code"], error["path"]) == ("CONFLICT", ["planFingerprint"])
    updated = await api.mutate("updateResourcePool", "__typename", name="gpu-a", cpuCount=9)
    assert updated["errors"] == []
    (error,) = await refuse(api, "deployRealTimeService", **asked, planFingerprint=fingerprint)
    assert error["code"] == "CONFLICT"
    fingerprint = (await plan(api, "deployRealTimeService", **asked))["fingerprint"]
    name = {"modelName": "iris", "version": version}
    await api.mutate("updateModelVersion", "__typename", modelVersion=name, description="changed")
    (error,) = await refuse(api, "deployRealTimeService", **asked, planFingerprint=fingerprint)
    assert error["code"] == "CONFLICT"
    fingerprint = (await plan(api, "deployRealTimeService", **asked))["fingerprint"]
    await deploy(api, "beside", target(version), resourcePool="gpu-a")
    await api.service_in("beside", "RUNNING")
    (error,) = await refuse(api, "deployRealTimeService", **asked, planFingerprint=fingerprint)
    assert error["code"] == "CONFLICT"
    assert error["hint"].startswith("Plan again")
    fingerprint = (await plan(api, "deployRealTimeService", **asked))["fingerprint"]
    await deploy(api, "iris", target(version), resourcePool="gpu-a", planFingerprint=fingerprint)


async def test_other_workspaces_make_no_plan_for_the_shared_pool_stale_while_there_is_room(
    pool: Any, database_url: str, data_dir: Any
) -> None:
    async with running_server(pool, database_url, data_dir, shared_pool_cpu_count=6) as server:
        api, other = server.client(), await server.client_of_new_workspace("other")
        versions = {each: await import_version(each, package(ECHO)) for each in (api, other)}
        asked = {"name": "iris", "targets": [target(versions[api])]}
        first = await plan(api, "deployRealTimeService", **asked)
        assert first["capacity"]["free"]["cpuCount"] == 6
        await deploy(other, "iris", target(versions[other]))
        await other.service_in("iris", "RUNNING")
        second = await plan(api, "deployRealTimeService", **asked)
        assert second["capacity"]["free"]["cpuCount"] == 4
        assert second["fingerprint"] == first["fingerprint"]
        await deploy(other, "large", target(versions[other], instanceCount=2))
        await other.service_in("large", "RUNNING")
        (error,) = await refuse(api, "deployRealTimeService", **asked, planFingerprint=first["fingerprint"])
        assert error["code"] == "CONFLICT"


async def test_an_update_keeps_instances_that_are_the_same_and_shows_which_go(api: Api) -> None:
    first, second = [await import_version(api, package(ECHO)) for _ in range(2)]
    await create_pool(api, "gpu-a", cpuCount=6, memoryBytes=64 * GIBIBYTE)
    await deploy(api, "iris", target(first, instanceCount=2), resourcePool="gpu-a")
    await api.service_in("iris", "RUNNING")
    targets = [target(first, weight=90, instanceCount=1), target(second, weight=10, instanceCount=2)]
    found = await plan(api, "updateRealTimeService", serviceName="iris", targets=targets)
    assert found["isPossible"], found
    assert [counts(planned) for planned in found["targets"]] == [(first, 100, 90, 0, 1, 1), (second, 0, 10, 2, 0, 0)]
    capacity = found["capacity"]
    amounts = [capacity[name]["cpuCount"] for name in ("free", "needed", "freeAfter")]
    assert amounts == [2, 4, 0]
    assert not capacity["isSufficient"]
    assert "stop the service first" in capacity["sentence"]

    found = await plan(api, "updateRealTimeService", serviceName="iris", targets=[target(second)])
    assert [counts(planned) for planned in found["targets"]] == [(second, 0, 100, 1, 0, 0), (first, 100, 0, 0, 2, 0)]
    changed = target(first, instanceCount=2, environment=[{"name": "A", "value": "1"}])
    found = await plan(api, "updateRealTimeService", serviceName="iris", targets=[changed])
    assert [counts(planned) for planned in found["targets"]] == [(first, 100, 100, 2, 2, 0)]


async def test_an_update_goes_by_its_plan_while_the_service_is_as_it_was(api: Api) -> None:
    version = await import_version(api, package(ECHO))
    await running(api, "iris", target(version))
    asked = {"serviceName": "iris", "targets": [target(version, instanceCount=2)]}
    fingerprint = (await plan(api, "updateRealTimeService", **asked))["fingerprint"]
    await act(api, "stopService", "iris")
    await api.service_in("iris", "STOPPED")
    (error,) = await refuse(api, "updateRealTimeService", **asked, planFingerprint=fingerprint)
    assert (error["code"], error["path"]) == ("CONFLICT", ["planFingerprint"])
    found = await plan(api, "updateRealTimeService", **asked)
    assert [counts(planned) for planned in found["targets"]] == [(version, 100, 100, 0, 0, 0)]
    done = await api.mutate(
        "updateRealTimeService", "service { revision }", **asked, planFingerprint=found["fingerprint"]
    )
    assert done["errors"] == []
