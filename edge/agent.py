"""Keeps a node's services as they were last wanted, and asks the server, as often as it answers, what is wanted now."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from edge.desired import Desired, read_desired
from edge.kept_file import read_json, write_json
from edge.node import facts
from edge.options import Options
from edge.package_store import PackageStore
from edge.replica import Workshop
from edge.server_link import ServerLink, ServerUnreachable, TokenRefused
from edge.service import Kept, Service, kept_as_json, read_kept
from edge.tools import have_uv
from engines.engine import Engine, EngineError, InstanceStatus

STATE = "services.json"
ROUND_SECONDS = 1.0
SYNC_SECONDS = 5.0
SHORTEST_SYNC_SECONDS = 0.2
REOPEN_SECONDS = 30.0
# One after the other: the machine is small, and the first one may install the builder.
CONCURRENT_BUILDS = 1
DISCARD_SECONDS = 24 * 3600.0
UNUSED_ENVIRONMENT = timedelta(days=7)
NOT_UNDERSTOOD = (KeyError, TypeError, ValueError, AttributeError)
logger = logging.getLogger("modelyard-edge-agent")


class Agent:
    """`run` until cancelled; what is wanted is kept in the data directory, and outlives it."""

    def __init__(self, options: Options, engine: Engine) -> None:
        self._options = options
        self._engine = engine
        self._link = ServerLink(options.server, options.token)
        self._asked = asyncio.Event()
        self._news = asyncio.Event()
        packages = PackageStore(options.data / "packages", self._link)
        self._workshop = Workshop(
            engine=engine,
            packages=packages,
            tools=lambda: have_uv(options.data / "tools", logger.info),
            builds=asyncio.Semaphore(CONCURRENT_BUILDS),
            log=logger.info,
            wake=self._asked.set,
        )
        self._services: dict[str, Service] = {}
        self._leaving: set[str] = set()
        self._steps: dict[str, asyncio.Task[None]] = {}
        self._told: object = None
        self._written: Mapping[str, object] = {}
        self._failure: str | None = None
        # What goes wrong beside the services, which run all the same.
        self._trouble: str | None = None
        self._keeping = asyncio.Lock()
        self._is_connected = True

    async def run(self) -> None:
        """Serve and ask until cancelled; then end everything that runs."""
        self._recall()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._keep_serving(group))
                group.create_task(self._keep_asking())
                group.create_task(self._keep_discarding())
        finally:
            await asyncio.gather(*(service.close() for service in self._services.values()), return_exceptions=True)
            await self._engine.close()

    def _recall(self) -> None:
        """What was wanted when the agent last ran."""
        for service_id, value in read_json(self._state).items():
            try:
                self._add(service_id, read_kept(value))
            except NOT_UNDERSTOOD as error:
                logger.warning("what was kept of the service %s is not understood: %r", service_id, error)

    def _add(self, service_id: str, kept: Kept) -> None:
        self._services[service_id] = Service(self._workshop, self._options.host, kept)

    @property
    def _state(self) -> Path:
        return self._options.data / STATE

    async def _keep_serving(self, group: asyncio.TaskGroup) -> None:
        await self._open()
        changed = group.create_task(self._engine.changed())
        while True:
            await self._round(group)
            asked = group.create_task(self._asked.wait())
            await asyncio.wait({asked, changed}, timeout=ROUND_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            asked.cancel()
            self._asked.clear()
            if changed.done():
                changed = group.create_task(self._engine.changed())

    async def _open(self) -> None:
        while True:
            try:
                await self._engine.open()
            except (EngineError, OSError) as error:
                self._failure = f"Nothing can run here: {error}"
                logger.warning("%s", self._failure)
                await asyncio.sleep(REOPEN_SECONDS)
            else:
                self._failure = None
                logger.info("%s", self._engine.description().isolation_note)
                return

    async def _round(self, group: asyncio.TaskGroup) -> None:
        # Before the engine is asked: a step that ends after that has changed what the engine said.
        idle = [service_id for service_id in self._services if service_id not in self._steps]
        statuses = {status.instance_id: status for status in await self._engine.statuses()}
        for service_id in idle:
            self._steps[service_id] = group.create_task(self._step(service_id, statuses))
        await self._keep()
        if self._reports() != self._told:
            self._news.set()

    async def _step(self, service_id: str, statuses: dict[str, InstanceStatus]) -> None:
        service = self._services[service_id]
        try:
            if service_id in self._leaving:
                await service.close()
                self._leaving.discard(service_id)
                del self._services[service_id]
            else:
                ports = {other.kept.port for other in self._services.values() if other is not service}
                await service.advance(
                    statuses, port_base=self._options.port_base, taken={port for port in ports if port}
                )
        except Exception:  # a service that fails in a way of its own must not take the others down
            logger.exception("the service %s was not brought further", service.name)
            await asyncio.sleep(ROUND_SECONDS)
        finally:
            del self._steps[service_id]

    async def _keep(self) -> None:
        """Write down what is to outlive the agent, where it is not what was written last."""
        async with self._keeping:
            kept = self._kept()
            if kept != self._written:
                try:
                    await asyncio.to_thread(write_json, self._state, kept)
                except OSError as error:
                    self._note_trouble(f"What is wanted here cannot be written down: {error}")
                    return
                self._written = kept
            self._trouble = None

    def _kept(self) -> dict[str, object]:
        return {
            service_id: kept_as_json(service.kept)
            for service_id, service in self._services.items()
            if service_id not in self._leaving
        }

    def _note_trouble(self, trouble: str) -> None:
        if trouble != self._trouble:
            logger.warning("%s", trouble)
        self._trouble = trouble

    async def _keep_asking(self) -> None:
        seconds = SYNC_SECONDS
        while True:
            self._news.clear()
            try:
                seconds = await self._sync()
            except (ServerUnreachable, TokenRefused) as failure:
                self._lose(failure)
                await asyncio.sleep(seconds)
                continue
            self._find()
            try:
                async with asyncio.timeout(seconds):
                    await self._news.wait()
                # What changed may go on changing.
                await asyncio.sleep(SHORTEST_SYNC_SECONDS)
            except TimeoutError:
                pass

    async def _sync(self) -> float:
        """Tell and ask once: how many seconds to wait. Raises ServerUnreachable and TokenRefused."""
        reports = self._reports()
        pending = {service_id: service.lines.to_send() for service_id, service in self._services.items()}
        logs = {service_id: log for service_id, log in pending.items() if log is not None}
        answer = await self._link.sync(
            {
                **facts(),
                "isolation": None if self._failure else self._isolation(),
                "failure": self._failure or self._trouble,
                "deployments": reports,
                "logs": [{"service_id": service_id, **log} for service_id, log in logs.items()],
            }
        )
        try:
            wanted = [read_desired(value) for value in answer["deployments"]]
            seconds = max(SHORTEST_SYNC_SECONDS, float(answer["sync_seconds"]))
        except NOT_UNDERSTOOD as error:
            raise ServerUnreachable(f"{self._options.server} speaks another protocol: {error!r}.") from error
        self._told = reports
        for service_id, log in logs.items():
            self._note_sent(service_id, log)
        await self._want(wanted)
        return seconds

    def _note_sent(self, service_id: str, log: Mapping[str, Any]) -> None:
        service = self._services.get(service_id)
        if service is not None:
            service.lines.sent(log["first_number"], len(log["lines"]))

    async def _want(self, wanted: list[Desired]) -> None:
        for desired in wanted:
            known = self._services.get(desired.service_id)
            if known is None:
                self._add(desired.service_id, Kept(None, desired, None))
            else:
                known.want(desired)
        self._leaving |= self._services.keys() - {desired.service_id for desired in wanted}
        needed = {version for service in self._services.values() for version in service.versions}
        await asyncio.to_thread(self._workshop.packages.forget_others, needed)
        await self._keep()
        self._asked.set()

    def _reports(self) -> list[dict[str, object]]:
        # Those that are leaving too: the server waits until they are gone.
        reports = [service.report() for service in self._services.values()]
        if self._failure is None:
            return reports
        return [{**report, "state": "FAILED", "reason": self._failure} for report in reports]

    def _isolation(self) -> str | None:
        try:
            return self._engine.description().isolation
        except EngineError:
            return None

    def _lose(self, failure: Exception) -> None:
        if self._is_connected:
            logger.warning("%s What runs here goes on.", failure)
        self._is_connected = False

    def _find(self) -> None:
        if not self._is_connected:
            logger.info("%s answers again.", self._options.server)
            for service in self._services.values():
                service.hurry()
        self._is_connected = True

    async def _keep_discarding(self) -> None:
        """Remove, now and then, the environments that nothing here has used for a week."""
        while True:
            await asyncio.sleep(DISCARD_SECONDS)
            try:
                await self._engine.discard_environments(kept=(), older_than=UNUSED_ENVIRONMENT)
            except (EngineError, OSError) as error:
                logger.warning("environments were not discarded: %s", error)
