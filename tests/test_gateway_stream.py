"""The gateway, over real HTTP: sizes, streams and callers that go away."""

import asyncio
from collections.abc import AsyncIterator
from io import BytesIO

import psutil
import pytest
from aiohttp import ClientError
from structlog.testing import capture_logs
from yarl import URL

from server.prediction_refusal import RefusalCode
from tests.deadline import eventually
from tests.gateway_house import House, answered, house, refusal
from tests.replica import MIB

pytest_plugins = ("tests.gateway_fixture",)


async def test_a_body_declared_too_long_is_refused_unread(home: House) -> None:
    replica = await home.one()
    async with home.call("/plain", data=BytesIO(bytes(4 * MIB + 1))) as response:
        assert await refusal(response) == (413, RefusalCode.BODY_TOO_LARGE)
    assert replica.calls == 0


async def test_a_stream_that_turns_out_too_long_is_refused(home: House) -> None:
    replica = await home.one()

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(16):
            yield bytes(MIB // 2)

    async with home.call("/plain", data=endless()) as response:
        assert await refusal(response) == (413, RefusalCode.BODY_TOO_LARGE)
    await eventually(lambda: replica.abandoned == 1)
    assert replica.bytes_received <= 4 * MIB


async def test_a_body_that_turns_out_too_long_cuts_an_answer_under_way(home: House) -> None:
    replica = await home.one()
    has_answer = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield bytes(2 * MIB)
        await has_answer.wait()
        for _ in range(16):
            yield bytes(MIB // 2)

    with capture_logs() as logs:
        async with home.call("/begin", data=endless()) as response:
            assert await response.content.readany() == b"first,"
            has_answer.set()
            with pytest.raises(ClientError):
                await response.read()
        await eventually(lambda: replica.abandoned == 1)
    assert [(entry["event"], "4194304 bytes" in entry["reason"]) for entry in logs] == [("prediction cut short", True)]


@pytest.mark.parametrize("size", [MIB - 1, MIB, MIB + 1, 4 * MIB])
@pytest.mark.parametrize("is_declared", [True, False])
async def test_bodies_up_to_the_limit_arrive_whole(home: House, size: int, is_declared: bool) -> None:
    await home.one()

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, size, 65536):
            yield bytes(min(65536, size - start))

    async with home.call("/plain", data=BytesIO(bytes(size)) if is_declared else chunks()) as response:
        assert (response.status, await response.read()) == (200, b"%d" % size)


async def test_an_answer_may_come_before_the_body_was_read(home: House) -> None:
    await home.one()
    async with home.call("/early", data=BytesIO(bytes(3 * MIB))) as response:
        assert (response.status, await response.read()) == (404, b"not read")


async def test_answers_are_streamed(home: House) -> None:
    replica = await home.one()
    async with home.call("/drip") as response:
        assert await response.content.readany() == b"first,"
        replica.go.set()
        assert await response.content.read() == b"last"


async def test_memory_stays_flat_while_streaming() -> None:
    async with house(max_body_bytes=128 * MIB) as home:
        replica = await home.one()
        chunk = bytes(256 * 1024)

        async def upload() -> AsyncIterator[bytes]:
            for _ in range(256):
                yield chunk

        assert await answered(home, "/plain") == 200
        before = psutil.Process().memory_info().rss
        highest = before
        async with home.call("/plain", data=upload()) as response:
            assert await response.read() == b"%d" % (64 * MIB)
            highest = max(highest, psutil.Process().memory_info().rss)
        assert replica.bytes_received >= 64 * MIB
        async with home.call("/flood") as response:
            total = 0
            async for part in response.content.iter_any():
                total += len(part)
                highest = max(highest, psutil.Process().memory_info().rss)
        assert total == 64 * MIB
        # Caller, gateway and instance share this process.
        assert highest - before < 24 * MIB


async def test_a_caller_that_goes_away_ends_the_instances_work(home: House) -> None:
    replica = await home.one()
    task = asyncio.create_task(answered(home, "/hold"))
    await eventually(lambda: replica.calls == 1)
    task.cancel()
    await eventually(lambda: replica.abandoned == 1)
    assert await answered(home, "/") == 200


async def test_a_caller_that_goes_away_during_its_upload(home: House) -> None:
    replica = await home.one()
    _, writer = await asyncio.open_connection("127.0.0.1", URL(home.url).port)
    head = "POST /v1/infers/svc_one/plain HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ours\r\n"
    writer.write(f"{head}content-length: {3 * MIB}\r\n\r\n".encode() + bytes(MIB))
    await eventually(lambda: replica.calls == 1)
    writer.transport.abort()
    await eventually(lambda: replica.abandoned == 1)
