"""What an operation is told to cost, and that what another one with the same text cost is not told in its place."""

from itertools import permutations
from typing import Any

import pytest
import strawberry
from strawberry.scalars import JSON

from gql.cost import COUNT_COST, UNSIZED_LIST_SIZE
from gql.limits import Limits
from gql.schema import Schema
from tests.api import Api

# For each node two fields, for the list one.
PAGE = "query ($first: Int, $last: Int) { models(first: $first, last: $last) { nodes { id } } }"
USUAL = "query ($first: Int = 3) { models(first: $first) { nodes { id } } }"


async def cost(api: Api, document: str, **variables: Any) -> int:
    answer = await api.send(document, **variables)
    requested: int = answer["extensions"]["cost"]["requested"]
    return requested


@pytest.mark.parametrize(
    ("arguments", "size"),
    [
        ("first: 7", 7),
        ("last: 7", 7),
        ("first: 1, last: 100", 100),
        ("first: 100, last: 1", 1),
        ("first: null, last: 100", 100),
        ("first: 100, last: null", 100),
        ("first: null, last: null", 20),
        ("first: null", 20),
    ],
)
async def test_a_page_costs_what_may_be_read(api: Api, arguments: str, size: int) -> None:
    assert await cost(api, f"{{ models({arguments}) {{ nodes {{ id }} }} }}") == 1 + 2 * size


@pytest.mark.parametrize(
    ("variables", "size"),
    [
        ({"first": 1, "last": 100}, 100),
        ({"first": 1.0, "last": 100.0}, 100),
        ({"last": 100.0}, 100),
        ({"first": 100.0}, 100),
        ({"first": 100}, 100),
        ({"first": 1}, 1),
        ({}, 20),
        ({"first": None, "last": None}, 20),
    ],
)
async def test_variables_cost_what_they_are_read_as(api: Api, variables: dict[str, Any], size: int) -> None:
    assert await cost(api, PAGE, **variables) == 1 + 2 * size


PRICES: tuple[tuple[dict[str, Any], int], ...] = (
    ({}, 3),
    ({"first": None}, 20),
    ({"first": 1}, 1),
    ({"first": 5.0}, 5),
)


@pytest.mark.parametrize("order", list(permutations(range(len(PRICES))))[::5])
async def test_absent_and_null_and_given_sizes_are_priced_apart_in_any_order(api: Api, order: tuple[int, ...]) -> None:
    for _ in range(2):
        for variables, size in (PRICES[place] for place in order):
            assert await cost(api, USUAL, **variables) == 1 + 2 * size, (order, variables)


@pytest.mark.parametrize(
    ("selection", "counts"),
    [
        ("totalCount", 1),
        ("totalCountIsExact", 1),
        ("totalCount totalCountIsExact", 2),
        ("a: totalCount ...C", 2),
    ],
)
async def test_a_count_costs_a_hundred(api: Api, selection: str, counts: int) -> None:
    fragment = "fragment C on ModelConnection { totalCount }" if "...C" in selection else ""
    document = f"query ($first: Int) {{ models(first: $first) {{ {selection} }} }} {fragment}"
    assert await cost(api, document, first=1) == 1 + counts * COUNT_COST


async def test_what_costs_too_much_is_refused_however_its_size_is_written(api: Api) -> None:
    below = "versions(first: 100) { nodes { id version status digest sizeBytes } }"
    document = f"query ($first: Int, $last: Int) {{ models(first: $first, last: $last) {{ nodes {{ {below} }} }} }}"
    for variables in ({"last": 100}, {"first": 1, "last": 100}, {"first": 100.0}, {"last": 100.0}):
        answer = await api.send(document, **variables)
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["OPERATION_TOO_LARGE"], variables
        assert "data" not in answer
    assert "errors" not in await api.send(document, first=1)


@strawberry.type
class Thing:
    name: str


@strawberry.type
class Query:
    @strawberry.field
    def things(self, of: JSON) -> list[Thing]:
        return [Thing(name=str(of))]


@pytest.mark.parametrize("is_number_first", [True, False])
async def test_a_number_and_a_list_of_so_many_are_priced_apart(is_number_first: bool) -> None:
    schema = Schema(query=Query, limits=Limits())
    prices: list[tuple[Any, int]] = [(2, 1 + UNSIZED_LIST_SIZE), (["a", "b"], 3), (["a"], 2), ([], 1)]
    for value, price in prices if is_number_first else prices[::-1]:
        result = await schema.execute("query ($of: JSON!) { things(of: $of) { name } }", {"of": value})
        assert result.extensions is not None
        assert result.extensions["cost"]["requested"] == price, value
