"""What reading costs the database where there is much to read: one statement, that indexes serve, without a sort."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLObjectType,
    OperationDefinitionNode,
    OperationType,
    get_named_type,
    is_leaf_type,
    is_required_argument,
    parse,
)

from db.reading import COUNT_CAP
from gql import mapping as mapped
from gql.definition import strawberry_field
from gql.limits import Limits
from gql.mapping import mapping_of
from gql.schema import build_schema
from server.settings import CHECKOUT
from tests.list_cases import ListField, kind_of, list_fields, list_filters
from tests.plan_stage import PlanStage, fill, open_plan_stage
from tests.postgres import new_database, template_name
from tests.query_plan import QueryPlan

pytestmark = pytest.mark.slow

SCHEMA = build_schema(Limits()).execution.schema
LISTS = {each.name: each for each in list_fields(SCHEMA)}
OPERATIONS = CHECKOUT / "docs" / "operations"
PAGE_SIZES = (1, 20, 100)
MOST_ROWS_READ = 3_000
# What models' versions are is looked up for each of an order's first models.
MOST_ROWS_PROBED = 10_000
MOST_ROWS_SORTED = 101
RELATIONS = (mapped.ToMany, mapped.ToOne, mapped.Rows)
VARIABLES: dict[str, dict[str, Any]] = {
    "WatchTheImport": {"by": {"name": {"modelName": "one-model", "version": "19.99.99"}}},
    "WatchTheService": {"by": {"name": "service-000001"}},
    "WatchABatchService": {"by": {"name": "service-000003"}},
    "Facets": {"filter": {"modelName": "model-000001"}},
    "SearchVersions": {"filter": {"status": ["NORMAL"]}, "orderBy": {"field": "SIZE_BYTES", "direction": "DESC"}},
}
CLUSTERED = "where too few of an order's first rows meet it and many of the others do, all that do are sorted"
PARTS = "an index of parts has none of fewer than three letters, nor any with a hyphen in it"
# Filters that no index serves in each order whatever the value is, and why; what is mended has to leave.
UNSERVED = {
    "models": {"nameContains": PARTS},
    "modelVersions": {
        "status": CLUSTERED,
        "status of several": CLUSTERED,
        "modelNameStartsWith": CLUSTERED,
        "modelNameContains": f"{CLUSTERED}; {PARTS}",
        "version": CLUSTERED,
        "label": CLUSTERED,
    },
    "backgroundOperations": {"kind of several": CLUSTERED},
}
# Served or not by what Postgres' sample of the names shows it.
NEARLY_SERVED = frozenset({("deletedModelVersions", "modelNameContains")})
EVERY_ONE = "an index on arrays finds all before the first is counted"
# The same for counts, which no order binds.
UNCOUNTED = {
    "trainingJobVersions": {"isImportable": "what is distinct from a value is found by no index"},
    "modelVersions": {"label": EVERY_ONE, "deploymentType": EVERY_ONE, "deploymentType of several": EVERY_ONE},
}
# Operations that ask for nothing that is stored.
ROWLESS = frozenset({"WhoAmI", "PreviewAnImport"})


@pytest.fixture(scope="module")
def filled_database_url(migrated_postgres: str) -> Iterator[str]:
    """The address of a database that is filled once for all tests here, which only read."""
    with asyncio.Runner() as runner:
        database = new_database(migrated_postgres, template_name())
        dsn = runner.run(database.__aenter__())
        runner.run(fill(dsn))
        yield dsn
        runner.run(database.__aexit__(None, None, None))


@pytest.fixture
async def stage(filled_database_url: str, data_dir: Path) -> AsyncIterator[PlanStage]:
    async with open_plan_stage(filled_database_url, data_dir) as opened:
        yield opened


def excess(plan: QueryPlan, *, counted: int = 0, given: Any = None) -> str:
    """What of a page's plan is too much, beside rows that are counted; empty where nothing is.

    By a filter of what rows lead to, all that these have or all that meet it may be read, by an index.
    """
    told = [f"reads all of {table}" for table in plan.scanned_tables]
    if any(isinstance(value, dict) for value in (given or {}).values()):
        return ", ".join(told)
    if plan.rows_read > MOST_ROWS_READ + counted:
        told.append(f"reads {plan.rows_read:,} rows")
    if plan.rows_sorted > MOST_ROWS_SORTED:
        told.append(f"sorts {plan.rows_sorted:,} rows")
    return ", ".join(told)


def queries() -> Iterator[tuple[str, str]]:
    """The names and texts of the example operations that read."""
    for path in sorted(OPERATIONS.glob("*.graphql")):
        text = path.read_text("utf-8")
        (operation,) = parse(text).definitions
        assert isinstance(operation, OperationDefinitionNode)
        assert operation.name is not None
        if operation.operation is OperationType.QUERY and operation.name.value not in ROWLESS:
            yield operation.name.value, text


def lists_of_a_small_workspace() -> Iterator[Any]:
    """All lists at the root; only a large workspace has uploads."""
    for name, root in LISTS.items():
        yield pytest.param(root, id=name)


def relations() -> Iterator[tuple[str, str]]:
    """A document for each field that leads from the nodes of a list at the root to other rows."""
    for root in LISTS.values():
        kinds = SCHEMA.get_possible_types(root.node) if isinstance(root.node, GraphQLInterfaceType) else (root.node,)
        for kind in kinds:
            assert isinstance(kind, GraphQLObjectType)
            for name, definition in kind.fields.items():
                declared = strawberry_field(definition)
                if declared is not None and isinstance(mapping_of(declared), RELATIONS):
                    field = f"{name}{required_arguments(definition)}"
                    asked = f"nodes {{ __typename ... on {kind.name} {{ {field} {{ {selection(definition)} }} }} }}"
                    yield f"{kind.name}.{name}", root.document(asked)


def required_arguments(definition: GraphQLField) -> str:
    """What has to be given, which are texts."""
    given = [f'{name}: "any"' for name, argument in definition.args.items() if is_required_argument(argument)]
    return f"({', '.join(given)})" if given else ""


def selection(definition: GraphQLField) -> str:
    """All columns of what a relation leads to."""
    target = get_named_type(definition.type)
    assert isinstance(target, GraphQLObjectType | GraphQLInterfaceType)
    if "pageInfo" in target.fields:
        return f"pageInfo {{ hasNextPage endCursor }} nodes {{ {selection(target.fields['nodes'])} }}"
    leaves = [name for name, each in target.fields.items() if is_leaf_type(get_named_type(each.type))]
    return " ".join(leaves)


@pytest.mark.parametrize(("name", "document"), list(queries()), ids=[name for name, _ in queries()])
async def test_an_example_operation_is_one_statement_that_indexes_serve(
    stage: PlanStage, name: str, document: str
) -> None:
    counted = COUNT_CAP if "totalCount" in document else 0
    assert excess(await stage.plan(document, VARIABLES.get(name, {})), counted=counted) == ""


@pytest.mark.parametrize("root", LISTS.values(), ids=LISTS)
async def test_a_list_is_one_statement_whatever_the_size_of_its_pages(stage: PlanStage, root: ListField) -> None:
    for size in PAGE_SIZES:
        data, _ = await stage.answer(root.page_document, {"first": size})
        assert len(data["list"]["nodes"]) == size


@pytest.mark.parametrize(("name", "document"), list(relations()), ids=[name for name, _ in relations()])
async def test_what_rows_lead_to_is_read_by_the_same_statement_and_by_indexes(
    stage: PlanStage, name: str, document: str
) -> None:
    pages: tuple[dict[str, Any], ...] = ({"first": 20}, {"first": None, "last": 20})
    for page in pages:
        assert excess(await stage.plan(document, page)) == "", page


@pytest.mark.parametrize("root", LISTS.values(), ids=LISTS)
async def test_every_order_is_that_of_an_index_from_either_end_and_from_the_middle(
    stage: PlanStage, root: ListField
) -> None:
    for order in root.orders():
        ordered: dict[str, Any] = {"orderBy": order} if order else {}
        backward = {**ordered, "first": None, "last": 20}
        data, _ = await stage.answer(root.page_document, backward)
        cursor = data["list"]["pageInfo"]["startCursor"]
        for page in ({**ordered, "first": 20}, backward, {**ordered, "first": 20, "after": cursor}):
            assert excess(await stage.plan(root.page_document, page)) == "", page


@pytest.mark.parametrize("root", LISTS.values(), ids=LISTS)
async def test_every_filter_is_served_in_every_order_however_rare_its_value(stage: PlanStage, root: ListField) -> None:
    told: dict[str, list[str]] = {}
    for given in await list_filters(stage.large.installation.pool, stage.large.workspace_id, root):
        for order in root.orders() if given else ():
            variables = {"filter": given, "first": 20, **({"orderBy": order} if order else {})}
            if more := excess(await stage.plan(root.page_document, variables), given=given):
                told.setdefault(kind_of(given), []).append(f"{json.dumps(variables)}: {more}")
    told = {name: plans for name, plans in told.items() if (root.name, name) not in NEARLY_SERVED}
    assert told.keys() == UNSERVED.get(root.name, {}).keys(), json.dumps(told, indent=2)


@pytest.mark.parametrize("root", LISTS.values(), ids=LISTS)
async def test_a_count_ends_at_its_cap_or_is_served_however_rare_what_is_counted(
    stage: PlanStage, root: ListField
) -> None:
    told: dict[str, list[str]] = {}
    for given in await list_filters(stage.large.installation.pool, stage.large.workspace_id, root):
        if more := excess(await stage.plan(root.count_document, {"filter": given}), counted=COUNT_CAP, given=given):
            told.setdefault(kind_of(given), []).append(f"{given}: {more}")
    assert told.keys() == UNCOUNTED.get(root.name, {}).keys(), json.dumps(told, indent=2)


async def test_facets_of_everything_are_counted_in_one_look_at_an_index_alone(stage: PlanStage) -> None:
    facets = "total statuses { value count } deploymentTypes { value count } labels { value count } creators { count }"
    plan = await stage.plan(f"{{ modelVersionFacets {{ {facets} }} }}", {})
    looks = [node["Node Type"] for node in plan.nodes() if node.get("Relation Name") == "model_version"]
    assert looks == ["Index Only Scan"]


@pytest.mark.parametrize("root", list(lists_of_a_small_workspace()))
async def test_a_small_workspace_does_not_pay_for_what_a_large_one_has(stage: PlanStage, root: ListField) -> None:
    for given in await list_filters(stage.large.installation.pool, stage.large.workspace_id, root):
        for order in root.orders():
            variables = {"filter": given, "first": 20, **({"orderBy": order} if order else {})}
            for document in (root.page_document, root.count_document):
                plan = await stage.plan(document, variables, stage.small)
                assert plan.scanned_tables == set(), variables
                assert plan.rows_read <= (MOST_ROWS_PROBED if given and "versions" in given else MOST_ROWS_READ), (
                    variables
                )
