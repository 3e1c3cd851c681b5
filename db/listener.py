"""Hearing notifications on a connection of its own, which is renewed when it is cut."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from db.failure import DATABASE_ERRORS, DatabaseUnavailable
from db.pool import connection

RECONNECT_SECONDS = 1.0
ALIVE_CHECK_SECONDS = 5.0


class Subscription:
    """What was heard on a channel and not taken yet: of what is gathered, each is said once."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._payloads: set[str] = set()
        self._may_have_missed = False

    async def wait(self) -> None:
        """Until there is something to take."""
        await self._event.wait()

    def take(self) -> frozenset[str] | None:
        """The payloads; None where some may have been missed, and any may have been sent."""
        payloads = None if self._may_have_missed else frozenset(self._payloads)
        self._event.clear()
        self._payloads.clear()
        self._may_have_missed = False
        return payloads

    def hear(self, payload: str) -> None:
        self._payloads.add(payload)
        self._event.set()

    def miss(self) -> None:
        """Some may have been missed."""
        self._may_have_missed = True
        self._event.set()


class Listener:
    """Tells every subscriber to a channel what is notified there, and each time after it was deaf that it was."""

    def __init__(self, dsn: str, channels: tuple[str, ...]) -> None:
        self._dsn = dsn
        self._subscribers: dict[str, set[Subscription]] = {channel: set() for channel in channels}

    @contextmanager
    def subscription(self, channel: str) -> Iterator[Subscription]:
        """To take from before looking, and to wait for after."""
        subscription = Subscription()
        self._subscribers[channel].add(subscription)
        try:
            yield subscription
        finally:
            self._subscribers[channel].discard(subscription)

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            try:
                await self._listen()
            except (DatabaseUnavailable, *DATABASE_ERRORS):
                await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen(self) -> None:
        async with connection(self._dsn, application_name="modelyard listener") as listening:
            for channel in self._subscribers:
                await listening.add_listener(channel, self._heard)
            for subscribers in self._subscribers.values():
                for subscription in subscribers:
                    subscription.miss()
            while True:
                await asyncio.sleep(ALIVE_CHECK_SECONDS)
                await listening.execute("SELECT 1", timeout=ALIVE_CHECK_SECONDS)

    def _heard(self, _connection: object, _process_id: int, channel: str, payload: object) -> None:
        for subscription in self._subscribers[channel]:
            subscription.hear(str(payload))
