"""Which instances answer for a service: the routes in memory, swapped whole when something changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from random import Random
from uuid import UUID

import structlog

from engines.instance_link import Link
from server.lookup_cache import LookupCache
from server.route import Instance, Route, RouteSource, Target

# A deployment changes many rows in a row; one reading serves them all.
COALESCE_SECONDS = 0.02
RETRY_SECONDS = 1.0

log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Choice:
    """A version that can be drawn, with the links to its ready instances."""

    target: Target
    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class Draw:
    """The version and the replica that a request goes to."""

    target: Target
    link: Link


@dataclass(frozen=True, slots=True)
class Entry:
    """A route with what can be drawn from it: `choices` by their weights, `ready` by name, which has no weight."""

    route: Route
    choices: tuple[Choice, ...]
    ready: tuple[Choice, ...]

    def named(self, version: str) -> Sequence[Choice]:
        """Those of a version. One that does not run here is for whoever answers to refuse: the path may be its own."""
        if not self.runs(version):
            return self.choices
        return [choice for choice in self.ready if choice.target.version == version]

    def runs(self, version: str) -> bool:
        return any(target.version == version for target in self.route.targets)


class RouteTable:
    """The routes in memory. Built from one reading at a time, and asked again service by service once it is too old.

    Connections belong to an instance's id and address together, so an address that comes to mean another instance is
    never reached by an old connection; an address that two workspaces claim is used for neither.
    """

    def __init__(
        self,
        source: RouteSource,
        *,
        random: Random,
        on_swap: Callable[[Collection[Route]], None],
        refresh_seconds: float = 5.0,
        oldest_seconds: float = 30.0,
    ) -> None:
        self._source = source
        self._random = random
        self._on_swap = on_swap
        self._refresh_seconds = refresh_seconds
        self._oldest_seconds = oldest_seconds
        self._entries: dict[str, Entry] = {}
        self._links: dict[Instance, Link] = {}
        self._retired: set[Link] = set()
        self._turns = count(1)
        self._read_at = float("-inf")
        self._asked: LookupCache[Route | None] = LookupCache(lifetime_seconds=0.2, capacity=1024)

    @property
    def is_fresh(self) -> bool:
        """Whether the table is young enough to be believed."""
        return time.monotonic() - self._read_at < self._oldest_seconds

    def known(self, service_id: str) -> Entry | None:
        """The service's entry, unless it is unknown or the table too old."""
        return self._entries.get(service_id) if self.is_fresh else None

    async def find(self, service_id: str) -> Entry | None:
        """The service's entry, asked for by itself."""
        route = await self._asked.get(service_id, lambda: self._source.route(service_id))
        self._admit(service_id, route)
        return self._entries.get(service_id)

    def draw(self, entry: Entry, *, version: str | None = None, failed: Draw | None = None) -> Draw | None:
        """The version that is named or one by weight, then its least busy replica.

        After a failure it is another replica, of that version first.
        """
        choices = entry.choices if version is None else entry.named(version)
        if failed is not None:
            choices = _choices_without(choices, failed)
        if not choices:
            return None
        choice = choices[0] if len(choices) == 1 else self._draw_by_weight(choices)
        link = choice.links[0] if len(choice.links) == 1 else min(choice.links, key=_business)
        link.last_turn = next(self._turns)
        return Draw(choice.target, link)

    async def refresh(self) -> None:
        """Read all routes and swap the table."""
        async with asyncio.timeout(self._refresh_seconds):
            routes = await self._source.routes()
        self._read_at = time.monotonic()
        self._swap(routes)

    async def follow(self) -> None:
        """Refresh on each change, and at least every `refresh_seconds`, until cancelled."""
        while True:
            try:
                await self.refresh()
                await self._until_changed()
                await asyncio.sleep(COALESCE_SECONDS)
            except Exception as error:  # whatever the source fails with, the next try may succeed
                log.warning("routes not refreshed", error=repr(error))
                await asyncio.sleep(RETRY_SECONDS)

    def close(self) -> None:
        for link in {*self._links.values(), *self._retired}:
            link.close()
        self._entries, self._links = {}, {}
        self._retired.clear()

    async def _until_changed(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._refresh_seconds):
                await self._source.changed()

    def _admit(self, service_id: str, route: Route | None) -> None:
        """Put one route, read by itself, in the place of what the table says of its service and addresses."""
        known = self._entries.get(service_id)
        if (known.route if known is not None else None) == route:
            return
        others = [entry.route for entry in self._entries.values() if entry.route.service_id != service_id]
        self._swap(others if route is None else [*_without_claims(others, route), route])

    def _swap(self, routes: Collection[Route]) -> None:
        disputed = _disputed_addresses(routes)
        if disputed:
            log.error("instance addresses claimed by several workspaces", addresses=sorted(disputed))
        links: dict[Instance, Link] = {}
        entries = {route.service_id: self._entry(route, links=links, disputed=disputed) for route in routes}
        self._retired.update(self._links[instance] for instance in self._links.keys() - links.keys())
        self._entries, self._links = entries, links
        self._on_swap(routes)
        self._close_finished()

    def _entry(self, route: Route, *, links: dict[Instance, Link], disputed: Collection[str]) -> Entry:
        ready = []
        for target in route.targets:
            usable = [instance for instance in target.instances if instance.address not in disputed]
            if usable:
                for instance in usable:
                    links[instance] = self._links.get(instance) or Link(instance.id, instance.address)
                ready.append(Choice(target, tuple(links[instance] for instance in usable)))
        return Entry(route, tuple(choice for choice in ready if choice.target.weight > 0), tuple(ready))

    def _close_finished(self) -> None:
        finished = {link for link in self._retired if link.in_flight == 0}
        self._retired -= finished
        for link in finished:
            link.close()

    def _draw_by_weight(self, choices: Sequence[Choice]) -> Choice:
        point = self._random.random() * sum(choice.target.weight for choice in choices)
        for choice in choices:
            point -= choice.target.weight
            if point < 0:
                return choice
        return choices[-1]


def _business(link: Link) -> tuple[int, int]:
    # Among equally busy ones the least recently used, or an idle service would only ever use its first replica.
    return link.in_flight, link.last_turn


def _choices_without(choices: Sequence[Choice], failed: Draw) -> Sequence[Choice]:
    left = [
        Choice(choice.target, tuple(link for link in choice.links if link is not failed.link)) for choice in choices
    ]
    usable = [choice for choice in left if choice.links]
    same_version = [choice for choice in usable if choice.target.model_version_id == failed.target.model_version_id]
    return same_version or usable


def _addresses(route: Route) -> Iterable[str]:
    return (instance.address for target in route.targets for instance in target.instances)


def _without_claims(others: Iterable[Route], route: Route) -> Iterable[Route]:
    """The routes that do not hold, for another workspace, an address that `route` was just found to have."""
    claimed = set(_addresses(route))
    return (
        other for other in others if other.workspace_id == route.workspace_id or claimed.isdisjoint(_addresses(other))
    )


def _disputed_addresses(routes: Iterable[Route]) -> frozenset[str]:
    owners: dict[str, UUID] = {}
    disputed = set()
    for route in routes:
        for address in _addresses(route):
            if owners.setdefault(address, route.workspace_id) != route.workspace_id:
                disputed.add(address)
    return frozenset(disputed)
