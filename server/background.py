"""What a process does beside answering requests, kept going."""

import asyncio
from collections.abc import Awaitable, Callable
from importlib import import_module

import structlog

from db.listener import Listener
from resolvers.auto_stop import keep_stopping
from resolvers.clean_up import keep_cleaning_up
from resolvers.installation import Installation
from resolvers.reconciler import Reconciler
from server.engine_owner import owned
from server.kept_file import engine_holder
from server.settings import Settings

RESTART_SECONDS = 2.0
logger = structlog.get_logger()


async def kept_running(name: str, start: Callable[[], Awaitable[None]]) -> None:
    """Run until cancelled; after a failure, which is logged, begin anew."""
    while True:
        try:
            await start()
        except Exception:
            logger.exception("background task failed", task=name)
        await asyncio.sleep(RESTART_SECONDS)


async def work(settings: Settings, installation: Installation, listener: Listener) -> None:
    """Take operations from the queue, tidy up, and reconcile services while this process owns the engine."""

    async def reconcile() -> None:
        async with owned(settings.data_dir):
            await Reconciler(installation, listener, engine_holder(settings.data_dir)).run()

    async def take_operations() -> None:
        # Imported beside the first requests: the queue brings half a second of imports with it.
        worker = await asyncio.to_thread(import_module, "resolvers.worker")
        await worker.Worker(installation).run()

    async with asyncio.TaskGroup() as group:
        group.create_task(kept_running("worker", take_operations))
        group.create_task(kept_running("reconciler", reconcile))
        group.create_task(kept_running("tidying", lambda: keep_cleaning_up(installation)))
        group.create_task(kept_running("auto-stop", lambda: keep_stopping(installation)))
