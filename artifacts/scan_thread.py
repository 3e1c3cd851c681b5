"""Scans of files beside the event loop, in threads of their own: a slow one keeps no other work waiting."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

from artifacts import worker_thread
from artifacts.pickle_scan import FileScan, ScanState, is_pickle_bearing, scan_file
from artifacts.scan_source import SCAN_SECONDS

SCANS_AT_ONCE = 2
HEAD_BYTES = 4096
NOT_REACHED = FileScan(ScanState.NOT_SCANNED, (), "there was no time left for it")


class ScanThreads:
    """A few threads that scan. Python runs one of them at a time, so more would finish nothing sooner."""

    def __init__(self, at_once: int = SCANS_AT_ONCE) -> None:
        self._executor = ThreadPoolExecutor(at_once, thread_name_prefix="scan")

    def close(self) -> None:
        """Scans that have not begun are given up; those that have end within their time."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def scan(self, file: BinaryIO, path: str, size_bytes: int, *, ends_at: float | None = None) -> FileScan:
        """What an open file's pickles name, read without unpickling. Raises what the file raises.

        A scan takes at most two minutes from where it begins. `ends_at`, a moment of `time.monotonic`, is an end to the
        wait for its turn, too: then the file is NOT_SCANNED. A cancellation is raised when the thread has let go of it.
        """
        job = self._executor.submit(_scan, file, path, size_bytes, ends_at)
        scanned = asyncio.wrap_future(job)
        try:
            await asyncio.wait([scanned], timeout=None if ends_at is None else max(0.0, ends_at - time.monotonic()))
        finally:
            # What has begun is not cancelled by it.
            is_given_up = job.cancel()
            await worker_thread.settle(scanned)
        return NOT_REACHED if is_given_up else scanned.result()


def _scan(file: BinaryIO, path: str, size_bytes: int, ends_at: float | None) -> FileScan:
    seconds = SCAN_SECONDS if ends_at is None else min(SCAN_SECONDS, ends_at - time.monotonic())
    if seconds <= 0:
        return NOT_REACHED
    head = file.read(HEAD_BYTES)
    file.seek(0)
    if not is_pickle_bearing(path, head):
        return FileScan(ScanState.CLEAN, (), "no pickle")
    return scan_file(path, file, size_bytes, seconds=seconds)
