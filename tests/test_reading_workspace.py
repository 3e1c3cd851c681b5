"""Whoever reads reaches rows of its own workspace by every path of the schema, and no row of another by any."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLObjectType, GraphQLSchema, get_named_type, is_composite_type

from db.connection import Pool
from db.reading import WORKSPACE_FREE
from gql.identifier import Prefix
from gql.mapping import stored_kind
from tests.differential import Attempt, least_difference
from tests.reading_stage import WIDE, Answer, Case, Executor, Stage, executors, open_stage
from tests.reading_walk import along, asked_by, end_of, paged_by, ways
from tests.seen_values import Seen, is_bare, look_around, selection, visits

# What mutations answer, and errors that they alone have, and what a preview found: no row is behind these.
ROWLESS = frozenset(
    {
        "AliasMovedError",
        "AlreadyExistsError",
        "ConflictError",
        "DeploymentPlan",
        "ImportPreview",
        "InUseError",
        "ModelVersionUser",
        "PlannedCapacity",
        "PlannedTarget",
        "ResourceAmounts",
        "UnsupportedByEngineError",
    }
)


@dataclass(frozen=True, slots=True)
class World:
    """Both executors, and what the owner and the stranger were shown of their own."""

    stage: Stage
    planning: Executor
    alone: Executor
    ours: Seen
    theirs: Seen

    async def ask(self, case: Case) -> Answer:
        """What both executors answer to the owner: nothing of anybody else."""
        planned, alone = [await executor.answer(case, self.stage.ours) for executor in (self.planning, self.alone)]
        for answer in (planned, alone):
            assert not self.stage.leaks(self.stage.ours, case, answer), (case, answer)
        if not planned.agrees(alone):
            attempt = Attempt("", 0, self.stage.ours, case)
            pytest.fail(str(await least_difference(self.planning, self.alone, attempt)))
        return planned


@pytest.fixture
async def world(pool: Pool, database_url: str, data_dir: Path) -> AsyncIterator[World]:
    async with open_stage(pool, database_url, data_dir) as stage:
        planning, alone = executors(stage, WIDE)
        ours, theirs = [
            await look_around(alone.graphql_schema, lambda document, owner=owner: alone.data(document, owner), depth=2)  # type: ignore[misc]
            for owner in (stage.ours, stage.theirs)
        ]
        yield World(stage, planning, alone, ours, theirs)


def texts(value: Any) -> set[str]:
    """Every text in a JSON value but for the names of its members."""
    match value:
        case str():
            return {value}
        case Mapping():
            return set().union(*map(texts, value.values()))
        case list():
            return set().union(*map(texts, value))
    return set()


def types_of_all_workspaces(schema: GraphQLSchema) -> set[str]:
    """What workspaces show each other."""
    stored = {name: stored_kind(kind) for name, kind in schema.type_map.items()}
    return {name for name, found in stored.items() if found is not None and found.view == WORKSPACE_FREE}


def reachable(kinds: Counter[str]) -> set[str]:
    return {name for name, count in kinds.items() if count}


async def test_every_path_shows_rows_of_ones_own_and_of_nobody_else(world: World) -> None:
    schema = world.planning.graphql_schema
    shown: Counter[str] = Counter()
    edges: dict[str, bool] = {}
    for way in ways(schema):
        answer = await world.ask(
            Case(along(schema, way, selection(schema, schema.type_map[way.end], 2, with_nodes=True)), {})
        )
        assert not answer.is_refused, (way, answer.errors)
        for found in end_of(way, json.loads(answer.data or "")):
            for visit in visits(schema, schema.type_map[way.end], found):
                shown[visit.kind.name] += 1
                for name, value in visit.values.items():
                    if is_composite_type(get_named_type(visit.kind.fields[name].type)):
                        edge = f"{visit.kind.name}.{name}"
                        edges[edge] = edges.get(edge, False) or bool(value)
    kinds = {
        name: kind
        for name, kind in schema.type_map.items()
        if isinstance(kind, GraphQLObjectType) and not name.startswith("_") and kind is not schema.mutation_type
        if not name.endswith("Payload") and name not in ROWLESS and name != "Prediction"
    }
    assert kinds.keys() - reachable(shown) == set(), "no row of these types was shown"
    wanted = {
        f"{name}.{field}"
        for name, kind in kinds.items()
        for field, found in kind.fields.items()
        if is_composite_type(get_named_type(found.type)) and is_bare(found) and not field.startswith("_")
    }
    assert wanted - {edge for edge, has_rows in edges.items() if has_rows} == set(), "nothing came by these fields"


async def test_a_root_shows_what_it_is_asked_for_by_id_and_name(world: World) -> None:
    shown: Counter[str] = Counter()
    asked: set[str] = set()
    for name, case in asked_by(world.planning.graphql_schema, world.planning.keys, world.ours):
        answer = await world.ask(case)
        assert not answer.is_refused, (case, answer.errors)
        asked.add(name)
        shown[name] += json.loads(answer.data or "")[name] not in (None, [])
    assert reachable(shown) == asked
    assert asked


async def test_a_root_shows_nothing_for_the_ids_and_names_of_another_workspace(world: World) -> None:
    everybodys = types_of_all_workspaces(world.planning.graphql_schema)
    for name, case in asked_by(world.planning.graphql_schema, world.planning.keys, world.theirs):
        answer = await world.ask(case)
        assert not answer.is_refused, (case, answer.errors)
        found = json.loads(answer.data or "")[name]
        things = [thing for thing in (found if isinstance(found, list) else [found]) if thing]
        if texts(case.variables) <= set(world.theirs.ids):
            assert {thing["__typename"] for thing in things} <= everybodys, (case, answer)


async def test_the_cursors_of_another_workspace_lead_to_rows_of_ones_own(world: World) -> None:
    schema, pages = world.planning.graphql_schema, 0
    for way in ways(schema):
        for case in paged_by(schema, way, world.theirs):
            answer = await world.ask(case)
            assert not answer.is_refused, (case, answer.errors)
            pages += '"cursor"' in (answer.data or "")
    assert pages


async def test_several_ids_of_both_workspaces_give_ones_own_alone(world: World) -> None:
    document = "query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }"
    for prefix in world.stage.ours.ids:
        own, foreign = world.stage.ours.ids[prefix][:3], world.stage.theirs.ids[prefix][:3]
        mixed = [identifier for pair in zip(own, foreign, strict=False) for identifier in pair]
        answer = await world.ask(Case(document, {"ids": [*mixed, *own[:1]]}))
        nodes = json.loads(answer.data or "")["nodes"]
        has_node = prefix is not Prefix.SERVICE_INSTANCE
        is_everybodys = prefix is Prefix.MARKET_LISTING
        seen = [identifier for identifier in [*mixed, *own[:1]] if identifier in own or is_everybodys]
        expected = seen if has_node else []
        assert [node["id"] for node in nodes if node] == expected, prefix
