"""Batch runs whose server is killed: they go on, no input is lost, and none that was done is done again."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from db.connection import Pool
from tests import batches
from tests.api import Api, wait_for
from tests.batches import RULE, deploy, file_version, lines, own, put, row_version, service, wish, written
from tests.server_process import Checkout, end_all, nothing_left

FILES, ROWS = 200, 400
# Every answer is another one, so that what was asked twice is seen.
ANSWERS = "import time\ntime.sleep(0.03)\nreturn {'at': time.time_ns()}"


@pytest.fixture
async def checkout(data_dir: Path, database_url: str) -> AsyncIterator[Checkout]:
    yield Checkout(data_dir, {"DATABASE_URL": database_url})
    end_all(data_dir)


@pytest.mark.slow
async def test_a_killed_run_is_finished_without_redoing_or_losing_anything(
    checkout: Checkout, pool: Pool, data_dir: Path
) -> None:
    async with checkout.serving() as process, checkout.journey() as journey:
        api = Api(journey.http, pool)
        keys = [await own(pool, key) for key in ("questions", "tables", "answers", "rows")]
        questions, tables, answers, rows = keys
        put(data_dir, questions, {f"{number:03}.json": b"{}" for number in range(FILES)})
        put(data_dir, tables, {"a.csv": "".join(f"{row},name\n" for row in range(ROWS)).encode()})
        version = await file_version(api, ANSWERS)
        await deploy(api, "files", wish(version, questions, answers, maxConcurrency=2))
        version = await row_version(api, ANSWERS)
        await deploy(api, "rows", wish(version, tables, rows, maxConcurrency=2, mapping={"csv": {"rule": RULE}}))
        await wait_for(lambda: are_under_way(pool), within_seconds=60)
        process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(process.wait, 20)
        await nothing_left(data_dir)
    before = written(data_dir, answers)
    kept = {row["number"]: row["line"] for row in await pool.fetch("SELECT number, line FROM batch_row")}
    assert 0 < len(before) < FILES
    assert 0 < len(kept) < ROWS
    async with checkout.serving(), checkout.journey() as journey:
        api = Api(journey.http, pool)
        for name in ("files", "rows"):
            found = await batches.ended(api, name, within_seconds=120)
            assert (found["status"], found["statusMessage"], found["run"]["number"]) == ("FINISHED", None, 1)
        inputs: Any = (await service(api, "files"))["run"]
        assert (inputs["succeededCount"], inputs["failedCount"]) == (FILES, 0)
    after = written(data_dir, answers)
    assert len(after) == FILES
    assert {name: after[name] for name in before} == before
    answered = lines(written(data_dir, rows)["a.csv_result.txt"])
    assert len(answered) == ROWS
    assert {number: answered[number - 1] for number in kept} == {key: json.loads(line) for key, line in kept.items()}


async def are_under_way(pool: Pool) -> bool:
    files = await pool.fetchval("SELECT count(*) FROM batch_input WHERE state = 'SUCCEEDED'")
    rows = await pool.fetchval("SELECT count(*) FROM batch_row")
    return bool(files > 20 and rows > 20)
