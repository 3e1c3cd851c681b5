"""Asks the ready instances of one service: so many requests at once, each of the instance with the least to do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import orjson
import structlog

from artifacts.json_node import printable
from db import service_instance
from db.failure import DATABASE_ERRORS
from engines.instance_client import (
    AnswerRoom,
    AnswerTooLarge,
    InstanceAnswer,
    InstanceClient,
    InstanceGone,
    InstanceRequest,
)
from engines.instance_link import Link
from resolvers.batch_failure import InputFailed
from resolvers.batch_file import Room
from resolvers.errors import ErrorCode
from resolvers.installation import Installation

LOOK_SECONDS = 0.25
BUSY_SECONDS = 1.0
# The last attempt has the instances to itself: whoever brought them down before is then known.
ATTEMPTS = 3
BUSY = 503
MESSAGE_LENGTH = 2_000
logger = structlog.get_logger()


class _Instance:
    """One that may be asked. Once it is retired, its connections close when nothing is under way any more."""

    def __init__(self, link: Link, client: InstanceClient) -> None:
        self._link = link
        self._client = client
        self._is_retired = False

    @property
    def in_flight(self) -> int:
        return self._link.in_flight

    async def ask(self, request: InstanceRequest, room: AnswerRoom) -> InstanceAnswer:
        self._link.in_flight += 1
        try:
            return await self._client.ask(request, room)
        finally:
            self._link.in_flight -= 1
            if self._is_retired:
                self.retire()

    def retire(self) -> None:
        self._is_retired = True
        if not self.in_flight:
            self._link.close()


class BatchDispatcher:
    """Asks while `follow` runs."""

    def __init__(self, installation: Installation, workspace_id: UUID, service_id: UUID, *, at_once: int) -> None:
        self._installation = installation
        self._service = (workspace_id, service_id)
        self._at_once = at_once
        self._turns = asyncio.Semaphore(at_once)
        self._alone = asyncio.Lock()
        self._instances: dict[UUID, _Instance] = {}
        self._is_ready = asyncio.Event()

    async def follow(self) -> None:
        """Know which instances are ready, until cancelled."""
        try:
            while True:
                try:
                    await self._look()
                except DATABASE_ERRORS as failure:
                    logger.warning(
                        "instances were not looked at", service_id=str(self._service[1]), error=repr(failure)
                    )
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            for instance in self._instances.values():
                instance.retire()

    async def ask(self, request: InstanceRequest, room: Room) -> bytes:
        """What an instance answers, however long there is none; a large answer takes the room. Raises InputFailed."""
        reason = ""
        for attempt in range(1, ATTEMPTS + 1):
            async with self._turn(is_alone=attempt == ATTEMPTS):
                try:
                    answer = await self._ask_any(request, room)
                except InstanceGone as gone:
                    # Whoever waits for its turn keeps no room from those whose turn it is.
                    await room.give_back()
                    reason = f"The instance ended while it was asked: {gone}"
                    continue
                except AnswerTooLarge as failure:
                    raise InputFailed(ErrorCode.PREDICTION_FAILED, str(failure)) from failure
            if answer.status != BUSY:
                return _body(answer)
            await room.give_back()
            reason = _told(answer)
            await asyncio.sleep(BUSY_SECONDS)
        raise InputFailed(ErrorCode.INSTANCE_LOST, f"{reason} ({ATTEMPTS} attempts)")

    @asynccontextmanager
    async def _turn(self, *, is_alone: bool) -> AsyncIterator[None]:
        if not is_alone:
            # Nobody begins while somebody is, or waits to be, alone.
            async with self._alone:
                await self._turns.acquire()
            try:
                yield
            finally:
                self._turns.release()
            return
        async with self._alone:
            taken = 0
            try:
                for _ in range(self._at_once):
                    await self._turns.acquire()
                    taken += 1
                yield
            finally:
                for _ in range(taken):
                    self._turns.release()

    async def _ask_any(self, request: InstanceRequest, room: Room) -> InstanceAnswer:
        """Raises InstanceGone where an instance may have begun with the request, and AnswerTooLarge."""
        while True:
            while not self._instances:
                await self._is_ready.wait()
            instance_id, instance = min(self._instances.items(), key=lambda known: known[1].in_flight)
            try:
                return await instance.ask(request, room)
            except InstanceGone as gone:
                self._retire(instance_id, instance)
                if gone.may_have_begun:
                    raise

    async def _look(self) -> None:
        rows = await service_instance.of_service(self._installation.pool, *self._service)
        ready = {row["id"]: row["address"] for row in rows if row["state"] == "READY" and row["address"]}
        for instance_id in self._instances.keys() - ready.keys():
            self._retire(instance_id, self._instances[instance_id])
        for instance_id in ready.keys() - self._instances.keys():
            self._instances[instance_id] = self._instance(instance_id, ready[instance_id])
            self._is_ready.set()

    def _instance(self, instance_id: UUID, address: str) -> _Instance:
        rules = self._installation.rules
        link = Link(str(instance_id), address)
        client = InstanceClient(
            link,
            timeout_seconds=rules.prediction_timeout_seconds,
            max_answer_bytes=rules.prediction_max_body_bytes,
        )
        return _Instance(link, client)

    def _retire(self, instance_id: UUID, instance: _Instance) -> None:
        """Until the next look shows it ready again."""
        if self._instances.get(instance_id) is instance:
            del self._instances[instance_id]
        if not self._instances:
            self._is_ready.clear()
        instance.retire()


def _body(answer: InstanceAnswer) -> bytes:
    if answer.status >= 400:
        raise InputFailed(ErrorCode.PREDICTION_FAILED, f"The model answered {answer.status}: {_told(answer)}")
    return answer.body


def _told(answer: InstanceAnswer) -> str:
    try:
        message = orjson.loads(answer.body)["message"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        message = answer.body.decode(errors="replace")
    return printable(str(message))[:MESSAGE_LENGTH]
