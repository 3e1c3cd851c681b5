"""The gateway, over real HTTP: instances that answer in other ways than our own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from io import BytesIO

import aiohttp
import pytest

from server.prediction_refusal import RefusalCode
from server.route import Instance
from tests.deadline import eventually
from tests.gateway_house import House, answered, refusal
from tests.replica import MIB

pytest_plugins = ("tests.gateway_fixture",)
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def at_work(
    handle: Handler, start: Callable[[Handler], Awaitable[asyncio.Server]]
) -> AsyncIterator[asyncio.Server]:
    """A server of it; after what it does a connection stays open until the other side closes it."""
    tasks: list[asyncio.Task[None]] = []

    async def handle_and_wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        with suppress(asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            await handle(reader, writer)
            await writer.drain()
            await reader.read()
        writer.close()
        with suppress(asyncio.CancelledError, ConnectionError):
            await writer.wait_closed()

    server = await start(handle_and_wait)
    yield server
    server.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks)


async def raw(home: House, handle: Handler) -> None:
    """One service whose instance does just this with each connection."""
    path = home.directory / "raw"
    await home.stack.enter_async_context(at_work(handle, lambda handler: asyncio.start_unix_server(handler, path)))
    await home.route(Instance(id="ins_raw", address=f"unix:{path}"))


def saying(text: bytes, *, closes: bool = False) -> Handler:
    """Answers each request with the same bytes."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"{}"):
            writer.write(text)
            if closes:
                writer.close()
                return

    return handle


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("text", "closes", "body"),
    [
        (OK + b"content-length: 2\r\n\r\nok", False, b"ok"),
        (OK + b"Content-Length: 2\r\n\r\nok", True, b"ok"),
        (OK + b"transfer-encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n", False, b"ok"),
        (OK + b"transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-late: 1\r\n\r\n", False, b"ok"),
        (OK + b"\r\nuntil the end", True, b"until the end"),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", False, b"ok"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"content-length: 2\r\n\r\nok", False, b"ok"),
        (b"HTTP/1.1 103 Hints\r\nlink: </x>\r\n\r\n" + OK + b"content-length: 2\r\n\r\nok", False, b"ok"),
        (OK + b"connection: close\r\ncontent-length: 2\r\n\r\nok", False, b"ok"),
    ],
)
async def test_every_form_of_an_answer_is_read(home: House, text: bytes, closes: bool, body: bytes) -> None:
    await raw(home, saying(text, closes=closes))
    for _ in range(3):
        async with home.call("/") as response:
            assert (response.status, await response.read()) == (200, body)
            assert not {"link", "x-late"} & {name.lower() for name in response.headers}


@pytest.mark.parametrize(
    "text",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nabc",
        b"HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n",
        OK + b"content-length: 2\r\ncontent-length: 3\r\n\r\nok",
        OK + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        OK + b"a: b\r\n folded\r\ncontent-length: 2\r\n\r\nok",
        OK + b"a: b\nc: d\r\ncontent-length: 2\r\n\r\nok",
        OK + b"a: \x00\r\ncontent-length: 2\r\n\r\nok",
        OK + b"a b: c\r\ncontent-length: 2\r\n\r\nok",
        OK + b"".join(b"x-%d: %s\r\n" % (number, b"v" * 1000) for number in range(400)) + b"\r\n",
        OK + b"content-length: 10\r\n\r\nshort",
        b"HTTP/1.1 200",
    ],
)
async def test_what_is_no_answer_is_refused(home: House, text: bytes) -> None:
    await raw(home, saying(text, closes=True))
    async with home.call("/") as response:
        assert await refusal(response) == (502, RefusalCode.INSTANCE_FAILED)


async def test_a_second_answer_to_one_request_is_nobodys(home: House) -> None:
    one = OK + b"content-length: 3\r\n\r\none"
    await raw(home, saying(one + b"HTTP/1.1 201 X\r\ncontent-length: 3\r\nx-two: 1\r\n\r\ntwo"))
    for _ in range(3):
        async with home.call("/") as response:
            assert (response.status, await response.read(), response.headers.get("x-two")) == (200, b"one", None)


async def test_what_comes_unasked_is_not_the_next_answer(home: House) -> None:
    first = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        name = b"new" if first.is_set() else b"old"
        writer.write(OK + b"content-length: 3\r\n\r\n" + name)
        await writer.drain()
        if not first.is_set():
            first.set()
            writer.write(OK + b"content-length: 3\r\n\r\nbad")

    await raw(home, handle)
    assert await answered(home, "/") == 200
    await first.wait()
    async with home.call("/") as response:
        assert await response.read() == b"new"


async def test_a_body_where_there_may_be_none_is_left_out(home: House) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + b"content-length: 3\r\n\r\nbad")

    await raw(home, handle)
    for _ in range(3):
        async with home.call("/", method="HEAD", data=None) as response:
            assert (response.status, await response.read()) == (200, b"")
            assert response.headers["content-length"] == "3"


async def test_a_connection_that_was_closed_meanwhile_is_not_used(home: House) -> None:
    closed = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        writer.write(OK + b"content-length: 2\r\n\r\nok")
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        closed.set()

    await raw(home, handle)
    for _ in range(3):
        assert await answered(home, "/") == 200
        await closed.wait()


async def test_an_instance_that_takes_a_long_body_slowly_is_waited_for(home: House) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for _ in range(3):
            await reader.readexactly(MIB)
        writer.write(OK + b"content-length: 2\r\n\r\nok")

    await raw(home, handle)
    async with home.call("/", data=BytesIO(bytes(3 * MIB))) as response:
        assert (response.status, await response.read()) == (200, b"ok")


async def test_a_body_in_chunks_arrives_in_chunks(home: House) -> None:
    seen: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        size = 0
        while length := int(await reader.readuntil(b"\r\n"), 16):
            size += len(await reader.readexactly(length))
            await reader.readexactly(2)
        seen.append(head)
        writer.write(OK + b"content-length: 7\r\n\r\n%d" % size)

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(48):
            yield bytes(65536)

    await raw(home, handle)
    async with home.call("/", data=chunks()) as response:
        assert (response.status, await response.read()) == (200, b"%d" % (3 * MIB))
    assert b"transfer-encoding: chunked" in seen[0]
    assert b"content-length" not in seen[0]


async def test_a_slow_reader_holds_the_instance_back(home: House) -> None:
    """What the caller has not taken yet stays with the instance."""
    written = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await reader.readuntil(b"{}")
        writer.write(OK + b"transfer-encoding: chunked\r\n\r\n")
        for _ in range(64):
            writer.write(b"100000\r\n" + bytes(MIB) + b"\r\n")
            await writer.drain()
            written += MIB
        writer.write(b"0\r\n\r\n")

    await raw(home, handle)
    async with home.call("/") as response:
        assert response.status == 200
        await eventually(lambda: written > 0)
        seen = -1
        while seen != written:
            seen = written
            await asyncio.sleep(0.3)
        assert written < 32 * MIB
        assert len(await response.read()) == 64 * MIB


async def test_an_instance_at_an_address_of_the_network(home: House) -> None:
    seen: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OK + b"content-length: 2\r\n\r\nok")

    server = await home.stack.enter_async_context(
        at_work(handle, lambda handler: asyncio.start_server(handler, "127.0.0.1", 0))
    )
    port = server.sockets[0].getsockname()[1]
    await home.route(Instance(id="ins_far", address=f"http://127.0.0.1:{port}/app/one/"))
    async with home.call("/v1?x=1") as response:
        assert await response.read() == b"ok"
    assert seen[0].startswith(b"POST /app/one/v1?x=1 HTTP/1.1\r\nhost: 127.0.0.1:%d\r\n" % port)


async def test_a_cut_answer_in_chunks_is_cut_for_the_caller(home: House) -> None:
    await raw(home, saying(OK + b"transfer-encoding: chunked\r\n\r\n5\r\nparts\r\n", closes=True))
    async with home.call("/") as response:
        assert response.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()
