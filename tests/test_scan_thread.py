"""Scans have threads of their own: they keep no other work waiting, and wait no longer than they may."""

import asyncio
import io
import pickle
import time
from collections.abc import Iterator
from threading import Event

import pytest

from artifacts.pickle_scan import FileScan, ScanState
from artifacts.scan_thread import NOT_REACHED, SCANS_AT_ONCE, ScanThreads
from tests.deadline import eventually

CLEAN = FileScan(ScanState.CLEAN, (), None)
PICKLE = pickle.dumps([1])


class HeldFile(io.BytesIO):
    """A pickle whose bytes come when they are let go."""

    def __init__(self, go_on: Event) -> None:
        super().__init__(PICKLE)
        self.go_on = go_on
        self.is_being_read = False

    def read(self, size: int | None = -1, /) -> bytes:
        self.is_being_read = True
        assert self.go_on.wait(30)
        return super().read(size)


@pytest.fixture
def threads() -> Iterator[ScanThreads]:
    threads = ScanThreads()
    yield threads
    threads.close()


async def test_scans_that_do_not_end_keep_nothing_else_waiting(threads: ScanThreads) -> None:
    go_on = Event()
    scans = [asyncio.create_task(threads.scan(HeldFile(go_on), "a.pkl", len(PICKLE))) for _ in range(200)]
    try:
        async with asyncio.timeout(20):
            assert await asyncio.to_thread(sum, [1, 2]) == 3
    finally:
        go_on.set()
    assert await asyncio.gather(*scans) == [CLEAN] * 200


async def test_a_file_whose_turn_does_not_come_in_time_is_not_scanned(threads: ScanThreads) -> None:
    go_on = Event()
    files = [HeldFile(go_on) for _ in range(SCANS_AT_ONCE)]
    busy = [asyncio.create_task(threads.scan(file, "a.pkl", len(PICKLE))) for file in files]
    await eventually(lambda: all(file.is_being_read for file in files))
    try:
        async with asyncio.timeout(20):
            late = await threads.scan(io.BytesIO(PICKLE), "b.pkl", len(PICKLE), ends_at=time.monotonic() + 0.1)
    finally:
        go_on.set()
    assert late == NOT_REACHED
    assert await asyncio.gather(*busy) == [CLEAN] * SCANS_AT_ONCE


async def test_a_scan_that_nobody_waits_for_any_more_lets_go_of_its_file_first(threads: ScanThreads) -> None:
    file = HeldFile(Event())
    scan = asyncio.create_task(threads.scan(file, "a.pkl", len(PICKLE)))
    await eventually(lambda: file.is_being_read)
    scan.cancel()
    assert (await asyncio.wait([scan], timeout=0.1))[0] == set()
    file.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await scan


async def test_what_is_over_its_time_is_told_so(threads: ScanThreads) -> None:
    assert await threads.scan(io.BytesIO(PICKLE), "a.pkl", len(PICKLE)) == CLEAN
    over = await threads.scan(io.BytesIO(PICKLE), "a.pkl", len(PICKLE), ends_at=time.monotonic() - 1)
    assert over == NOT_REACHED
