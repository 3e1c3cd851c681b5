"""What is asked and answered on a connection of HTTP/1.1, read as it passes by, to know whether all is answered."""

from collections.abc import Callable, Generator, Mapping, Sequence
from http import HTTPStatus

# Longer lines are for the instance to judge, and not read on here.
LONGEST_LINE_BYTES = 64 * 1024
WITHOUT_BODY = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
Reading = Generator[None, None, None]
Fields = Mapping[bytes, bytes]


class Unreadable(Exception):
    """What comes is no HTTP/1.1, or a body that ends with its connection alone."""


class Dialogue:
    """Of an answer that is unreadable it is never seen that it is whole."""

    def __init__(self) -> None:
        # Of each question whether it asks for a head alone.
        self._asked: list[bool] = []
        self._answered = 0
        self._questions = Passage(self._read_questions)
        self._answers = Passage(self._read_answers)

    @property
    def is_answered(self) -> bool:
        """Whether each question that has a whole head has its whole answer."""
        return self._answered >= len(self._asked)

    def ask(self, data: bytes) -> None:
        self._questions.note(data)

    def answer(self, data: bytes) -> None:
        self._answers.note(data)

    def _read_questions(self, passage: "Passage") -> Reading:
        while True:
            start, fields = yield from passage.head()
            self._asked.append(start.startswith(b"HEAD "))
            yield from passage.body({b"content-length": b"0", **fields})

    def _read_answers(self, passage: "Passage") -> Reading:
        while True:
            start, fields = yield from passage.head()
            status = int(start.split()[1])
            if status < HTTPStatus.OK:
                continue
            if status not in WITHOUT_BODY and not any(self._asked[self._answered : self._answered + 1]):
                yield from passage.body(fields)
            self._answered += 1


class Passage:
    """Bytes that come in pieces: the reader goes on with each, up to what it cannot read."""

    def __init__(self, read: Callable[["Passage"], Reading]) -> None:
        self._unread = bytearray()
        self._reading: Reading | None = read(self)

    def note(self, data: bytes) -> None:
        if self._reading is None:
            return
        self._unread += data
        try:
            next(self._reading)
        except (Unreadable, ValueError, IndexError):
            self._reading = None
            self._unread.clear()

    def head(self) -> Generator[None, None, tuple[bytes, Fields]]:
        """The first line, and the fields by their names in lower case."""
        lines: list[bytes] = []
        # Empty lines before a head are none of it.
        while (line := (yield from self._line())) or not lines:
            lines += [line] if line else []
        return lines[0], _fields(lines[1:])

    def body(self, fields: Fields) -> Reading:
        """Pass over it."""
        if b"chunked" in fields.get(b"transfer-encoding", b"").lower():
            yield from self._chunks()
        elif b"content-length" in fields:
            yield from self._skip(int(fields[b"content-length"]))
        else:
            raise Unreadable

    def _chunks(self) -> Reading:
        while size_bytes := int((yield from self._line()).partition(b";")[0], 16):
            yield from self._skip(size_bytes)
            yield from self._line()
        while (yield from self._line()):
            pass

    def _line(self) -> Generator[None, None, bytes]:
        while (end := self._unread.find(b"\n")) < 0:
            if len(self._unread) > LONGEST_LINE_BYTES:
                raise Unreadable
            yield
        line = bytes(self._unread[:end])
        del self._unread[: end + 1]
        return line.rstrip(b"\r")

    def _skip(self, size_bytes: int) -> Reading:
        while size_bytes > 0:
            passed = min(size_bytes, len(self._unread))
            del self._unread[:passed]
            size_bytes -= passed
            if size_bytes:
                yield


def _fields(lines: Sequence[bytes]) -> Fields:
    parted = (line.partition(b":") for line in lines)
    return {name.strip().lower(): value.strip() for name, _, value in parted}
