"""A batch run from where it is to its end: lists the inputs, asks for each, writes the results."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TypeVar, cast
from uuid import UUID

import orjson
import structlog
from asyncpg import Record

from artifacts.object_store import StoreError
from db import batch_configuration, batch_input, batch_run, operation, service
from db.failure import DATABASE_ERRORS
from resolvers.batch_answer import BatchAnswers
from resolvers.batch_configuration import (
    RESULT_MANIFEST,
    BatchConfiguration,
    BatchInputKind,
)
from resolvers.batch_dispatch import BatchDispatcher
from resolvers.batch_failure import RunFailed
from resolvers.batch_journal import BatchJournal
from resolvers.batch_listing import forget_old, list_inputs
from resolvers.batch_memory import BatchMemory
from resolvers.errors import ErrorCode
from resolvers.installation import Installation
from resolvers.operation_attempt import problem_row
from resolvers.service_observation import ACTOR
from resolvers.transaction import transaction

PAGE = 500
RETRY_SECONDS = 5.0
logger = structlog.get_logger()
Failure = TypeVar("Failure", bound=BaseException)


class _Pending:
    """The inputs of a run that have not ended, in their order, for several workers."""

    def __init__(self, installation: Installation, run: Record) -> None:
        self._pool = installation.pool
        self._identity = (run["workspace_id"], run["id"])
        self._after = 0
        self._page: deque[Record] = deque()
        self._turning = asyncio.Lock()

    async def next(self) -> Record | None:
        async with self._turning:
            if not self._page:
                await self._turn()
            return self._page.popleft() if self._page else None

    async def _turn(self) -> None:
        self._page.extend(await batch_input.pending(self._pool, *self._identity, after=self._after, limit=PAGE))
        if self._page:
            self._after = self._page[-1]["number"]
            # Before any of them is asked: after a crash it is known which may have a result already.
            await batch_run.claim(self._pool, *self._identity, self._after)


class BatchDrive:
    """For the owner of the engine alone. `wait_reason` says what keeps it from going on, where something does."""

    def __init__(self, installation: Installation, run: Record, memory: BatchMemory) -> None:
        self._installation = installation
        self._pool = installation.pool
        self._workspace_id: UUID = run["workspace_id"]
        self._service_id: UUID = run["service_id"]
        self.run_id: UUID = run["id"]
        self._memory = memory
        self._task: asyncio.Task[None] | None = None
        self.is_over = False
        self.wait_reason: str | None = None

    async def run(self) -> None:
        """Go on until the run has ended or is let go of. What fails for a reason that may pass is tried again."""
        if self.is_over:
            return
        self._task = asyncio.current_task()
        try:
            while not await self._try():
                await asyncio.sleep(RETRY_SECONDS)
        finally:
            self.is_over = True

    async def let_go(self) -> None:
        """End it where it is; what is under way is asked again when the run goes on. Nothing is written after this."""
        self.is_over = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _try(self) -> bool:
        """Whether the run has ended."""
        told = {"run_id": str(self.run_id)}
        try:
            await self._go_on()
            return True
        except* StoreError as failures:
            await self._wait_for(str(_first(failures)))
        except* DATABASE_ERRORS as failures:
            logger.warning("a batch run waits for the database", error=repr(_first(failures)), **told)
        except* Exception as failures:
            logger.exception("a batch run broke off", exc_info=_first(failures), **told)
            await self._wait_for("The run met with a failure of the server's own; its log tells more.")
        return False

    async def _wait_for(self, reason: str) -> None:
        """Have the service say why it does not go on."""
        self.wait_reason = reason
        with suppress(*DATABASE_ERRORS):
            await service.notify(self._pool, self._service_id)

    async def _go_on(self) -> None:
        try:
            await self._list_and_ask(await self._row())
        except RunFailed as failure:
            await self._end("FAILED", failure.problem)

    async def _list_and_ask(self, run: Record) -> None:
        row = await batch_configuration.find(self._pool, self._workspace_id, run["service_configuration_id"])
        assert row is not None
        configuration = BatchConfiguration.of(row)
        if run["state"] == "LISTING":
            await self._list(run, configuration)
            run = await self._row()
        await self._ask_all(run, configuration)
        if configuration.input_kind is BatchInputKind.MANIFEST:
            await self._write_manifest(configuration)
        await self._finish(await self._row())

    async def _list(self, run: Record, configuration: BatchConfiguration) -> None:
        await operation.advance_subject(self._pool, self._workspace_id, self._service_id, "LISTING", None)
        await forget_old(self._installation, run)
        await list_inputs(self._installation, run, configuration)
        async with transaction(self._pool, self._workspace_id, ACTOR) as unit:
            inputs = await batch_run.note_listed(unit.connection, self._workspace_id, self.run_id)
            unit.record("BATCH_RUN_STARTED", self._service_id, number=run["number"], inputs=inputs)
            await service.notify(unit.connection, self._service_id)
        self.wait_reason = None

    async def _ask_all(self, run: Record, configuration: BatchConfiguration) -> None:
        at_once = configuration.max_concurrency
        dispatcher = BatchDispatcher(self._installation, self._workspace_id, self._service_id, at_once=at_once)
        journal = BatchJournal(self._pool, run)
        answers = BatchAnswers(
            self._installation,
            run,
            configuration,
            dispatcher=dispatcher,
            journal=journal,
            memory=self._memory,
        )
        async with asyncio.TaskGroup() as group:
            beside = [group.create_task(dispatcher.follow()), group.create_task(journal.keep_flushing())]
            pending = _Pending(self._installation, run)
            async with asyncio.TaskGroup() as workers:
                for _ in range(at_once):
                    workers.create_task(self._work(pending, answers, run["claimed_number"]))
            await journal.flush()
            for task in beside:
                task.cancel()

    async def _work(self, pending: _Pending, answers: BatchAnswers, claimed_number: int) -> None:
        while (row := await pending.next()) is not None:
            await answers.answer(row, may_be_done=row["number"] <= claimed_number)
            self.wait_reason = None

    async def _row(self) -> Record:
        row = await batch_run.find(self._pool, self._workspace_id, self.run_id)
        assert row is not None
        return row

    async def _write_manifest(self, configuration: BatchConfiguration) -> None:
        store = self._installation.stores[configuration.output.store]
        await store.put(f"{configuration.output.key}/{RESULT_MANIFEST}", self._manifest_lines())

    async def _manifest_lines(self) -> AsyncIterator[bytes]:
        """A line for each input that the manifest named, in the form of ModelArts' infer-result-….manifest."""
        after = 0
        while page := await batch_input.page(self._pool, self._workspace_id, self.run_id, after=after, limit=PAGE):
            after = page[-1]["number"]
            yield b"".join(orjson.dumps(self._manifest_line(row)) + b"\n" for row in page)

    def _manifest_line(self, row: Record) -> dict[str, object]:
        line: dict[str, object] = {"source": row["written"]}
        if row["result_key"] is not None:
            line["inference-loc"] = self._address(row["result_store"], row["result_key"])
        line["result"] = "SUCCESSFUL" if row["state"] == "SUCCEEDED" else "FAILED"
        if row["error"] is not None:
            line["error_message"] = row["error"]["message"]
        return line

    def _address(self, store: str, key: str) -> str:
        """As a manifest can name it again."""
        bucket = self._installation.stores[store].bucket
        return f"obs://{bucket[0]}/{bucket[1]}{key}" if bucket else f"obs://{store}/{key}"

    async def _finish(self, run: Record) -> None:
        is_failed = run["failed_count"] == run["input_count"]
        problem = problem_row(ErrorCode.PREDICTION_FAILED, failures_told(run)) if is_failed else None
        await self._end("FAILED" if is_failed else "FINISHED", problem)

    async def _end(self, state: str, problem: dict[str, object] | None) -> None:
        run = await self._row()
        async with transaction(self._pool, self._workspace_id, ACTOR) as unit:
            if not await batch_run.finish(unit.connection, self._workspace_id, self.run_id, state, problem):
                return
            unit.record(
                f"BATCH_RUN_{state}",
                self._service_id,
                number=run["number"],
                inputs=run["input_count"],
                failed=run["failed_count"],
                message=problem and problem["message"],
            )
            await service.notify(unit.connection, self._service_id)


def failures_told(run: Record) -> str:
    """One sentence on how many inputs failed, of some that did."""
    failed, inputs = run["failed_count"], run["input_count"]
    if failed == inputs:
        return "The only input failed." if inputs == 1 else f"All {inputs:,} inputs failed."
    return f"{failed:,} of {inputs:,} inputs failed."


def _first(failures: BaseExceptionGroup[Failure]) -> Failure:
    found: BaseException = failures
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return cast(Failure, found)
