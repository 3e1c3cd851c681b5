"""Inputs with exactly one field, by which a thing is asked for, and the variables in them."""

import pytest

from tests.api import Api
from tests.packages import NOTES, upload_job


async def bad_input(api: Api, document: str, **variables: object) -> None:
    answer = await api.send(document, **variables)
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["BAD_USER_INPUT"], answer


@pytest.mark.parametrize("by", [{}, {"id": "x", "name": "y"}, {"name": None}, {"id": "x", "name": None}])
async def test_a_variable_names_a_thing_in_one_way_at_a_time(api: Api, by: dict[str, str | None]) -> None:
    await bad_input(api, "query ($by: ModelBy!) { model(by: $by) { id } }", by=by)


@pytest.mark.parametrize("given", [{}, {"id": None}])
async def test_a_variable_without_a_value_names_nothing(api: Api, given: dict[str, None]) -> None:
    await bad_input(api, "query ($id: ID!) { model(by: {id: $id}) { id } }", **given)


@pytest.mark.parametrize("given", [{}, {"id": None}, {"id": "x"}])
async def test_a_variable_that_may_be_null_is_no_way_to_name_something(api: Api, given: dict[str, str | None]) -> None:
    answer = await api.send("query ($id: ID) { model(by: {id: $id}) { id } }", **given)
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["GRAPHQL_VALIDATION_FAILED"]


async def test_two_variables_are_two_ways(api: Api) -> None:
    document = "query ($id: ID!, $name: String!) { model(by: {id: $id, name: $name}) { id } }"
    answer = await api.send(document, id="x", name="y")
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["GRAPHQL_VALIDATION_FAILED"]


async def test_a_fragment_uses_the_variables_of_an_operation_that_comes_after_it(api: Api) -> None:
    await api.import_version("iris", await upload_job(api, NOTES))
    known = (await api.ask('{ model(by: {name: "iris"}) { id } }'))["model"]
    document = "fragment F on Query { model(by: {id: $v}) { id } } query Q($v: ID!) { ...F }"
    assert await api.ask(document, v=known["id"]) == {"model": known}
