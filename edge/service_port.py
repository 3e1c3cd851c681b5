"""A service's own port: passes the bytes of each connection through to the instance that serves now."""

import asyncio
import errno
import json
from collections.abc import Callable, Collection
from contextlib import suppress

from edge.dialogue import Dialogue

CHUNK_BYTES = 64 * 1024
CONNECTIONS = 512
# How often it is looked whether a client that has said everything has its whole answer.
LOOK_SECONDS = 0.1
LEAVE_SECONDS = 2.0
# How long a client may take for its first head: until then it has a connection that somebody else may need.
HEAD_SECONDS = 15.0
# More than an instance takes for a body and a prediction, each of which it bounds itself.
MARGIN_SECONDS = 30.0
HEAD_ENDS = (b"\r\n\r\n", b"\n\n")
LAST_PORT = 65_535


class ServicePort:
    """Listens from `open` to `close`. While `address`, an instance's Unix socket, is None it answers 503."""

    def __init__(self, host: str) -> None:
        self.address: str | None = None
        # The longest that a prediction may take.
        self.timeout_seconds = 0.0
        self.port: int | None = None
        self._host = host
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def open(self, port: int) -> None:
        """Raises OSError where the port is taken."""
        self._server = await asyncio.start_server(self._accept, self._host, port, limit=CHUNK_BYTES)
        self.port = port

    async def close(self) -> None:
        """Take no more connections, and end those that there are."""
        if self._server is None:
            return
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()
        self._server = self.port = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._answer(reader, writer)
        except (OSError, asyncio.CancelledError):
            # The client went away, or the port is closed: nobody is left to be told.
            writer.transport.abort()
        finally:
            self._connections.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.address is None:
            # Why is told to the server alone: whoever reaches the port is anybody.
            await _refuse(reader, writer, "The service is not ready.")
        elif len(self._connections) > CONNECTIONS:
            await _refuse(reader, writer, f"There are more than {CONNECTIONS} connections.")
        else:
            async with asyncio.timeout(HEAD_SECONDS):
                head = await _read_head(reader)
            if head:
                await self._pass_on(head, reader, writer)

    async def _pass_on(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self.address is None:
                raise ConnectionRefusedError
            instance_reader, instance_writer = await asyncio.open_unix_connection(self.address, limit=CHUNK_BYTES)
        except OSError:
            await _refuse(reader, writer, "The instance does not take the connection.")
            return
        instance_writer.write(head)
        try:
            async with asyncio.timeout(None) as deadline:
                turns = Turns(deadline, 2 * self.timeout_seconds + MARGIN_SECONDS)
                turns.note_question(head)
                await _pass_through(turns, reader, writer, instance_reader, instance_writer)
        finally:
            instance_writer.close()


class Turns:
    """Who asks is to be answered in time, from the first byte of the question on, and to take the answer in time."""

    def __init__(self, deadline: asyncio.Timeout, seconds: float) -> None:
        self._deadline = deadline
        self._seconds = seconds
        self._is_asking = False
        self._dialogue = Dialogue()

    @property
    def is_answered(self) -> bool:
        # Also what is no question, as a head that is too long, has its answer.
        return not self._is_asking and self._dialogue.is_answered

    def note_question(self, data: bytes) -> None:
        self._dialogue.ask(data)
        if not self._is_asking:
            self._is_asking = True
            self._prolong()

    def note_answer(self, data: bytes) -> None:
        self._dialogue.answer(data)
        self._is_asking = False
        self._prolong()

    def _prolong(self) -> None:
        self._deadline.reschedule(asyncio.get_running_loop().time() + self._seconds)


async def open_free(port: ServicePort, wanted: int, taken: Collection[int]) -> None:
    """Open a port at `wanted`, or at the next one that is neither taken here nor by somebody else. Raises OSError."""
    for number in range(wanted, LAST_PORT + 1):
        if number in taken:
            continue
        try:
            await port.open(number)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            return
    raise OSError(errno.EADDRINUSE, f"No port from {wanted} on is free.")


async def _read_head(reader: asyncio.StreamReader) -> bytes:
    """What a client says up to the end of its first head, and maybe more; an instance judges one that is too long.

    Nothing where the client ends before its head does: it asks for nothing.
    """
    head = b""
    while len(head) < CHUNK_BYTES and not any(end in head for end in HEAD_ENDS):
        chunk = await reader.read(CHUNK_BYTES)
        if not chunk:
            return b""
        head += chunk
    return head


async def _pass_through(
    turns: Turns,
    client_reader: asyncio.StreamReader,
    client_writer: asyncio.StreamWriter,
    instance_reader: asyncio.StreamReader,
    instance_writer: asyncio.StreamWriter,
) -> None:
    asking = asyncio.create_task(_copy(client_reader, instance_writer, turns.note_question))
    answering = asyncio.create_task(_copy(instance_reader, client_writer, turns.note_answer))
    try:
        await asyncio.wait({asking, answering}, return_when=asyncio.FIRST_COMPLETED)
        if not answering.done() and asking.exception() is None:
            await _hear_out(turns, answering, client_writer)
        elif not asking.done() and answering.exception() is None:
            asking.cancel()
            await asyncio.wait({asking})
            await _take_leave(client_reader, client_writer)
    finally:
        for task in (asking, answering):
            task.cancel()
        await asyncio.gather(asking, answering, return_exceptions=True)


async def _hear_out(turns: Turns, answering: "asyncio.Task[None]", client_writer: asyncio.StreamWriter) -> None:
    """Whoever has said everything still listens; told of that, the instance would break its answer off.

    Most of them are gone, which only shows where there is more to tell them: so it ends when all is answered.
    """
    while not answering.done():
        has_taken_all = client_writer.transport.get_write_buffer_size() == 0
        if turns.is_answered and has_taken_all:
            return
        await asyncio.wait({answering}, timeout=LOOK_SECONDS)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, note: Callable[[bytes], None]) -> None:
    while chunk := await reader.read(CHUNK_BYTES):
        note(chunk)
        writer.write(chunk)
        await writer.drain()


async def _refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, reason: str) -> None:
    body = json.dumps({"code": "SERVICE_NOT_RUNNING", "message": reason}).encode()
    head = (
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    writer.write(head.encode() + body)
    await writer.drain()
    await _take_leave(reader, writer)


async def _take_leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End what is said. A connection that is closed on unread bytes is reset, and the answer with it."""
    writer.write_eof()
    with suppress(TimeoutError):
        async with asyncio.timeout(LEAVE_SECONDS):
            while await reader.read(CHUNK_BYTES):
                pass
