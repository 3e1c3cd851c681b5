"""MODELYARD_EXPLAIN: a client on loopback sees the statement of its operation, and the plan that it is run by."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from db.connection import Pool
from db.reading import in_lines
from tests.api import Api, running_server
from tests.packages import NOTES, upload_job

PLANNED = """query ($name: String!) {
    models(filter: {nameStartsWith: $name}) { nodes { name latestVersion { version } versions { totalCount } } }
}"""
RESOLVED = "{ modelyard { version } runtimes { name } }"
MIXED = '{ runtimes { name } model(by: {name: "it\'s (no) || model"}) { name } }'


@pytest.fixture
async def explained(pool: Pool, database_url: str, data_dir: Path) -> AsyncIterator[Api]:
    async with running_server(pool, database_url, data_dir, explain=True) as running:
        yield running.client()


@pytest.mark.parametrize("document", [PLANNED, MIXED])
async def test_it_shows_statement_and_plan_even_where_the_statement_answers_a_part(
    explained: Api, document: str
) -> None:
    answer = await explained.send(document, name="iris")
    shown = answer["extensions"]["explain"]
    assert set(shown) == {"sql", "plan"}
    assert "reading.model" in shown["sql"]
    (measured,) = shown["plan"]
    assert measured["Plan"]["Actual Loops"] == 1
    # Planned for any workspace, as sessions run it: for this one there would be its id.
    assert "workspace_id = $1" in json.dumps(measured)


async def test_there_is_nothing_to_show_of_what_no_statement_answers(explained: Api) -> None:
    answer = await explained.send(RESOLVED)
    assert answer["data"]["runtimes"]
    assert set(answer["extensions"]) == {"cost"}


@pytest.mark.parametrize("document", [PLANNED, MIXED, RESOLVED])
async def test_nothing_is_shown_without_the_setting(api: Api, document: str) -> None:
    answer = await api.send(document, name="iris")
    assert "errors" not in answer
    assert set(answer["extensions"]) == {"cost"}


async def test_to_be_asked_for_it_leaves_nothing_behind_in_the_session(explained: Api) -> None:
    first, second = [await explained.send(PLANNED, name="iris") for _ in range(2)]
    assert first["data"] == second["data"]
    assert set(second["extensions"]["explain"]) == {"sql", "plan"}


async def test_in_lines_a_statement_says_the_same(explained: Api, pool: Pool) -> None:
    await explained.import_version("iris", await upload_job(explained, NOTES))
    answer = await explained.send(PLANNED, name="iris")
    text = answer["extensions"]["explain"]["sql"]
    lines = in_lines(text)
    workspace = await pool.fetchval("SELECT workspace_id FROM model")
    assert json.loads(await pool.fetchval(lines, workspace, "iris")) == answer["data"]
    assert max(map(len, lines.splitlines())) < 200
    assert lines.replace("\n", " ").replace("  ", "").replace(" ", "") == text.replace(" ", "").replace("\n", "")


def test_in_lines_literals_stay_as_they_are() -> None:
    text = "SELECT ' FROM (SELECT it''s) LIMIT 1'::text || ',\"a\":' FROM t WHERE a = ')' ORDER BY a"
    assert in_lines(text).splitlines() == [
        "SELECT ' FROM (SELECT it''s) LIMIT 1'::text",
        "    || ',\"a\":'",
        "FROM t",
        "WHERE a = ')'",
        "ORDER BY a",
    ]
