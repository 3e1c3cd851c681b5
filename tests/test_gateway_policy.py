"""The gateway, over real HTTP: what each service asks of it."""

import asyncio
from collections.abc import AsyncIterator
from io import BytesIO

import pytest
from yarl import URL

from server.prediction_refusal import RefusalCode
from server.rate_limit import RateLimits
from server.service_policy import Policy
from tests.deadline import eventually
from tests.gateway_house import SIGNED_IN, House, answered, house, refusal
from tests.replica import MIB
from tests.routes import OURS, service, target

pytest_plugins = ("tests.gateway_fixture",)
LABELS = {"workspace": str(OURS), "service": "svc_one"}


def refusals(home: House, code: RefusalCode) -> float | None:
    return home.registry.get_sample_value("modelyard_prediction_refusals_total", LABELS | {"code": code})


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Bearer theirs", "Basic b3Vyczo="])
async def test_a_public_service_asks_nobody_who_they_are(home: House, header: str | None) -> None:
    await home.one(is_public=True)
    async with home.call("/", headers={} if header is None else {"authorization": header}) as response:
        assert response.status == 200
        names = {name for name, _ in (await response.json())["headers"]}
    assert "authorization" not in names
    assert not home.tokens.lookups


async def test_a_service_that_is_public_no_more_asks_again(home: House) -> None:
    _, instance = await home.replica("a")
    for is_public, status in ((True, 200), (False, 401)):
        await home.swap(service("svc_one", targets=[target("ver_1", 100, instance)], is_public=is_public))
        async with home.call("/", headers={}) as response:
            assert response.status == status


async def test_nobody_unknown_has_the_database_asked(home: House) -> None:
    async with home.call("/", headers={}) as response:
        assert await refusal(response) == (401, RefusalCode.UNAUTHENTICATED)
    assert home.routes.asked == []


async def unending(size: int) -> AsyncIterator[bytes]:
    for start in range(0, size, 65536):
        yield bytes(min(65536, size - start))


@pytest.mark.parametrize("is_declared", [True, False])
async def test_a_service_has_a_body_limit_of_its_own(home: House, is_declared: bool) -> None:
    replica = await home.one(max_body_bytes=1000)
    async with home.call("/plain", data=b"x" * 1000) as response:
        assert response.status == 200
    async with home.call("/plain", data=BytesIO(b"x" * 1001) if is_declared else unending(1001)) as response:
        assert await refusal(response) == (413, RefusalCode.BODY_TOO_LARGE)
    assert replica.calls == 1
    assert refusals(home, RefusalCode.BODY_TOO_LARGE) == 1


@pytest.mark.parametrize("max_body_bytes", [None, 64 * MIB])
async def test_thirteen_megabytes_are_too_much_whatever_the_service_allows(max_body_bytes: int | None) -> None:
    async with house(max_body_bytes=12 * MIB) as home:
        replica = await home.one(max_body_bytes=max_body_bytes)
        async with home.call("/plain", data=BytesIO(bytes(13 * MIB))) as response:
            assert await refusal(response) == (413, RefusalCode.BODY_TOO_LARGE)
        async with home.call("/plain", data=BytesIO(bytes(12 * MIB))) as response:
            assert (response.status, await response.read()) == (200, b"%d" % (12 * MIB))
    assert replica.calls == 1


async def test_a_service_has_a_time_limit_of_its_own(home: House) -> None:
    replica = await home.one(timeout_seconds=0.3)
    async with home.call("/hold") as response:
        assert "0.3 s" in (await response.json())["message"]
        assert await refusal(response) == (504, RefusalCode.PREDICTION_TIMED_OUT)
    await eventually(lambda: replica.abandoned == 1)


@pytest.mark.parametrize("length", [100, 3 * MIB])
async def test_a_body_of_one_byte_now_and_then_is_given_up(home: House, length: int) -> None:
    replica = await home.one(timeout_seconds=0.5)
    reader, writer = await asyncio.open_connection("127.0.0.1", URL(home.url).port)
    head = "POST /v1/infers/svc_one/plain HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ours\r\n"
    writer.write(f"{head}content-length: {length}\r\n\r\n".encode())
    answer = asyncio.create_task(reader.readuntil(b"\r\n"))
    started = asyncio.get_running_loop().time()
    while not answer.done():
        assert asyncio.get_running_loop().time() - started < 20
        writer.write(b"x")
        await asyncio.wait([answer], timeout=0.05)
    assert answer.result().startswith(b"HTTP/1.1 408")
    writer.close()
    assert refusals(home, RefusalCode.BODY_TOO_SLOW) == 1
    await eventually(lambda: replica.abandoned == replica.calls)


async def test_a_slow_body_that_keeps_coming_may_take_longer_than_the_time_limit(home: House) -> None:
    await home.one(timeout_seconds=0.5)

    async def slowly() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield bytes(8192)
            await asyncio.sleep(0.05)

    async with home.call("/plain", data=slowly()) as response:
        assert (response.status, await response.read()) == (200, b"%d" % (20 * 8192))


async def test_more_requests_than_the_service_takes_in_a_second(home: House) -> None:
    replica = await home.one(requests_per_second=0.1, request_burst=3)
    assert [await answered(home, "/") for _ in range(3)] == [200] * 3
    async with home.call("/", data=BytesIO(bytes(3 * MIB))) as response:
        assert 1 <= int(response.headers["retry-after"]) <= 10
        assert await refusal(response) == (429, RefusalCode.TOO_MANY_REQUESTS)
    assert replica.calls == 3
    assert refusals(home, RefusalCode.TOO_MANY_REQUESTS) == 1
    assert home.registry.get_sample_value("modelyard_predictions_total", LABELS | {"version": "ver_1"}) == 3


async def test_who_is_not_let_in_uses_up_nothing(home: House) -> None:
    await home.one(requests_per_second=0.1, request_burst=1)
    for _ in range(3):
        async with home.call("/", headers={}) as response:
            assert response.status == 401
    assert await answered(home, "/") == 200


def test_a_bucket_fills_again() -> None:
    now = 100.0
    limits = RateLimits(lambda: now)
    policy = Policy(requests_per_second=2.0)
    assert [limits.take("svc", policy) for _ in range(3)] == [None, None, pytest.approx(0.5)]
    now += 0.5
    assert [limits.take("svc", policy) for _ in range(2)] == [None, pytest.approx(0.5)]
    now += 60
    assert [limits.take("svc", policy) for _ in range(3)] == [None, None, pytest.approx(0.5)]
    limits.keep([])
    assert limits.take("svc", policy) is None
    assert limits.take("svc", Policy()) is None


async def test_a_caller_of_a_public_service_that_goes_away_ends_the_instances_work(home: House) -> None:
    replica = await home.one(is_public=True, timeout_seconds=20.0)
    _, writer = await asyncio.open_connection("127.0.0.1", URL(home.url).port)
    writer.write(b"POST /v1/infers/svc_one/hold HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}")
    await eventually(lambda: replica.calls == 1)
    writer.transport.abort()
    await eventually(lambda: replica.abandoned == 1)


async def test_the_limits_hold_for_our_own_code_too(home: House) -> None:
    await home.one(requests_per_second=0.1, request_burst=1)
    assert (await home.gateway.predict("svc_one", workspace_id=OURS, body=b"{}")).status == 200
    async with home.call("/", headers=SIGNED_IN) as response:
        assert response.status == 429
