"""What has come of a run so far, written down in batches: ends of inputs, and answers to rows of those under way."""

import asyncio
from collections import defaultdict

from asyncpg import Record

from db import batch_input, batch_row, batch_run, operation
from db.batch_input import Ending
from db.batch_row import NewRow
from db.connection import Pool

FLUSH_SECONDS = 0.25
FLUSH_COUNT = 200
# Of the text of rows: a line may be as long as the largest answer.
FLUSH_LENGTH = 2**20
STAGE = "PREDICTING"


class BatchJournal:
    """`run` is a row of `db.batch_run`."""

    def __init__(self, pool: Pool, run: Record) -> None:
        self._pool = pool
        self._run = run
        self._endings: list[Ending] = []
        self._rows: dict[int, list[NewRow]] = defaultdict(list)
        self._row_count = 0
        self._row_length = 0
        self._writing = asyncio.Lock()

    async def add_ending(self, ending: Ending) -> None:
        self._endings.append(ending)
        if len(self._endings) >= FLUSH_COUNT:
            await self.flush()

    async def add_row(self, input_number: int, row: NewRow) -> None:
        """A row that is long is stored when this returns."""
        self._rows[input_number].append(row)
        self._row_count += 1
        self._row_length += len(row.line)
        if self._row_count >= FLUSH_COUNT or self._row_length >= FLUSH_LENGTH:
            await self.flush()

    async def keep_flushing(self) -> None:
        """Write now and then, until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Everything that was added before is stored when this returns."""
        async with self._writing:
            rows, self._rows = self._rows, defaultdict(list)
            self._row_count = self._row_length = 0
            endings, self._endings = self._endings, []
            workspace_id, run_id = self._run["workspace_id"], self._run["id"]
            for number, new in rows.items():
                await batch_row.insert(self._pool, workspace_id, run_id, number, new)
            if not endings:
                return
            counts = await batch_input.finish(self._pool, workspace_id, run_id, endings)
            assert counts is not None
            await self._tell((counts["succeeded_count"] + counts["failed_count"]) / max(1, counts["input_count"]))

    async def _tell(self, progress: float) -> None:
        subject = (self._run["workspace_id"], self._run["service_id"])
        await batch_run.tell(self._pool, *subject, progress)
        await operation.advance_subject(self._pool, *subject, STAGE, progress)
