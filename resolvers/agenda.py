"""Which services the reconciler looks at next: at once those of which something is heard, the others now and then."""

import time
from collections.abc import Collection, Mapping
from enum import Enum, auto
from typing import assert_never
from uuid import UUID

from asyncpg import Record

from db import service, service_instance
from db.connection import Pool
from engines.engine import InstanceState, InstanceStatus

UNSETTLED_SECONDS = 1.0
ALL_SECONDS = 30.0
# So much too early a timer may go off.
TIMER_SECONDS = 0.001


class Scope(Enum):
    """Which services a round looks at beside those of which something is heard.

    UNSETTLED are those that are not yet what they should be: what they wait for, as room in a pool, names them not.
    ALL is the net below, for whatever was not heard.
    """

    NONE = auto()
    UNSETTLED = auto()
    ALL = auto()


class Agenda:
    """A service is heard of when a notification names it, and when one of its instances has changed."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._postponed: set[UUID] = set()
        self._states: dict[str, InstanceState] = {}
        self._unsettled_at = self._all_at = 0.0

    def doubt(self) -> None:
        """A round broke off, and what it was to look at is lost: the next one looks at all."""
        self._all_at = 0.0

    def postpone(self, service_id: UUID) -> None:
        """Look at a service in the first round that it is not busy in."""
        self._postponed.add(service_id)

    def seconds_left(self) -> float:
        """Until the next round is due, even if nothing is heard."""
        return max(0.0, min(self._unsettled_at, self._all_at) - time.monotonic()) + TIMER_SECONDS

    def scope(self, *, is_deaf: bool) -> Scope:
        """That of a round that begins now. Who was deaf may have missed anything."""
        now = time.monotonic()
        if not is_deaf and now < min(self._unsettled_at, self._all_at):
            return Scope.NONE
        self._unsettled_at = now + UNSETTLED_SECONDS
        if not is_deaf and now < self._all_at:
            return Scope.UNSETTLED
        self._all_at = now + ALL_SECONDS
        return Scope.ALL

    def changed(self, statuses: Mapping[str, InstanceStatus]) -> set[str]:
        """The instances that came, went or are in another state since this was last asked."""
        states = {instance_id: status.state for instance_id, status in statuses.items()}
        changed = {instance_id for instance_id, _ in states.items() ^ self._states.items()}
        self._states = states
        return changed

    async def rows(
        self,
        scope: Scope,
        heard: Collection[str],
        changed: Collection[str],
        busy: Collection[UUID],
    ) -> list[Record]:
        """Rows of `db.service`. `heard` are the ids that notifications named, `changed` those of instances, `busy` the
        services with a step under way. What is no id may mean any service: then all are looked at.
        """
        free = self._postponed.difference(busy)
        self._postponed -= free
        ids = _ids(heard)
        named = {*free, *(ids or ()), *await self._services(changed)}
        match Scope.ALL if ids is None else scope:
            case Scope.NONE:
                return await service.reconciled_of(self._pool, named) if named else []
            case Scope.UNSETTLED:
                return await service.unsettled(self._pool, named)
            case Scope.ALL:
                return await service.reconciled(self._pool)
            case _:
                assert_never(scope)

    async def _services(self, changed: Collection[str]) -> set[UUID]:
        return await service_instance.services_of(self._pool, [*map(UUID, changed)]) if changed else set()


def _ids(heard: Collection[str]) -> set[UUID] | None:
    """None where one is no id."""
    try:
        return {UUID(each) for each in heard}
    except ValueError:
        return None
