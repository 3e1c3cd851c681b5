"""Fields that lead to one row by their arguments, and the one view whose rows are everybody's."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import strawberry
from strawberry.schema.config import StrawberryConfig

from db import reading
from db.connection import Pool
from db.reading import Comparison
from gql.connection import Connection
from gql.filter import Argument, Restriction
from gql.limits import Limits
from gql.mapping import BY_VERSION_NUMBER, stored
from gql.scalar import SCALARS
from gql.schema import Schema
from gql.stored_field import newest, to_many
from resolvers.caller import Workspace
from tests.reading_stage import Case, Executor, Stage, open_stage

END_OF_TIME = datetime(9999, 12, 31, tzinfo=UTC)
# What is deleted has held until then.
PERIODS = """
CREATE VIEW reading.version_period AS
SELECT id, workspace_id, model_id, version, version_number, created_at, coalesce(deleted_at, 'infinity') AS ended_key
FROM public.model_version
"""
DELETE_ALL_BUT_THE_THIRD = """
UPDATE model_version
SET created_at = '2026-01-01', deleted_at = CASE WHEN version_number <> 3 THEN timestamptz '2026-02-01' END
"""


@stored("version_period")
@strawberry.type
class Period:
    version: str


@stored("model")
@strawberry.type
class PeriodicModel:
    name: str
    period: Period | None = newest(
        "model_id",
        BY_VERSION_NUMBER,
        arguments={
            "version": Argument(str | None, (Restriction("version"),), "Its number."),
            "as_of": Argument(
                datetime | None,
                (
                    Restriction("created_at", "timestamptz", Comparison.AT_MOST),
                    Restriction("ended_key", "timestamptz", Comparison.ABOVE),
                ),
                "When it held; now if left out.",
                if_left_out=END_OF_TIME,
            ),
        },
        description="The highest version of a moment.",
    )
    numbered: Period | None = newest(
        "model_id",
        BY_VERSION_NUMBER,
        arguments={"version": Argument(str, (Restriction("version"),), "Its number.")},
        description="The version of a number.",
    )


@stored("market_listing")
@strawberry.type
class Shown:
    title: str | None


@strawberry.type
class Query:
    models: Connection[PeriodicModel] = to_many(description="The models.")
    shown: Connection[Shown] = to_many(description="What workspaces show each other.")


@pytest.fixture
async def stage(pool: Pool, database_url: str, data_dir: Path) -> AsyncIterator[Stage]:
    await pool.execute(PERIODS)
    async with open_stage(pool, database_url, data_dir) as opened:
        yield opened


def both(stage: Stage) -> tuple[Executor, Executor]:
    """With plans, and without."""
    config = StrawberryConfig(scalar_map=SCALARS)
    made = [Schema(query=Query, config=config, limits=Limits(), plans=plans) for plans in (True, False)]
    planning, alone = [Executor(schema, stage, Limits()) for schema in made]
    return planning, alone


async def ask(stage: Stage, document: str, variables: Mapping[str, Any]) -> Any:
    """What both executors answer, one of them by a plan."""
    planning, alone = both(stage)
    planned = await planning.data(document, stage.ours, **variables)
    # A text that no row can have is asked of no statement.
    assert await planning.plans(Case(document, variables), stage.ours) is ("\0" not in variables.values())
    assert planned == await alone.data(document, stage.ours, **variables)
    return planned


async def iris(stage: Stage, field: str, arguments: str, variables: Mapping[str, Any]) -> str | None:
    document = f"query ({arguments}) {{ models {{ nodes {{ name {field} {{ version }} }} }} }}"
    found = await ask(stage, document, variables)
    (version,) = [node[field.partition("(")[0]] for node in found["models"]["nodes"] if node["name"] == "iris"]
    return str(version["version"]) if version else None


@pytest.mark.parametrize(
    ("variables", "version"),
    [
        ({}, "0.0.3"),
        ({"asOf": None}, "0.0.3"),
        ({"asOf": "2026-01-01T00:00:00Z"}, "0.0.14"),
        ({"asOf": "2026-01-31T23:59:59.999Z", "version": "0.0.2"}, "0.0.2"),
        ({"asOf": "2026-02-01T00:00:00Z"}, "0.0.3"),
        ({"asOf": "2025-12-31T23:59:59Z"}, None),
        ({"asOf": "9999-12-31T23:59:59Z"}, "0.0.3"),
        ({"version": "0.0.2"}, None),
        ({"version": "\0"}, None),
        ({"version": "' OR true --"}, None),
    ],
)
async def test_an_argument_restricts_each_of_its_columns_and_stands_for_something_when_left_out(
    stage: Stage, pool: Pool, variables: Mapping[str, Any], version: str | None
) -> None:
    await pool.execute(DELETE_ALL_BUT_THE_THIRD)
    arguments = "$version: String, $asOf: DateTime"
    assert await iris(stage, "period(version: $version, asOf: $asOf)", arguments, variables) == version


async def test_an_argument_that_has_to_be_given_is_refused_when_left_out(stage: Stage) -> None:
    assert await iris(stage, "numbered(version: $version)", "$version: String!", {"version": "0.0.5"}) == "0.0.5"
    for executor in both(stage):
        answer = await executor.answer(Case("{ models { nodes { numbered { version } } } }", {}), stage.ours)
        assert "is required" in answer.errors


async def test_the_same_field_may_be_asked_for_with_several_values(stage: Stage) -> None:
    document = """{ models { nodes { name
        two: numbered(version: "0.0.2") { version } none: numbered(version: "7.0.0") { version } } } }"""
    nodes = (await ask(stage, document, {}))["models"]["nodes"]
    by_name = {node["name"]: node for node in nodes}
    assert by_name["iris"] == {"name": "iris", "two": {"version": "0.0.2"}, "none": None}
    assert by_name["empty"] == {"name": "empty", "two": None, "none": None}


async def test_listings_of_the_market_are_the_one_kind_of_row_that_all_workspaces_see(stage: Stage, pool: Pool) -> None:
    if await pool.fetchval("SELECT to_regclass('reading.market_listing') IS NULL"):
        await pool.execute("CREATE VIEW reading.market_listing AS SELECT * FROM public.market_listing")
    await pool.execute("DELETE FROM market_subscription")
    await pool.execute("DELETE FROM market_listing")
    publisher: Workspace = stage.theirs.caller.workspace
    await pool.execute(
        """INSERT INTO market_listing (workspace_id, model_id, model_version_id, publisher, model_name, version_number,
            version, title, published_by)
        SELECT workspace_id, model_id, id, 'theirs', model_name, version_number, version, 'of theirs', 'test'
        FROM model_version WHERE workspace_id = $1 AND status = 'NORMAL' AND deleted_at IS NULL LIMIT 1""",
        publisher.id,
    )
    found = await ask(stage, "{ shown { totalCount nodes { title } } }", {})
    assert found == {"shown": {"totalCount": 1, "nodes": [{"title": "of theirs"}]}}


def test_a_view_is_of_the_readers_workspace_unless_it_is_the_markets() -> None:
    for view in ("model", "market_listing", "market_subscription"):
        text = reading.statement([("rows", reading.Rows(reading.Source(view), reading.Object(())))]).text
        assert (".workspace_id = $1" in text) is (view != reading.WORKSPACE_FREE)
        assert "$1" in text
