"""The mapping of stored types and fields: whole in itself, and to be found in the migrated database."""

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from graphql import (
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLUnionType,
    get_named_type,
    is_leaf_type,
)

from db.connection import Pool
from db.pool import connection
from db.reading_pool import ReadingPool, create_reading_pool
from gql import mapping as mapped
from gql.definition import origin, strawberry_field
from gql.limits import Limits
from gql.mapping import mapping_of, stored_of
from gql.mapping_check import missing, statements
from gql.schema import build_schema
from tests.api import free_port
from tests.test_command_line import assert_refused, run_beside

EXECUTION = build_schema(Limits()).execution
SCHEMA = EXECUTION.schema
VIEWS = "SELECT viewname AS name, definition FROM pg_views WHERE schemaname = 'reading' ORDER BY viewname"
# A joined subquery begins with a table of its own.
TABLES_READ = re.compile(r"\b(?:JOIN(?! LATERAL| \()|FROM)\b")
WORKSPACES_COMPARED = re.compile(r"\b\w+\.workspace_id = \w+\.workspace_id\b")
DAMAGES = {
    "ALTER VIEW reading.model RENAME COLUMN next_version TO following_version": ("Model: ", "next_version"),
    "ALTER VIEW reading.model RENAME COLUMN name_key TO key_of_name": ("Query.models by NAME: ", "name_key"),
    "ALTER VIEW reading.service_of_model_version RENAME COLUMN model_version_id TO version_id": (
        "ModelVersion: ",
        "model_version_id",
    ),
    "DROP VIEW reading.model_file": ("ModelFile: ", "reading.model_file"),
    "DROP VIEW reading.service CASCADE": ("RealTimeService: ", "reading.service"),
    "DROP VIEW reading.upload_file; CREATE VIEW reading.upload_file AS SELECT 1 AS number": (
        "Upload: ",
        "workspace_id",
    ),
}


@pytest.fixture
async def reading_pool(database_url: str) -> AsyncIterator[ReadingPool]:
    async with await create_reading_pool(database_url, size=1) as opened:
        yield opened


def composite_types() -> Iterator[GraphQLObjectType | GraphQLInterfaceType]:
    for kind in SCHEMA.type_map.values():
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType) and not kind.name.startswith("__"):
            yield kind


def is_stored(kind: GraphQLNamedType) -> bool:
    declared = origin(kind)
    return declared is not None and stored_of(declared) is not None


def reachable_types() -> set[str]:
    """What a query can come to."""
    waiting: list[GraphQLNamedType] = [SCHEMA.type_map["Query"]]
    found: set[str] = set()
    while waiting:
        kind = waiting.pop()
        if kind.name in found:
            continue
        found.add(kind.name)
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
            waiting += [get_named_type(each.type) for each in kind.fields.values()]
        if isinstance(kind, GraphQLUnionType | GraphQLInterfaceType):
            waiting += SCHEMA.get_possible_types(kind)
    return found


async def damage(database_url: str, statement: str) -> None:
    async with connection(database_url) as session:
        await session.execute(statement)


async def test_the_database_has_all_that_is_mapped(reading_pool: ReadingPool) -> None:
    assert await missing(reading_pool, SCHEMA, EXECUTION.keys) == []


def test_each_stored_type_and_each_list_is_looked_for() -> None:
    looked_for = {name for name, _ in statements(SCHEMA, EXECUTION.keys)}
    assert {kind.name for kind in composite_types() if isinstance(kind, GraphQLObjectType) and is_stored(kind)} <= (
        looked_for
    )
    assert {"Query.models", "Query.models by NAME", "Query.auditEvents", "Model.versions"} <= looked_for


@pytest.mark.parametrize(("statement", "said"), DAMAGES.items(), ids=[said[0] for said in DAMAGES.values()])
async def test_what_the_database_lacks_is_named(
    reading_pool: ReadingPool, database_url: str, statement: str, said: tuple[str, str]
) -> None:
    await damage(database_url, statement)
    told = await missing(reading_pool, SCHEMA, EXECUTION.keys)
    assert any(line.startswith(said[0]) and said[1] in line for line in told), told


async def test_a_server_does_not_start_where_something_is_lacking(database_url: str, tmp_path: Path) -> None:
    await damage(database_url, "ALTER VIEW reading.model RENAME COLUMN next_version TO following_version")
    ended = await run_beside(
        "serve",
        DATABASE_URL=database_url,
        MODELYARD_PORT=str(free_port()),
        MODELYARD_DATA_DIR=str(tmp_path / "data"),
        MODELYARD_LOG_LEVEL="error",
    )
    assert_refused(ended, "The database lacks what the schema reads", "Model: ", "next_version")


def test_each_field_of_a_stored_type_says_where_its_objects_are() -> None:
    """A field that says nothing is a column, which holds no objects; one with a resolver of its own is on its own."""
    silent = [
        f"{kind.name}.{name}"
        for kind in composite_types()
        if is_stored(kind)
        for name, definition in kind.fields.items()
        if (declared := strawberry_field(definition)) is not None
        and isinstance(mapping_of(declared), mapped.Column)
        and not is_leaf_type(get_named_type(definition.type))
    ]
    assert silent == []


def test_each_field_of_a_stored_type_is_mapped_or_has_a_resolver() -> None:
    neither = [
        f"{kind.name}.{name}"
        for kind in composite_types()
        if is_stored(kind)
        for name, definition in kind.fields.items()
        if (declared := strawberry_field(definition)) is None
        or (mapping_of(declared) is None and declared.base_resolver is None)
    ]
    assert neither == []


def test_what_a_stored_field_answers_with_is_stored_somewhere() -> None:
    """The objects of a relation have rows of their own; those of a connection are its nodes."""
    nowhere = []
    for kind in composite_types():
        for name, definition in kind.fields.items():
            declared = strawberry_field(definition)
            target = get_named_type(definition.type)
            match mapping_of(declared) if declared else None:
                case mapped.ToMany():
                    assert isinstance(target, GraphQLObjectType)
                    target = get_named_type(target.fields["nodes"].type)
                case mapped.ToOne() | mapped.Rows() | mapped.ByKey() | mapped.Find():
                    pass
                case _:
                    continue
            if not is_stored(target):
                nowhere.append(f"{kind.name}.{name}")
    assert nowhere == []


def test_each_stored_type_can_be_reached_by_a_query() -> None:
    stored = {kind.name for kind in composite_types() if is_stored(kind)}
    assert len(stored) > 10
    assert stored - reachable_types() == set()


async def test_rows_of_each_view_say_of_which_workspace_they_are(pool: Pool) -> None:
    views = {row["name"] for row in await pool.fetch(VIEWS)}
    columns = await pool.fetch(
        """SELECT table_name
        FROM information_schema.columns
        WHERE table_schema = 'reading' AND column_name = 'workspace_id' AND data_type = 'uuid'"""
    )
    assert {row["table_name"] for row in columns} == views


async def test_views_bring_rows_together_within_a_workspace_only(pool: Pool) -> None:
    """Whatever a view has beside its first table, joined or in a subquery, is of that row's workspace."""
    for row in await pool.fetch(VIEWS):
        others = len(TABLES_READ.findall(re.sub(r"\(epoch FROM", "", row["definition"]))) - 1
        assert len(WORKSPACES_COMPARED.findall(row["definition"])) >= others, row["name"]
