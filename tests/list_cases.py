"""The lists at the root of the schema in each of their orders and with each of their filters, as operations."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    is_list_type,
)

from db.connection import Pool
from db.reading import Comparison
from gql.definition import input_field, origin, strawberry_field
from gql.filter import Having, Restriction, restriction_of
from gql.identifier import Prefix, encode
from gql.mapping import ToMany, mapping_of, stored_of

ABSENT_TEXT = "no-row-has-this"
ABSENT_DIGEST = "0" * 64
# No index of parts of texts has anything so short.
SHORT_TEXTS = ("zz", "%", "")
# What a column is given as, where it is read as something else.
GIVEN_AS = {"version_number": "version"}
ABSENT = {"version_number": "98.7.6"}
NEVER = ("0001-01-01T00:00:00Z", "9999-12-31T00:00:00Z")


@dataclass(frozen=True, slots=True)
class ListField:
    """A list at the root, and the view that its rows are in."""

    name: str
    definition: GraphQLField
    view: str

    @property
    def node(self) -> GraphQLNamedType:
        connection = get_named_type(self.definition.type)
        assert isinstance(connection, GraphQLObjectType)
        node: GraphQLNamedType = get_named_type(connection.fields["nodes"].type)
        return node

    def input_type(self, argument: str) -> GraphQLInputObjectType | None:
        if argument not in self.definition.args:
            return None
        kind = get_named_type(self.definition.args[argument].type)
        assert isinstance(kind, GraphQLInputObjectType)
        return kind

    def document(self, selection: str) -> str:
        """With variables for all arguments."""
        given = self.definition.args.items()
        declared = ", ".join(f"${name}: {argument.type}" for name, argument in given)
        passed = ", ".join(f"{name}: ${name}" for name, _ in given)
        return f"query ({declared}) {{ list: {self.name}({passed}) {{ {selection} }} }}"

    @property
    def page_document(self) -> str:
        assert isinstance(self.node, GraphQLObjectType | GraphQLInterfaceType)
        columns = " ".join(name for name, each in self.node.fields.items() if is_leaf_type(get_named_type(each.type)))
        return self.document(f"pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} nodes {{ {columns} }}")

    @property
    def count_document(self) -> str:
        return self.document("totalCount")

    def orders(self) -> Iterator[Mapping[str, str] | None]:
        yield None
        if kind := self.input_type("orderBy"):
            fields = get_named_type(kind.fields["field"].type)
            assert isinstance(fields, GraphQLEnumType)
            for name in fields.values:
                yield from ({"field": name, "direction": direction} for direction in ("ASC", "DESC"))


def list_fields(schema: GraphQLSchema) -> Iterator[ListField]:
    assert schema.query_type is not None
    for name, definition in schema.query_type.fields.items():
        declared = strawberry_field(definition)
        mapping = mapping_of(declared) if declared else None
        if isinstance(mapping, ToMany):
            made = ListField(name, definition, mapping.view or "")
            cls = origin(made.node)
            stored = stored_of(cls) if cls else None
            assert stored is not None
            yield ListField(name, definition, mapping.view or stored.view)


async def list_filters(pool: Pool, workspace_id: UUID, of: ListField) -> list[Mapping[str, Any] | None]:
    """None, then each filter alone: with what many rows have, with what few have, and with what none has."""
    kind = of.input_type("filter")
    return [None, *(await _filters(pool, workspace_id, of.view, kind) if kind else ())]


def kind_of(given: Mapping[str, Any] | None) -> str:
    """A filter's name, behind that of the filter that it is in; with several values it is served in another way."""
    if given is None:
        return "no filter"
    ((name, value),) = given.items()
    if isinstance(value, dict):
        return f"{name}.{kind_of(value)}"
    return f"{name} of several" if isinstance(value, list) and len(value) > 1 else name


async def _filters(pool: Pool, workspace_id: UUID, view: str, kind: GraphQLInputObjectType) -> list[Mapping[str, Any]]:
    filters: list[Mapping[str, Any]] = []
    for name, each in kind.fields.items():
        rule, nested = restriction_of(input_field(each)), get_named_type(each.type)
        if isinstance(rule, Having):
            assert isinstance(nested, GraphQLInputObjectType)
            values: list[Any] = await _filters(pool, workspace_id, rule.view, nested)
        else:
            values = await _values(pool, workspace_id, view, each, rule)
        filters += [{name: value} for value in values]
    return filters


async def _values(pool: Pool, workspace_id: UUID, view: str, of: GraphQLInputField, rule: Restriction) -> list[Any]:
    single = await _single_values(pool, workspace_id, view, get_named_type(of.type), rule)
    if not is_list_type(get_nullable_type(of.type)):
        return single
    return [*([value] for value in single), single[-2:], single]


async def _single_values(
    pool: Pool, workspace_id: UUID, view: str, kind: GraphQLNamedType, rule: Restriction
) -> list[Any]:
    if isinstance(kind, GraphQLEnumType):
        return list(kind.values)
    match kind.name:
        case "Boolean":
            return [True, False]
        case "DateTime":
            return list(NEVER)
        case "ID":
            found = await _most_and_least_common(pool, workspace_id, view, rule)
            return [encode(Prefix.MODEL_VERSION, key) for key in (*found, UUID(int=0))]
        case "String":
            return _texts(rule, await _most_and_least_common(pool, workspace_id, view, rule))
    raise NotImplementedError(f"values of a filter that takes a {kind.name}")


def _texts(rule: Restriction, found: list[Any]) -> list[str]:
    if rule.type == "bytea":
        return [*(value.hex() for value in found), ABSENT_DIGEST]
    if rule.comparison is Comparison.STARTS_WITH:
        return [*(value[:3] for value in found), *found, ABSENT_TEXT]
    if rule.comparison is Comparison.LIKE:
        return [*(value[2:].upper() for value in found), found[0][2:4], ABSENT_TEXT, *SHORT_TEXTS]
    return [*found, ABSENT.get(rule.column, ABSENT_TEXT)]


async def _most_and_least_common(pool: Pool, workspace_id: UUID, view: str, rule: Restriction) -> list[Any]:
    rows = await pool.fetch(
        f"""SELECT value
        FROM (SELECT {_compared(rule)} AS value FROM reading.{view} AS listed WHERE workspace_id = $1) AS given
        WHERE value IS NOT NULL
        GROUP BY value
        ORDER BY count(*) DESC, value""",
        workspace_id,
    )
    assert rows, f"no row of {view} has anything in {rule.column}"
    return list(dict.fromkeys((rows[0]["value"], rows[-1]["value"])))


def _compared(rule: Restriction) -> str:
    """What of a row a filter's value is to be equal to."""
    if rule.named_in is not None:
        return f"""(SELECT named.name FROM reading.{rule.named_in} AS named
            WHERE named.workspace_id = listed.workspace_id AND named.id = listed.{rule.column})"""
    if rule.comparison is Comparison.CONTAINS:
        return f"unnest({rule.column})"
    return GIVEN_AS.get(rule.column, rule.column)
