"""What one operation may ask for."""

from __future__ import annotations

import time

import pytest
from graphql import GraphQLError, GraphQLSchema, build_schema, get_introspection_query, get_operation_ast, parse

from gql.cost import INTROSPECTION_COST, operation_cost
from gql.fault_code import FaultCode
from gql.limits import SATURATED, Limits, parse_options
from gql.validation import document_errors
from tests.api import Api
from tests.stand_in import stand_in_schema

FULL_INTROSPECTION = get_introspection_query(
    descriptions=True,
    specified_by_url=True,
    directive_is_repeatable=True,
    schema_description=True,
    input_value_deprecation=True,
)


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return build_schema(stand_in_schema().as_str())


def chained(count: int, width: int = 1) -> str:
    """A query through `count` fragments, each spreading the next `width` times, so width ** count selections."""
    links = (f"fragment F{n} on Query {{ {f'...F{n + 1} ' * width} }}" for n in range(count))
    return "{ ...F0 } " + " ".join(links) + f" fragment F{count} on Query {{ echo }}"


def nested(depth: int) -> str:
    """A query that is so many fields deep."""
    return "{ models { " + "siblings { " * (depth - 2) + "id" + " }" * depth


def refused_for(schema: GraphQLSchema, text: str, limits: Limits | None = None) -> list[str]:
    return [error.message for error in document_errors(schema, parse(text), limits or Limits())]


@pytest.mark.parametrize(
    ("fitting", "too_large", "message"),
    [
        (nested(15), nested(16), "Exceeds the limit of 15 for depth."),
        (
            "{ models {" + "a: id " * 30 + "} }",
            "{ models {" + "a: id " * 31 + "} }",
            "Exceeds the limit of 30 for aliases.",
        ),
        (
            "{ models { " + "a" * 100 + ": id } }",
            "{ models { " + "a" * 101 + ": id } }",
            "Exceeds the limit of 100 for characters of an alias.",
        ),
        ("{" + "echo " * 20 + "}", "{" + "echo " * 21 + "}", "Exceeds the limit of 20 for root fields."),
        (
            "{" + "echo @skip(if: false) " * 10 + "... on Query @skip(if: false) { echo }" * 10 + "}",
            "query "
            + "@a " * 10
            + "{ echo"
            + " @skip(if: false)" * 10
            + "... on Query @skip(if: false) { echo }" * 11
            + "}",
            "Exceeds the limit of 30 for directives.",
        ),
        (
            "query ($a: Int @a @b) { echo }",
            "query ($a: Int " + "@a " * 31 + ") { echo }",
            "Exceeds the limit of 30 for directives.",
        ),
        (
            "{ models {" + "id " * 100 + "} }",
            "{ models {" + "id " * 2_000 + "} }",
            "Exceeds the limit of 2000 for selections.",
        ),
        (
            "{" + "...on Query{" * 59 + "echo" + "}" * 60,
            "{" + "...on Query{" * 60 + "echo" + "}" * 61,
            "Exceeds the limit of 60 for nesting.",
        ),
    ],
)
def test_a_document_may_reach_a_limit_but_not_exceed_it(
    schema: GraphQLSchema, fitting: str, too_large: str, message: str
) -> None:
    assert not [told for told in refused_for(schema, fitting) if told.startswith("Exceeds")]
    assert refused_for(schema, too_large) == [message]


@pytest.mark.parametrize(
    ("text", "fitting", "exceeded", "message"),
    [
        (
            "{ ...A } fragment A on Query { models { ...B } } fragment B on Model { siblings { siblings { id } } }",
            Limits(depth=4),
            Limits(depth=3),
            "Exceeds the limit of 3 for depth.",
        ),
        (
            "{ ...A ...A } fragment A on Query { a: echo b: echo }",
            Limits(aliases=4),
            Limits(aliases=3),
            "Exceeds the limit of 3 for aliases.",
        ),
        (
            "{ ...A } fragment A on Query { ... { models { b: id abcd: id } } }",
            Limits(alias_characters=4),
            Limits(alias_characters=3),
            "Exceeds the limit of 3 for characters of an alias.",
        ),
        (
            "{ ...A ...A } fragment A on Query { echo @skip(if: true) ...@skip(if: true) { echo } }",
            Limits(directives=4),
            Limits(directives=3),
            "Exceeds the limit of 3 for directives.",
        ),
        (
            "{ ...A ...A } fragment A on Query { echo models { id } }",
            Limits(selections=6),
            Limits(selections=5),
            "Exceeds the limit of 5 for selections.",
        ),
        (
            "{ ...A ...A } fragment A on Query { echo ... { fault } }",
            Limits(root_fields=4),
            Limits(root_fields=3),
            "Exceeds the limit of 3 for root fields.",
        ),
    ],
)
def test_limits_count_through_fragments(
    schema: GraphQLSchema, text: str, fitting: Limits, exceeded: Limits, message: str
) -> None:
    assert refused_for(schema, text, fitting) == []
    assert message in refused_for(schema, text, exceeded)


def test_fragments_that_double_cost_no_more_than_their_text(schema: GraphQLSchema) -> None:
    started = time.process_time()
    messages = refused_for(schema, chained(50, width=2))
    assert time.process_time() - started < 0.5
    assert "Exceeds the limit of 2000 for selections." in messages


@pytest.mark.parametrize("is_used", [True, False])
def test_a_long_chain_of_fragments_is_refused_before_it_exhausts_the_stack(
    schema: GraphQLSchema, is_used: bool
) -> None:
    text = chained(1_000) if is_used else "{ echo } " + chained(1_000).removeprefix("{ ...F0 }")
    messages = refused_for(schema, text)
    assert set(messages) == {"Exceeds the limit of 60 for nesting."}
    assert len(messages) == Limits().validation_errors


def test_cyclic_fragments_are_refused_once(schema: GraphQLSchema) -> None:
    text = "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }"
    assert refused_for(schema, text) == ["Cannot spread fragment 'A' within itself via 'B'."]


def test_many_mistakes_are_reported_up_to_a_number(schema: GraphQLSchema) -> None:
    assert len(refused_for(schema, "{ models {" + " ".join(f"no{n}" for n in range(500)) + "} }")) <= 6


def test_a_document_of_overlapping_fields_is_validated_quickly(schema: GraphQLSchema) -> None:
    spreads = " ".join(f"models {{ ...F{n} }}" for n in range(20))
    fragments = " ".join(f"fragment F{n} on Model {{ siblings {{ id name }} }}" for n in range(20))
    started = time.process_time()
    assert refused_for(schema, f"{{ {spreads} }} {fragments}") == []
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    "text",
    [
        "{" + " echo" * 10_001 + "}",
        "{ echo }" + "#\n" * 1_001,
        "{ echo }" + " " * 100_000,
        "{ models {} }",
        "{" + "a{" * 5_000,
    ],
)
def test_what_cannot_be_parsed_in_bounds_is_a_syntax_error(text: str) -> None:
    with pytest.raises(GraphQLError):
        parse(text, **parse_options(Limits()))


def test_introspection_fits_into_the_default_limits(schema: GraphQLSchema) -> None:
    document = parse(FULL_INTROSPECTION, **parse_options(Limits()))
    operation = get_operation_ast(document)
    assert operation is not None
    assert document_errors(schema, document, Limits()) == []
    assert operation_cost(schema, document, operation, None) == INTROSPECTION_COST <= Limits().cost


@pytest.mark.parametrize(
    "text", ["{ __schema { queryType { name } } }", '{ __type(name: "Query") { name } }', "{ _service { sdl } }"]
)
def test_introspection_can_be_closed(schema: GraphQLSchema, text: str) -> None:
    errors = document_errors(schema, parse(text), Limits(introspection=False))
    assert any("introspection has been disabled" in error.message for error in errors)
    assert {error.extensions["code"] for error in errors if error.extensions} == {FaultCode.GRAPHQL_VALIDATION_FAILED}


def test_a_closed_schema_suggests_no_names(schema: GraphQLSchema) -> None:
    assert "Did you mean" in refused_for(schema, "{ ech }")[0]
    assert "Did you mean" not in refused_for(schema, "{ ech }", Limits(introspection=False))[0]


@pytest.mark.parametrize(
    ("text", "variables", "cost"),
    [
        ("{ echo }", {}, 1),
        ("{ echo __typename }", {}, 2),
        ("{ models(first: 10) { id name } }", {}, 21),
        ("{ models { id } }", {}, 21),
        ("{ models(first: null) { id } }", {}, 21),
        ("query ($n: Int) { models(first: $n) { id } }", {"n": 7}, 8),
        ("query ($n: Int = 3) { models(first: $n) { id } }", {}, 4),
        ("query ($n: Int = 3) { models(first: $n) { id } }", {"n": 5}, 6),
        ("{ models(first: -4) { id } }", {}, 2),
        ("{ models(first: 10) { siblings(first: 10) { id } } }", {}, 1 + 10 * 11),
        ("{ models(first: 10) { ...M ...M } } fragment M on Model { id ... on Model { name } }", {}, 41),
        ('{ nodes(ids: ["a", "b", "c"]) { id } }', {}, 4),
        ("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": ["a", "b"]}, 3),
        ("{ models(first: 2147483647) { siblings(first: 2147483647) { id } } }", {}, SATURATED),
    ],
)
def test_cost_multiplies_by_the_pages_asked_for(
    schema: GraphQLSchema, text: str, variables: dict[str, object], cost: int
) -> None:
    document = parse(text)
    operation = get_operation_ast(document)
    assert operation is not None
    assert operation_cost(schema, document, operation, variables) == cost


async def test_an_operation_that_costs_too_much_is_refused_with_its_variables() -> None:
    schema = stand_in_schema(Limits(cost=100))
    query = "query ($n: Int!) { models(first: $n) { id } }"
    fitting = await schema.execute(query, {"n": 99})
    assert fitting.errors is None
    assert fitting.extensions == {"cost": {"requested": 100, "maximum": 100}}
    refused = await schema.execute(query, {"n": 100})
    assert refused.errors is not None
    assert [error.extensions for error in refused.errors] == [{"code": "OPERATION_TOO_LARGE"}]


async def test_an_alias_is_repeated_in_the_answer_up_to_a_length(api: Api) -> None:
    for name in ("models", "__typename"):
        document = f"{{ {{alias}}: {name}{' { nodes { id } }' if name == 'models' else ''} }}"
        assert list(await api.ask(document.replace("{alias}", "a" * 100))) == ["a" * 100]
        answer = await api.send(document.replace("{alias}", "a" * 101))
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["OPERATION_TOO_LARGE"]
        assert "data" not in answer
