"""Plans answer as graphql-core does: random operations over the whole schema, values, errors and all."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from db.connection import Pool
from tests.differential import Comparison
from tests.reading_stage import open_stage

DOCUMENTS = 180
TODAY = datetime.now(UTC).date().isoformat()


@pytest.mark.parametrize("seed", ["7", pytest.param(TODAY, id="today")])
async def test_an_operation_with_a_plan_is_answered_as_without_one(
    pool: Pool, database_url: str, data_dir: Path, seed: str
) -> None:
    async with open_stage(pool, database_url, data_dir) as stage:
        report = await (await Comparison.over(stage)).run(seed, DOCUMENTS)
    assert not report.differences, f"\n{report.differences[0]}"
    assert not report.leaks, f"\n{report.leaks[0]}"
    assert not report.failures, f"\n{report.failures[0]}"
    assert report.clean >= 0.7 * report.documents
    assert report.with_rows >= 0.7 * DOCUMENTS
    assert report.wrong_refused >= 0.02 * DOCUMENTS
    assert report.planned >= 0.85 * report.with_rows, f"{report.planned} of {report.with_rows} planned; seed {seed!r}"
