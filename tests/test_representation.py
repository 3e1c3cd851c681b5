"""Representations however they are written: one where a list is meant, with variables inside, and deep values."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from db.connection import Pool
from gql.limits import Limits
from tests.reading_stage import Answer, Case, Executor, Stage, executors, open_stage

FOUND = "__typename ... on Model { id name versions(first: 2) { nodes { version } } }"
ONE = f'query ($n: %s) {{ _entities(representations: {{__typename: "Model", name: $n}}) {{ {FOUND} }} }}'
IN_A_LIST = ONE.replace("representations: {", "representations: [{").replace("$n})", "$n}])")
WHOLE = f"query ($r: %s) {{ _entities(representations: $r) {{ {FOUND} }} }}"
INNER = (
    f'query ($r: _Any!) {{ _entities(representations: [$r, {{__typename: "Model", name: "absent"}}]) {{ {FOUND} }} }}'
)
NESTED = """query ($n: _Any) {
    _entities(representations: [{__typename: "Model", name: "absent", also: {in: [$n]}}]) { __typename } }"""


def deep(levels: int, *, is_list: bool) -> Any:
    value: Any = "end"
    for _ in range(levels):
        value = [value] if is_list else {"in": value}
    return value


@dataclass(frozen=True, slots=True)
class Both:
    """The two executors, and what they answer."""

    stage: Stage
    planning: Executor
    alone: Executor

    async def answers(self, document: str, variables: Mapping[str, Any]) -> tuple[Answer, Answer]:
        case = Case(document, variables)
        return await self.planning.answer(case, self.stage.ours), await self.alone.answer(case, self.stage.ours)

    async def names(self) -> list[str]:
        """Of models that there are."""
        data = await self.planning.data("{ models(first: 3) { nodes { name } } }", self.stage.ours)
        return [node["name"] for node in data["models"]["nodes"]]


@pytest.fixture
async def both(pool: Pool, database_url: str, data_dir: Path) -> AsyncIterator[Both]:
    async with open_stage(pool, database_url, data_dir) as stage:
        yield Both(stage, *executors(stage, Limits()))


async def test_one_object_is_a_list_of_one(both: Both) -> None:
    names = await both.names()
    for document in (ONE % "String", IN_A_LIST % "String"):
        assert await both.planning.plans(Case(document, {"n": names[0]}), both.stage.ours)
    for kind in ("String", "String!", "_Any", "ID"):
        for document in (ONE % kind, IN_A_LIST % kind):
            for name in (*names, "absent", names[0]):
                planned, alone = await both.answers(document, {"n": name})
                assert planned == alone, (document, name)
                assert planned.errors == "[]", (document, planned.errors)
                (entity,) = json.loads(planned.data or "")["_entities"]
                assert (entity or {"name": "absent"})["name"] == name
    planned, alone = await both.answers(WHOLE % "[_Any!]!", {"r": {"__typename": "Model", "name": names[0]}})
    assert planned == alone
    assert json.loads(planned.data or "")["_entities"][0]["name"] == names[0]


async def test_what_is_no_name_is_told_alike(both: Both) -> None:
    for value in (None, 5, 5.5, True, [], ["a"], {}, {"a": 1}, "half\0", "x" * 5_000, "é"):
        for document, name in (
            (ONE % "_Any", "n"),
            (IN_A_LIST % "_Any", "n"),
            (ONE % "String", "n"),
            (WHOLE % "[_Any!]!", "r"),
        ):
            planned, alone = await both.answers(document, {name: value})
            assert planned == alone, (document, value)
            assert not planned.is_failure, (document, value)


async def test_a_variable_that_is_left_out_is_told_alike(both: Both) -> None:
    for document in (ONE % "_Any", ONE % "String", IN_A_LIST % "String", ONE % 'String = "absent"'):
        planned, alone = await both.answers(document, {})
        assert planned == alone, document
        assert not planned.is_failure


async def test_values_may_be_nested_deeply(both: Both) -> None:
    (name, *_) = await both.names()
    for levels, is_list in product((1, 100, 900, 5_000), (True, False)):
        value = deep(levels, is_list=is_list)
        representation = {"__typename": "Model", "name": name, "also": value}
        for document, variables in (
            (WHOLE % "[_Any!]!", {"r": [representation]}),
            (WHOLE % "[_Any!]!", {"r": [value]}),
            (INNER, {"r": representation}),
            (NESTED, {"n": value}),
            (ONE % "_Any", {"n": value}),
        ):
            planned, alone = await both.answers(document, variables)
            assert planned == alone, (document, levels)
            assert not planned.is_failure, (document, planned.logged)
