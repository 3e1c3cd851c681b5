"""How one instance is reached."""

from __future__ import annotations

import time

from engines.instance_address import address_of
from engines.instance_connection import InstanceConnection

# An idle connection is used again for less time than instances keep it open, or a request would meet one that is going
# away: the runtime closes it after 75 s, a server of somebody else's perhaps after 5 s.
KEEPALIVE_SECONDS = 2.0


class InstanceUnreachable(Exception):
    """No connection could be made, so that no byte was sent."""


class Link:
    """The connections to one instance, and how busy they are."""

    __slots__ = ("_idle", "address", "in_flight", "instance_id", "last_turn")

    def __init__(self, instance_id: str, address: str) -> None:
        self.instance_id = instance_id
        self.in_flight = 0
        self.last_turn = 0
        self.address = address_of(address)
        self._idle: list[tuple[float, InstanceConnection]] = []

    async def connect(self) -> InstanceConnection:
        """A connection that was used a moment ago, or a new one. Raises InstanceUnreachable."""
        deadline = time.monotonic() - KEEPALIVE_SECONDS
        while self._idle:
            used_at, connection = self._idle.pop()
            if used_at > deadline and connection.is_open:
                return connection
            connection.abort()
        try:
            return await self.address.open()
        except OSError as error:
            raise InstanceUnreachable(str(error)) from error

    def give_back(self, connection: InstanceConnection) -> None:
        """Keep a connection for the next request where that is possible."""
        if connection.is_reusable:
            self._idle.append((time.monotonic(), connection))
        else:
            connection.abort()

    def close(self) -> None:
        """Close the idle connections."""
        for _, connection in self._idle:
            connection.abort()
        self._idle.clear()
