"""Facets: how many versions there are by what they have."""

from typing import Any

import pytest

from db.connection import Pool
from db.pool import connection
from gql.cost import FACET_COST
from tests.api import Api
from tests.large_data import Amounts, fill_workspace

FEW = Amounts(training_jobs=3, models=20, versions_per_model=5, versions_with_files=0, services=0, events=0)
FACETS = """query ($filter: ModelVersionFilter, $first: Int = 100) { modelVersionFacets(filter: $filter) {
    total statuses { value count } aiEngines { value count } origins { value count }
    deploymentTypes { value count } labels(first: $first) { value count } creators { value count } } }"""
COLUMNS = {
    "statuses": "status",
    "aiEngines": "ai_engine",
    "origins": "origin",
    "deploymentTypes": "unnest(deployment_types)",
    "labels": "unnest(labels)",
    "creators": "created_by",
}


@pytest.fixture
async def filled(api: Api, database_url: str) -> Api:
    async with connection(database_url) as filling:
        await fill_workspace(filling, await filling.fetchval("SELECT id FROM workspace"), FEW)
    return api


async def counted(pool: Pool, expression: str, condition: str) -> list[dict[str, Any]]:
    rows = await pool.fetch(
        f"""SELECT value, count(*) FROM (
            SELECT {expression} AS value FROM model_version WHERE deleted_at IS NULL AND {condition}
        ) AS given WHERE value IS NOT NULL GROUP BY value ORDER BY count DESC, value COLLATE "C" """
    )
    return [dict(row) for row in rows]


@pytest.mark.parametrize(
    ("given", "condition"),
    [
        (None, "true"),
        ({"status": ["NORMAL"]}, "status = 'NORMAL'"),
        ({"modelNameContains": "00001", "label": "table"}, "model_name LIKE '%00001%' AND labels @> ARRAY['table']"),
        ({"createdAfter": "2026-01-01T00:05:00Z"}, "created_at >= '2026-01-01 00:05+0'"),
    ],
)
async def test_each_value_is_counted_and_the_commonest_come_first(
    filled: Api, pool: Pool, given: Any, condition: str
) -> None:
    found = (await filled.ask(FACETS, filter=given))["modelVersionFacets"]
    assert found.pop("total") == await pool.fetchval(
        f"SELECT count(*) FROM model_version WHERE deleted_at IS NULL AND {condition}"
    )
    assert found == {name: await counted(pool, column, condition) for name, column in COLUMNS.items()}
    assert found["labels"]


async def test_each_facet_that_is_asked_for_is_paid_for(api: Api) -> None:
    async def cost(facets: str) -> int:
        answer = await api.send(f"{{ modelVersionFacets {{ {facets} }} }}")
        return int(answer["extensions"]["cost"]["requested"])

    assert await cost("total") == 1 + FACET_COST
    assert await cost("a: total b: total") == 1 + 2 * FACET_COST
    assert await cost("labels(first: 30) { value count }") == 1 + FACET_COST + 60


async def test_the_commonest_labels_alone_are_shown(filled: Api, pool: Pool) -> None:
    everything = await counted(pool, "unnest(labels)", "true")
    for first, expected in ((0, 0), (2, 2), (None, 20)):
        found = (await filled.ask(FACETS, first=first))["modelVersionFacets"]
        assert found["labels"] == everything[:expected]
    for first in (-1, 101):
        answer = await filled.send(FACETS, first=first)
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["BAD_USER_INPUT"]


async def test_a_filter_that_nothing_can_meet_counts_nothing(filled: Api) -> None:
    for given in ({"digest": "no digest"}, {"modelName": "\0"}, {"version": "1"}):
        found = (await filled.ask(FACETS, filter=given))["modelVersionFacets"]
        assert found == {"total": 0, **{name: [] for name in COLUMNS}}
