"""The gateway, over real HTTP: paths of the Open Inference Protocol that name a version."""

from collections import Counter

import pytest

from server.prediction_path import named_version
from server.prediction_refusal import RefusalCode
from server.route import Instance
from tests.gateway_house import House, answered, refusal
from tests.routes import service, target

pytest_plugins = ("tests.gateway_fixture",)
INFER = "/v2/models/iris/versions/{}/infer"


async def drawn(home: House, path: str, count: int = 20) -> Counter[str]:
    """How often each version answered."""
    found: Counter[str] = Counter()
    for _ in range(count):
        async with home.call(path) as response:
            assert response.status == 200
            found[response.headers["x-modelyard-model-version"]] += 1
    return found


@pytest.mark.parametrize(
    ("target", "version"),
    [
        ("/v2/models/iris/versions/1.0.0/infer", "1.0.0"),
        ("/v2/models/iris/versions/1.0.0", "1.0.0"),
        ("/v2/models/iris/versions/1.0.0/ready?a=/b", "1.0.0"),
        ("/v2//models/iris/versions/1%2e0.0/infer/", "1.0.0"),
        ("/v%32/models/iris/versions/1.0.0/infer", "1.0.0"),
        ("/%762%2Fmodels/iris/versions/1.0.0?x=%2F", "1.0.0"),
        ("/?x=/v%32/models/iris/versions/1.0.0", None),
        ("/%2Fv2/models/iris/versions/1.0.0", None),
        ("/v2/models/iris/infer?versions/1.0.0", None),
        ("/v2/models/versions/1.0.0/infer", None),
        ("/v2/models/iris/versions", None),
        ("/v2", None),
        ("/v2/health/ready", None),
        ("/v1/models/iris/versions/1.0.0", None),
        ("/", None),
    ],
)
def test_the_version_is_read_as_an_instance_reads_it(target: str, version: str | None) -> None:
    assert named_version(target) == version


@pytest.mark.parametrize("weights", [(100, 0), (50, 50), (0, 100)])
async def test_a_version_that_is_named_is_asked_whatever_its_weight(home: House, weights: tuple[int, int]) -> None:
    (_, one), (_, two) = await home.replica("a"), await home.replica("b")
    targets = [target("ver_1", weights[0], one, number="1.0.0"), target("ver_2", weights[1], two, number="1.0.1")]
    await home.swap(service("svc_one", targets=targets))
    assert await drawn(home, INFER.format("1.0.0")) == {"ver_1": 20}
    assert await drawn(home, INFER.format("1.0.1") + "?x=1") == {"ver_2": 20}
    assert await drawn(home, "/v%32/models/iris/versions/1.0.1/infer") == {"ver_2": 20}
    by_weight = {f"ver_{number}" for number, weight in enumerate(weights, 1) if weight}
    for path in ("/", "/v2/models/iris/infer", INFER.format("3.0.0")):
        assert set(await drawn(home, path)) == by_weight


async def test_no_other_version_answers_for_one_that_is_not_ready(home: House) -> None:
    replica, instance = await home.replica("a")
    targets = [target("ver_1", 100, instance, number="1.0.0"), target("ver_2", 0, number="1.0.1")]
    await home.swap(service("svc_one", targets=targets))
    async with home.call(INFER.format("1.0.1")) as response:
        assert "no instance of version 1.0.1 that is ready" in (await response.json())["message"]
        assert response.headers["retry-after"] == "2"
        assert await refusal(response) == (503, RefusalCode.SERVICE_NOT_READY)
    assert replica.calls == 0
    assert await answered(home, INFER.format("1.0.0")) == 200


@pytest.mark.parametrize("is_gone", [False, True])
async def test_a_version_that_the_service_does_not_run_is_not_called_one_of_its_own(home: House, is_gone: bool) -> None:
    places = [Instance("ins_gone", f"unix:{home.directory}/gone")] if is_gone else []
    await home.swap(service("svc_one", targets=[target("ver_1", 100, *places, number="1.0.0")]))
    for version, what in (("9.9.9", "instance"), ("1.0.0", "instance of version 1.0.0")):
        async with home.call(INFER.format(version)) as response:
            assert await refusal(response) == (503, RefusalCode.SERVICE_NOT_READY)
            told = (await response.json())["message"]
            assert told == f"The service has no {what} that is ready; its status is RUNNING."


async def test_another_replica_of_the_version_that_is_named_is_tried_and_none_of_another(home: House) -> None:
    (other, one), (_, two) = await home.replica("a"), await home.replica("b")
    gone = Instance("ins_gone", f"unix:{home.directory}/gone")
    for places, status in (((gone, two), 200), ((gone,), 503)):
        targets = [target("ver_1", 50, one, number="1.0.0"), target("ver_2", 50, *places, number="1.0.1")]
        await home.swap(service("svc_one", targets=targets))
        assert {await answered(home, INFER.format("1.0.1")) for _ in range(6)} == {status}
    assert other.calls == 0
