"""The port of an edge service, before an instance that is a plain socket."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from edge import service_port
from edge.service_port import ServicePort
from tests.api import free_port
from tests.plain_http import NO_TLS

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def answer_each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer every head."""
    try:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(ANSWER)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


@asynccontextmanager
async def opened(socket: Path | None) -> AsyncIterator[ServicePort]:
    """A port; `socket` is where its instance listens."""
    port = ServicePort("127.0.0.1")
    port.address = None if socket is None else str(socket)
    await port.open(free_port())
    try:
        yield port
    finally:
        await port.close()


@asynccontextmanager
async def with_instance(folder: Path) -> AsyncIterator[ServicePort]:
    socket = folder / "socket"
    async with await asyncio.start_unix_server(answer_each, socket), opened(socket) as port:
        yield port


async def _is_closed(reader: asyncio.StreamReader) -> bool:
    async with asyncio.timeout(10):
        try:
            return await reader.read(1) == b""
        except ConnectionError:
            return True


async def test_a_client_that_does_not_finish_its_head_does_not_keep_its_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_port, "HEAD_SECONDS", 0.3)
    async with with_instance(tmp_path) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port.port)
        writer.write(HEAD[:-2])
        assert await _is_closed(reader)
        writer.close()


async def test_nor_does_one_that_does_not_finish_a_later_head_or_that_takes_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_port, "MARGIN_SECONDS", 0.5)
    async with with_instance(tmp_path) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port.port)
        for _ in range(3):
            for part in (HEAD[:5], HEAD[5:]):
                writer.write(part)
                await writer.drain()
            assert await reader.readexactly(len(ANSWER)) == ANSWER
        writer.write(HEAD[:-2])
        assert await _is_closed(reader)
        writer.close()


async def test_whoever_is_refused_is_told_nothing_of_the_package() -> None:
    async with opened(None) as port, httpx.AsyncClient(verify=NO_TLS) as client:
        answer = await client.get(f"http://127.0.0.1:{port.port}/")
    assert answer.status_code == 503
    assert answer.json() == {"code": "SERVICE_NOT_RUNNING", "message": "The service is not ready."}


def chunked(*chunks: bytes) -> bytes:
    return b"".join(b"%x;a=b\r\n%b\r\n" % (len(chunk), chunk) for chunk in (*chunks, b"")).removesuffix(b"\r\n")


CHUNKED = b"Transfer-Encoding: Chunked\r\n\r\n" + chunked(HEAD, b"more") + b"Trailer: x\r\n\r\n"
QUESTION_WITH_BODY = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(HEAD) + HEAD
# What is asked, and what of the answers comes at once and what after a while.
DIALOGUES = {
    "two questions": (HEAD + HEAD, (ANSWER, ANSWER)),
    "an answer in pieces": (HEAD, (ANSWER[:10], ANSWER[10:-1], ANSWER[-1:])),
    "bodies of known length": (QUESTION_WITH_BODY + b"\r\n" + HEAD, (ANSWER, ANSWER)),
    "bodies in chunks": (
        b"POST / HTTP/1.1\r\n" + CHUNKED + HEAD,
        (b"HTTP/1.1 200 OK\r\n" + CHUNKED[:-4], CHUNKED[-4:], ANSWER),
    ),
    "answers without a body": (
        b"HEAD / HTTP/1.1\r\n\r\n" + HEAD + HEAD,
        (ANSWER[:-2], b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", ANSWER),
    ),
}


@asynccontextmanager
async def hesitating(
    folder: Path, asked: bytes, answers: Sequence[bytes], pause_seconds: float
) -> AsyncIterator[ServicePort]:
    """A port whose instance answers piece by piece, keeps the connection, and leaves as soon as its client does."""
    has_left = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(asked))
        leaving = asyncio.create_task(reader.read())
        for piece in answers:
            writer.write(piece)
            if (await asyncio.wait({leaving}, timeout=pause_seconds))[0]:
                break
        await leaving
        writer.close()
        await writer.wait_closed()
        has_left.set()

    async with await asyncio.start_unix_server(answer, folder / "socket"), opened(folder / "socket") as port:
        yield port
        async with asyncio.timeout(10):
            await has_left.wait()


async def heard_after_saying_all(port: ServicePort, asked: bytes) -> bytes:
    """What a client is told that ends its side at once, until the port ends the other."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port.port)
    writer.write(asked)
    writer.write_eof()
    async with asyncio.timeout(15):
        heard = await reader.read()
    writer.close()
    await writer.wait_closed()
    return heard


@pytest.mark.parametrize(("asked", "answers"), DIALOGUES.values(), ids=DIALOGUES.keys())
async def test_a_client_that_has_said_all_is_told_all_and_let_go(
    tmp_path: Path, asked: bytes, answers: Sequence[bytes]
) -> None:
    async with hesitating(tmp_path, asked, answers, pause_seconds=0.3) as port:
        assert await heard_after_saying_all(port, asked) == b"".join(answers)


async def test_nor_does_it_lose_an_answer_that_takes_some_seconds(tmp_path: Path) -> None:
    answers = (ANSWER, ANSWER[:10], ANSWER[10:])
    async with hesitating(tmp_path, HEAD + HEAD, answers, pause_seconds=4.5) as port:
        assert await heard_after_saying_all(port, HEAD + HEAD) == ANSWER + ANSWER
