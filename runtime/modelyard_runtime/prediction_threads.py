"""The threads that predictions run in: package code is synchronous and must not stop the event loop."""

import asyncio
import queue
import threading
from collections.abc import Awaitable, Callable

from modelyard_runtime.exchange import Response
from modelyard_runtime.request_error import ClientGoneError, ErrorCode, RequestError

WAITING_LIMIT = 256


class _Job:
    """One prediction; touched by the loop's thread, but for `is_running`."""

    __slots__ = ("future", "is_abandoned", "is_running", "predict")

    def __init__(self, predict: Callable[[], Response], future: asyncio.Future[Response]) -> None:
        self.predict = predict
        self.future = future
        self.is_running = False
        self.is_abandoned = False


class PredictionThreads:
    """A fixed number of daemon threads, which therefore never keep the process alive.

    Not concurrent.futures: its threads are joined at exit, so that one prediction that hangs would hang the exit too.
    """

    def __init__(self, *, count: int, timeout_seconds: float) -> None:
        self._count = count
        self._timeout_seconds = timeout_seconds
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._unfinished = 0
        self._abandoned = 0

    @property
    def are_stuck(self) -> bool:
        """Whether every thread is busy with a prediction that has already outrun the limit."""
        return self._abandoned >= self._count

    def start(self) -> None:
        for number in range(self._count):
            threading.Thread(target=self._work, name=f"prediction-{number}", daemon=True).start()

    async def run(self, predict: Callable[[], Response], gone: Callable[[], Awaitable[object]]) -> Response:
        """Raises RequestError: INSTANCE_BUSY or PREDICTION_TIMED_OUT. `predict` itself raises nothing.

        `gone` returns when the caller has gone away: what has not begun by then never does (ClientGoneError).
        """
        if self.are_stuck or self._unfinished >= self._count + WAITING_LIMIT:
            raise RequestError(ErrorCode.INSTANCE_BUSY, "Too many predictions are unfinished; try again.")
        loop = asyncio.get_running_loop()
        job = _Job(predict, loop.create_future())
        timer = loop.call_later(self._timeout_seconds, self._expire, job)
        # One that begins at once cannot be broken off: nobody has to watch for it.
        watcher = asyncio.ensure_future(_watch(job, gone)) if self._unfinished >= self._count else None
        self._unfinished += 1
        self._jobs.put(job)
        try:
            return await job.future
        finally:
            timer.cancel()
            if watcher is not None:
                watcher.cancel()

    def _expire(self, job: _Job) -> None:
        if job.future.done():
            return
        message = f"The prediction took longer than {self._timeout_seconds:g} seconds."
        job.future.set_exception(RequestError(ErrorCode.PREDICTION_TIMED_OUT, message))
        if job.is_running:
            job.is_abandoned = True
            self._abandoned += 1

    def _settle(self, job: _Job, response: Response | None) -> None:
        self._unfinished -= 1
        if job.is_abandoned:
            self._abandoned -= 1
        if response is not None and not job.future.done():
            job.future.set_result(response)

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            job.is_running = True
            # Nobody waits any more for a job that spent its time in the queue.
            response = None if job.future.done() else job.predict()
            try:
                job.future.get_loop().call_soon_threadsafe(self._settle, job, response)
            except RuntimeError:
                # The loop is closed: the process is about to end, nobody waits for the answer.
                return


async def _watch(job: _Job, gone: Callable[[], Awaitable[object]]) -> None:
    await gone()
    if not job.future.done() and not job.is_running:
        job.future.set_exception(ClientGoneError())
