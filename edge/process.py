"""The agent as a process: one for each data directory, ended by SIGTERM or Ctrl-C with everything that it started."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from edge import agent_lock
from edge.agent import Agent
from edge.options import Options, keep, read_options
from engines.local_engine import LocalEngine
from engines.package_source import PackageSource

RUNTIME = Path(__file__).parent.parent / "runtime"


def main(arguments: Sequence[str]) -> NoReturn:
    """Run until a signal, then end the process."""
    options = read_options(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    agent_lock.take(options.data)
    keep(options)
    asyncio.run(_run(options))


async def _run(options: Options) -> NoReturn:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError):
        await Agent(options, _engine(options)).run()
    # Nothing waits for a thread that downloads, or hangs: the next start goes on with what there is.
    sys.stderr.flush()
    os._exit(0)


def _engine(options: Options) -> LocalEngine:
    # Started by the main thread, and so ended with this process however that ends.
    return LocalEngine(
        data_directory=options.data,
        runtime_directory=RUNTIME,
        package_source=PackageSource(),
        isolation=options.isolation,
        die_with_parent=True,
    )
