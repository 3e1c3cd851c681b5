"""Finding models and versions: parts of names, labels, moments, and each list in each order, page by page."""

from collections.abc import Sequence
from typing import Any

import pytest

from db.connection import Pool
from db.pool import connection
from db.reading.source import WINDOW
from tests.api import Api
from tests.large_data import add_training_jobs
from tests.large_data_sql import FUNCTIONS, MODELS, ONE_MODEL, ONE_MODEL_VERSIONS, VERSIONS_OF_MODELS

MODEL_COUNT, VERSIONS_OF_ONE = 60, WINDOW + 700
ORDERS = {
    "CREATED_AT": "id",
    "NAME": 'model_name COLLATE "C", version_number',
    "VERSION": "version_number, id",
    "SIZE_BYTES": "coalesce(size_bytes, 0), id",
}
MINUTES_LATER = "created_at >= '2026-01-01 00:05+0' AND created_at < '2026-01-01 00:10+0'"
# What the filter is, and what it is in SQL: each is met by many, by few, or by none.
FILTERS: Sequence[tuple[dict[str, Any], str]] = (
    ({"modelNameContains": "DEL-00001"}, "model_name LIKE '%del-00001%'"),
    ({"modelNameContains": "e-m"}, "model_name LIKE '%e-m%'"),
    ({"modelNameContains": "9"}, "model_name LIKE '%9%'"),
    ({"modelNameContains": "_"}, "false"),
    ({"modelNameStartsWith": "model-00005"}, "model_name LIKE 'model-00005%'"),
    ({"version": "0.0.2"}, "version = '0.0.2'"),
    ({"version": "0.0"}, "false"),
    ({"label": "table"}, "labels @> ARRAY['table']"),
    ({"label": "rare"}, "labels @> ARRAY['rare']"),
    ({"deploymentType": "BATCH"}, "deployment_types @> ARRAY['BATCH']"),
    ({"deploymentType": ["EDGE"]}, "false"),
    ({"deploymentType": ["EDGE", "BATCH"]}, "deployment_types @> ARRAY['BATCH']"),
    ({"status": ["IMPORT_FAILED", "BUILD_FAILED"]}, "status LIKE '%FAILED'"),
    ({"origin": ["BUILT_IN_ALGORITHM"]}, "origin = 'BUILT_IN_ALGORITHM'"),
    ({"sourceType": ["MARKET", "TEMPLATE"]}, "false"),
    ({"sourceType": ["TRAINING_JOB"]}, "true"),
    ({"createdBy": "anna"}, "created_by = 'anna'"),
    ({"createdAfter": "2026-01-01T02:00:00Z"}, "created_at >= '2026-01-01 02:00+0'"),
    ({"createdBefore": "2026-01-01T00:10:00Z"}, "created_at < '2026-01-01 00:10+0'"),
    ({"createdAfter": "9999-12-31T00:00:00Z"}, "false"),
    ({"createdBefore": "0001-01-01T00:00:00Z"}, "false"),
    (
        {"label": "rare", "modelNameContains": "one", "status": ["NORMAL"]},
        "labels @> ARRAY['rare'] AND status = 'NORMAL'",
    ),
)
# What one version of a model has to be, and what that is in SQL.
VERSIONS: Sequence[tuple[dict[str, Any], str]] = (
    ({}, "true"),
    ({"label": "rare"}, "labels @> ARRAY['rare']"),
    ({"label": "table", "status": ["IMPORT_FAILED"]}, "labels @> ARRAY['table'] AND status = 'IMPORT_FAILED'"),
    ({"status": ["IMPORT_FAILED", "BUILD_FAILED"]}, "status LIKE '%FAILED'"),
    ({"aiEngine": ["SCIKIT_LEARN"], "createdBy": "anna"}, "ai_engine = 'SCIKIT_LEARN' AND created_by = 'anna'"),
    ({"deploymentType": ["EDGE", "BATCH"]}, "deployment_types @> ARRAY['BATCH']"),
    ({"origin": ["BUILT_IN_ALGORITHM"], "version": "0.0.2"}, "origin = 'BUILT_IN_ALGORITHM' AND version = '0.0.2'"),
    ({"modelNameContains": "EL-00003", "version": "0.0.1"}, "model_name LIKE '%el-00003%' AND version = '0.0.1'"),
    ({"createdAfter": "2026-01-01T00:05:00Z", "createdBefore": "2026-01-01T00:10:00Z"}, MINUTES_LATER),
    ({"label": "no-row-has-this"}, "false"),
    ({"version": "0.0"}, "false"),
)
MODELS_PAGE = """query ($filter: ModelFilter, $orderBy: ModelOrder, $after: String) {
    models(filter: $filter, orderBy: $orderBy, first: 9, after: $after) {
        totalCount pageInfo { hasNextPage endCursor } nodes { name } } }"""
PAGE = """query ($filter: ModelVersionFilter, $orderBy: ModelVersionOrder, $after: String, $before: String,
    $last: Int) {
    list: modelVersions(filter: $filter, orderBy: $orderBy, first: 100, last: $last, after: $after, before: $before) {
        totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor } nodes { modelName version } } }"""
OF_MODEL = """query ($filter: ModelVersionFilter, $orderBy: ModelVersionOrder, $after: String, $before: String,
    $last: Int) { model(by: {name: "one-model"}) {
        list: versions(filter: $filter, orderBy: $orderBy, first: 100, last: $last, after: $after, before: $before) {
            totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
            nodes { modelName version } } } }"""


@pytest.fixture
async def filled(api: Api, database_url: str) -> Api:
    """More versions than are looked at before something is looked for."""
    async with connection(database_url) as filling, filling.transaction():
        workspace = await filling.fetchval("SELECT id FROM workspace")
        await filling.execute(FUNCTIONS)
        await add_training_jobs(filling, workspace, jobs=5, versions=MODEL_COUNT * 5)
        await filling.execute(MODELS, workspace, MODEL_COUNT, 5)
        await filling.execute(VERSIONS_OF_MODELS, workspace, MODEL_COUNT * 5, 5)
        await filling.execute(ONE_MODEL, workspace, "one-model", VERSIONS_OF_ONE)
        await filling.execute(ONE_MODEL_VERSIONS, workspace, "one-model", VERSIONS_OF_ONE, MODEL_COUNT * 5)
        await filling.execute(
            """UPDATE model_version SET labels = labels || ARRAY['rare']
            WHERE model_name = 'one-model' AND version_number % 500 = 3"""
        )
    return api


async def walked(api: Api, document: str, variables: dict[str, Any], *, backward: bool = False) -> list[str]:
    """All pages of a list, from its beginning or from its end."""
    found: list[str] = []
    cursor, has_more = None, True
    while has_more:
        place = {"last": 100, "before": cursor} if backward else {"after": cursor}
        data = await api.ask(document, **variables, **place)
        page = (data.get("model") or data)["list"]
        info = page["pageInfo"]
        names = [f"{node['modelName']} {node['version']}" for node in page["nodes"]]
        found = names + found if backward else found + names
        cursor = info["startCursor" if backward else "endCursor"]
        has_more = info["hasPreviousPage" if backward else "hasNextPage"]
        assert len(page["nodes"]) == 100 or not has_more
    assert page["totalCount"] == len(found)
    return found


async def stored(pool: Pool, condition: str, order: str) -> list[str]:
    rows = await pool.fetch(
        f"""SELECT model_name || ' ' || version AS name FROM model_version
        WHERE deleted_at IS NULL AND {condition} ORDER BY {order}"""
    )
    return [row["name"] for row in rows]


@pytest.mark.parametrize(("given", "condition"), FILTERS, ids=[str(given) for given, _ in FILTERS])
async def test_what_a_filter_leaves_is_whole_and_in_order(
    filled: Api, pool: Pool, given: dict[str, Any], condition: str
) -> None:
    for field, order in ORDERS.items():
        expected = await stored(pool, condition, order)
        up = {"filter": given, "orderBy": {"field": field, "direction": "ASC"}}
        assert await walked(filled, PAGE, up) == expected, field
        down = {"filter": given, "orderBy": {"field": field, "direction": "DESC"}}
        assert await walked(filled, PAGE, down, backward=True) == expected[::-1], field
        of_one = [name for name in expected if name.startswith("one-model ")]
        assert await walked(filled, OF_MODEL, down) == of_one[::-1], field


async def test_versions_of_one_name_are_ordered_by_number_not_by_text(filled: Api, pool: Pool) -> None:
    variables = {"filter": {"modelName": "one-model"}, "orderBy": {"field": "NAME", "direction": "ASC"}}
    found = (await filled.ask(PAGE, **variables))["list"]["nodes"]
    assert [node["version"] for node in found[8:12]] == ["0.0.8", "0.0.9", "0.0.10", "0.0.11"]


async def names(api: Api, given: dict[str, Any]) -> list[str]:
    document = """query ($filter: ModelFilter) {
        models(filter: $filter, orderBy: {field: NAME}) { totalCount nodes { name } } }"""
    found = (await api.ask(document, filter=given))["models"]
    assert found["totalCount"] == len(found["nodes"])
    return [node["name"] for node in found["nodes"]]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"name": "a_b"}, ["a_b"]),
        ({"name": "A_B"}, []),
        ({"nameStartsWith": "a"}, ["a_b", "axb"]),
        ({"nameStartsWith": "_"}, []),
        ({"nameContains": "a_b"}, ["A_B-2", "a_b"]),
        ({"nameContains": "_"}, ["A_B-2", "a_b"]),
        ({"nameContains": "B"}, ["A_B-2", "a_b", "axb"]),
        ({"nameContains": "%"}, []),
        ({"nameContains": "\\"}, []),
        ({"nameContains": ""}, ["A_B-2", "a_b", "axb", "模型"]),
        ({"nameContains": "型"}, ["模型"]),
        ({"nameContains": "\0"}, []),
        ({"createdBy": "default", "nameContains": "x"}, ["axb"]),
        ({"createdBy": "nobody"}, []),
        ({"createdAfter": "2020-01-01T00:00:00Z", "createdBefore": "9999-01-01T00:00:00Z", "name": "axb"}, ["axb"]),
        ({"createdBefore": "2020-01-01T00:00:00Z"}, []),
    ],
)
async def test_models_are_found_by_what_their_names_are_begin_with_and_contain(
    api: Api, pool: Pool, given: dict[str, Any], expected: list[str]
) -> None:
    await pool.execute(
        """INSERT INTO model (workspace_id, name, created_by)
        SELECT id, given, 'default' FROM workspace, unnest(ARRAY['a_b', 'axb', 'A_B-2', '模型']) AS given"""
    )
    assert await names(api, given) == expected


@pytest.mark.parametrize(("given", "condition"), VERSIONS, ids=[str(given) for given, _ in VERSIONS])
async def test_models_are_found_by_what_one_of_their_versions_is(
    filled: Api, pool: Pool, given: dict[str, Any], condition: str
) -> None:
    await pool.execute("UPDATE model_version SET deleted_at = now() WHERE model_name = 'model-000007'")
    for field, order in (("CREATED_AT", "id"), ("NAME", 'name COLLATE "C"')):
        rows = await pool.fetch(
            f"""SELECT name FROM model WHERE EXISTS (
                SELECT 1 FROM model_version WHERE model_id = model.id AND deleted_at IS NULL AND {condition}
            ) ORDER BY {order}"""
        )
        variables = {"filter": {"versions": given}, "orderBy": {"field": field, "direction": "ASC"}}
        assert await walked_models(filled, variables) == [row["name"] for row in rows], field


async def walked_models(api: Api, variables: dict[str, Any]) -> list[str]:
    found: list[str] = []
    cursor, has_more = None, True
    while has_more:
        page = (await api.ask(MODELS_PAGE, **variables, after=cursor))["models"]
        found += [node["name"] for node in page["nodes"]]
        cursor, has_more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    assert page["totalCount"] == len(found)
    return found


async def test_models_are_not_found_by_what_versions_of_another_workspace_are(api: Api, pool: Pool) -> None:
    """No version is of another workspace's model; where one were, its workspace alone would tell."""
    await pool.execute("INSERT INTO model (workspace_id, name, created_by) SELECT id, 'ours', 'us' FROM workspace")
    await pool.execute("INSERT INTO workspace (name) VALUES ('elsewhere')")
    async with pool.acquire() as session, session.transaction():
        await session.execute("SET LOCAL session_replication_role = replica")
        await session.execute(
            """INSERT INTO model_version
                (workspace_id, model_id, model_name, version_number, origin, source_kind, template, created_by)
            SELECT workspace.id, model.id, 'ours', 1, 'CUSTOM_ALGORITHM', 'TEMPLATE', 'onnx', 'them'
            FROM workspace, model WHERE workspace.name = 'elsewhere'"""
        )
    assert await names(api, {"name": "ours"}) == ["ours"]
    assert await names(api, {"versions": {}}) == []
    assert await names(api, {"name": "ours", "versions": {"createdBy": "them"}}) == []


async def test_a_moment_is_exact_though_ids_only_tell_about_when(api: Api, pool: Pool) -> None:
    """The id of a row is made later than the beginning of its transaction, which is when it was made."""
    await pool.execute(
        """INSERT INTO model (workspace_id, name, created_by, created_at)
        SELECT id, 'early', 'test', now() - interval '30 minutes' FROM workspace"""
    )
    moment = await pool.fetchval("SELECT created_at FROM model")
    assert await names(api, {"createdAfter": moment.isoformat()}) == ["early"]
    assert await names(api, {"createdBefore": moment.isoformat()}) == []
