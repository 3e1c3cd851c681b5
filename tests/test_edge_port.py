"""The port of an edge service, before an instance that is a plain socket."""

import asyncio
from collections.abc import AsyncIterator
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
