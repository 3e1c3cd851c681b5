"""Lines that a service's instances printed and that the server has not taken down yet."""

from collections import deque
from collections.abc import Callable
from uuid import uuid4

KEPT_LINES = 2_000
LINES_AT_ONCE = 500
LINE_LENGTH = 10_000

ReadLog = Callable[[str, int], tuple[list[str], int]]


class ServiceLog:
    """Numbers the lines from 1, so that what is sent again is known to have been sent before."""

    def __init__(self) -> None:
        self._id = str(uuid4())
        self._first_number = 1
        self._lines: deque[dict[str, str]] = deque()
        self._offsets: dict[str, int] = {}

    def read(self, read_log: ReadLog, instance_id: str, model_version_id: str) -> None:
        """Take up what an instance printed since the last time."""
        lines, self._offsets[instance_id] = read_log(instance_id, self._offsets.get(instance_id, 0))
        for line in lines:
            self._lines.append(
                {"instance_id": instance_id, "model_version_id": model_version_id, "text": line[:LINE_LENGTH]}
            )
        while len(self._lines) > KEPT_LINES:
            self._lines.popleft()
            self._first_number += 1

    def forget(self, instance_id: str) -> None:
        self._offsets.pop(instance_id, None)

    def to_send(self) -> dict[str, object] | None:
        """The oldest lines, as the server takes them; None where there is nothing to tell."""
        if not self._lines:
            return None
        lines = [self._lines[place] for place in range(min(len(self._lines), LINES_AT_ONCE))]
        return {"log_id": self._id, "first_number": self._first_number, "lines": lines}

    def sent(self, first_number: int, count: int) -> None:
        """The server has these lines; some may have been pushed out meanwhile."""
        for _ in range(max(0, first_number + count - self._first_number)):
            self._lines.popleft()
            self._first_number += 1
