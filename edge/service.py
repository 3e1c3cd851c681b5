"""One service on this node: its port, the version that is wanted, and the one that serves until that is ready."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from edge.desired import Desired, as_json, read_desired
from edge.replica import GRACE_SECONDS, Replica, Workshop
from edge.service_log import ServiceLog
from edge.service_port import ServicePort, open_free
from engines.engine import InstanceStatus


@dataclass(frozen=True, slots=True)
class Kept:
    """What outlives the agent: its port, what is wanted, and what served last where that is something else."""

    port: int | None
    desired: Desired
    served: Desired | None


class Service:
    """`advance` brings it a step nearer to what is wanted, as often as it is called."""

    def __init__(self, workshop: Workshop, host: str, kept: Kept) -> None:
        self._workshop = workshop
        self._host = host
        self._port_number = kept.port
        self._port = ServicePort(host)
        self._lines = ServiceLog()
        self._desired = kept.desired
        self._served = kept.served
        self._wanted: Replica | None = None
        self._earlier: Replica | None = None
        # What has nothing to do any more but what it began, with the version that it runs.
        self._draining: dict[asyncio.Task[None], str] = {}
        self._trouble: str | None = None

    @property
    def name(self) -> str:
        return self._desired.service_name

    @property
    def kept(self) -> Kept:
        return Kept(self._port_number, self._desired, self._served)

    @property
    def versions(self) -> set[str]:
        """The versions whose packages it needs."""
        wanted = {each.model_version_id for each in (self._desired, self._served) if each is not None}
        return wanted | set(self._draining.values())

    @property
    def lines(self) -> ServiceLog:
        return self._lines

    def want(self, desired: Desired) -> None:
        self._desired = desired

    def hurry(self) -> None:
        for each in self._replicas():
            each.hurry()

    async def advance(self, statuses: dict[str, InstanceStatus], *, port_base: int, taken: Collection[int]) -> None:
        """Raises nothing that is the service's own: that is told in `report`."""
        if not self._desired.is_running:
            await self._rest()
            return
        await self._listen(port_base, taken)
        await self._take_up()
        for each in self._replicas():
            each.read_log()
            await each.advance(statuses)
        await self._route()

    async def close(self) -> None:
        """End what runs; what is wanted stays so."""
        await self._port.close()
        await self._end_all()
        self._wanted = self._earlier = None

    def report(self) -> dict[str, object]:
        """How it is, as the server takes it."""
        serving = self._serving()
        shown = serving or self._wanted
        state = shown.state if shown else ("PENDING" if self._desired.is_running else "STOPPED")
        reason = self._trouble or (self._wanted.reason if self._wanted else None)
        return {
            "service_id": self._desired.service_id,
            "state": "FAILED" if self._trouble else state,
            "reason": reason,
            "address": self._address() if self._desired.is_running else None,
            "configuration_number": serving.desired.configuration_number if serving else None,
        }

    def _address(self) -> str | None:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return None if self._port.port is None else f"http://{host}:{self._port.port}"

    async def _rest(self) -> None:
        # The port first, so that nothing new comes in while what is under way is finished.
        self._port.address = None
        await self._end_all()
        await self._port.close()
        self._wanted = self._earlier = self._served = self._trouble = None

    async def _end_all(self) -> None:
        for each in self._replicas():
            await each.end()
        if self._draining:
            _, late = await asyncio.wait(self._draining, timeout=GRACE_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _listen(self, port_base: int, taken: Collection[int]) -> None:
        if self._port.port is not None:
            return
        try:
            await open_free(self._port, self._port_number or port_base, taken)
        except OSError as error:
            self._trouble = f"Nothing can listen on {self._host}: {error}"
        else:
            self._port_number, self._trouble = self._port.port, None

    async def _take_up(self) -> None:
        """Have a replica of what is wanted and, until it is ready, one of what served last."""
        if self._wanted is not None and self._wanted.desired.runs_as(self._desired):
            self._wanted.desired = self._desired
        elif self._earlier is not None and self._earlier.desired.runs_as(self._desired):
            # Back to what still serves: there is nothing to start.
            if self._wanted is not None:
                await self._wanted.end()
            self._wanted, self._earlier = self._earlier, None
            self._wanted.desired = self._desired
        else:
            await self._exchange()
        if self._earlier is None and self._served is not None and not self._served.runs_as(self._desired):
            self._earlier = self._new(self._served)

    async def _exchange(self) -> None:
        if self._wanted is not None and self._wanted.is_ready and self._earlier is None:
            self._earlier = self._wanted
        elif self._wanted is not None:
            await self._wanted.end()
        self._wanted = self._new(self._desired)

    async def _route(self) -> None:
        serving = self._serving()
        self._port.address = serving.address if serving else None
        self._port.timeout_seconds = self._desired.timeout_seconds
        if self._wanted is not None and self._wanted.is_ready:
            self._served = self._desired
            if self._earlier is not None:
                await self._let_go(self._earlier)
                self._earlier = None

    async def _let_go(self, replica: Replica) -> None:
        """End what another has taken over from; its predictions are finished while everything else goes on."""
        if not replica.is_ready:
            await replica.end()
            return
        task = asyncio.create_task(replica.drain())
        self._draining[task] = replica.desired.model_version_id
        task.add_done_callback(self._draining.pop)

    def _serving(self) -> Replica | None:
        return next((each for each in self._replicas() if each.is_ready), None)

    def _replicas(self) -> list[Replica]:
        return [each for each in (self._wanted, self._earlier) if each is not None]

    def _new(self, desired: Desired) -> Replica:
        return Replica(self._workshop, self._lines, desired)


def kept_as_json(kept: Kept) -> dict[str, object]:
    served = as_json(kept.served) if kept.served else None
    return {"port": kept.port, "desired": as_json(kept.desired), "served": served}


def read_kept(value: Mapping[str, Any]) -> Kept:
    """Raises KeyError, TypeError and ValueError for what is none."""
    served = read_desired(value["served"]) if value["served"] else None
    return Kept(value["port"], read_desired(value["desired"]), served)
