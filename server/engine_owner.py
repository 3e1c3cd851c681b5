"""One process at a time owns the local engine of a data directory; others wait for it to end."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

POLL_SECONDS = 0.5
logger = structlog.get_logger()


@asynccontextmanager
async def owned(data_dir: Path) -> AsyncIterator[None]:
    """Hold the engine's lock, which ends with the process too."""
    # Closed to others: who can open it can lock it, and keep the next server waiting.
    descriptor = os.open(data_dir / "engine.lock", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not _take(descriptor):
            logger.info("another process runs the services here; this one stands by")
            while not _take(descriptor):
                await asyncio.sleep(POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
