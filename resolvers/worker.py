"""Takes background operations from the queue."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from uuid import UUID

import structlog
from pgqueuer import PgQueuer
from pgqueuer.errors import RetryRequested
from pgqueuer.models import Job

from db import operation
from db.failure import DATABASE_ERRORS
from resolvers import clean_up, model_import, model_verification
from resolvers.installation import Installation
from resolvers.operation import OperationKind, requeue_lost

# With batches of one, what has ended makes room at once: the queue writes ended jobs down in batches of this size.
BATCH_SIZE = 1
# Notifications wake the worker; this is for one that was lost with its connection.
DEQUEUE_TIMEOUT = timedelta(seconds=5)
# An operation whose worker died is taken up again after this long.
HEARTBEAT_TIMEOUT = timedelta(seconds=6)
RETRY_DELAY = timedelta(seconds=2)
STOP_SECONDS = 5.0
DATABASE_SECONDS = 1.0
REQUEUE_SECONDS = 60.0
logger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Work:
    """How operations of a kind are done: `run` by their ids, `at_once` of them in all workers together (0: any)."""

    run: Callable[[Installation, UUID], Awaitable[None]]
    at_once: int = 0


WORK: Mapping[OperationKind, Work] = MappingProxyType(
    {
        OperationKind.IMPORT_MODEL: Work(model_import.run),
        OperationKind.VERIFY_MODEL_VERSION: Work(model_verification.run, at_once=2),
        OperationKind.CLEAN_UP: Work(clean_up.run, at_once=1),
    }
)


class Worker:
    """Runs operations, each any number of times until it has ended: handlers may be repeated."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._queue = PgQueuer.from_asyncpg_pool(installation.pool)
        self._running: set[asyncio.Future[None]] = set()
        self._is_stopping = False
        for kind, work in WORK.items():
            register = self._queue.entrypoint(kind, concurrency_limit=work.at_once, accepts_context=False)
            register(self._handler(work))

    async def run(self) -> None:
        """Work until cancelled. What is under way then goes back to the queue, to be taken up by another worker."""
        working = asyncio.create_task(
            self._queue.run(
                dequeue_timeout=DEQUEUE_TIMEOUT,
                heartbeat_timeout=HEARTBEAT_TIMEOUT,
                batch_size=BATCH_SIZE,
                max_concurrent_tasks=self._installation.rules.worker_operations,
            )
        )
        requeueing = asyncio.create_task(self._keep_requeueing())
        try:
            ended, _ = await asyncio.wait({working, requeueing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            requeueing.cancel()
            await self._stop(working)
        for task in ended:
            task.result()

    async def _stop(self, working: asyncio.Task[None]) -> None:
        self._is_stopping = True
        self._queue.shutdown.set()
        for task in self._running:
            task.cancel()
        await asyncio.wait({working}, timeout=STOP_SECONDS)
        working.cancel()
        # Its failure, if any, was the reason to stop or comes of it.
        await asyncio.gather(working, return_exceptions=True)

    def _handler(self, work: Work) -> Callable[[Job], Awaitable[None]]:
        async def handle(job: Job) -> None:
            assert job.payload is not None
            await self._do(work, UUID(bytes=job.payload))

        return handle

    async def _do(self, work: Work, operation_id: UUID) -> None:
        task = asyncio.ensure_future(work.run(self._installation, operation_id))
        self._running.add(task)
        try:
            await task
        except asyncio.CancelledError:
            if not self._is_stopping:
                raise
            await operation.give_back(self._installation.pool, operation_id)
            raise RetryRequested(timedelta(0), "the worker stops") from None
        except Exception as failure:
            # The queue forgets a job whose retry it cannot write down.
            await self._until_database_answers()
            raise RetryRequested(RETRY_DELAY, repr(failure)) from failure
        finally:
            self._running.discard(task)

    async def _until_database_answers(self) -> None:
        while True:
            try:
                await self._installation.pool.execute("SELECT 1", timeout=DATABASE_SECONDS)
            except DATABASE_ERRORS:
                await asyncio.sleep(DATABASE_SECONDS)
            else:
                return

    async def _keep_requeueing(self) -> None:
        """Look each minute, until cancelled, for operations that the queue has lost."""
        while True:
            await asyncio.sleep(REQUEUE_SECONDS)
            try:
                lost = await requeue_lost(self._installation.pool)
            except DATABASE_ERRORS as error:
                logger.warning("lost operations were not looked for", error=repr(error))
                continue
            if lost:
                logger.warning("operations were put back into the queue", ids=[str(found) for found in lost])
