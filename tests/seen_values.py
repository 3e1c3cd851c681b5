"""What a workspace showed: objects by type, ids, cursors. Documents are made with values of it."""

import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
    is_abstract_type,
    is_composite_type,
    is_leaf_type,
    is_required_argument,
    is_required_input_field,
    is_scalar_type,
)

Ask = Callable[[str], Awaitable[Any]]


@dataclass(slots=True)
class Seen:
    """`objects` are by their types' and interfaces' names, `cursors` by their list, such as Model.versions."""

    objects: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    scalars: dict[str, list[Any]] = field(default_factory=dict)
    cursors: dict[str, list[str]] = field(default_factory=dict)

    @property
    def ids(self) -> list[str]:
        return list(dict.fromkeys(self.scalars.get("ID", [])))

    def ids_of(self, kind: str) -> list[str]:
        return [found["id"] for found in self.objects.get(kind, []) if "id" in found]

    def one_with(self, kind: str, names: list[str], picker: random.Random) -> dict[str, Any] | None:
        """An object of the type that has values under all of the names."""
        fitting = [found for found in self.objects.get(kind, []) if all(found.get(name) is not None for name in names)]
        return picker.choice(fitting) if fitting else None


@dataclass(frozen=True, slots=True)
class Visit:
    """An object in an answer to a `selection`: its values by field, and the list that it is a page of, if it is."""

    kind: GraphQLObjectType
    values: dict[str, Any]
    lists: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its type and of the interfaces that it has."""
        return (self.kind.name, *(interface.name for interface in self.kind.interfaces))


async def look_around(schema: GraphQLSchema, ask: Ask, *, depth: int = 3) -> Seen:
    """Read the lists of the roots, each with what hangs below its nodes. `ask` answers a document with its data."""
    seen = Seen()
    assert schema.query_type is not None
    for name, found in schema.query_type.fields.items():
        kind = get_named_type(found.type)
        if is_bare(found) and is_composite_type(kind) and not name.startswith("_"):
            size = "(first: 12)" if "first" in found.args else ""
            data = await ask(f"{{ {name}{size} {selection(schema, kind, depth)} }}")
            for visit in visits(schema, kind, data[name], (f"{schema.query_type.name}.{name}",)):
                _note(seen, visit)
            for key, order in orders(found):
                page = await ask(f"{{ {name}(first: 12, orderBy: {order}) {{ edges {{ cursor }} }} }}")
                seen.cursors.setdefault(key, []).extend(edge["cursor"] for edge in page[name]["edges"])
    return seen


def orders(found: GraphQLField) -> Iterator[tuple[str, str]]:
    """The literals of a list's orders, each with the key under which its cursors are noted."""
    kind = get_named_type(found.args["orderBy"].type) if "orderBy" in found.args else None
    if isinstance(kind, GraphQLInputObjectType):
        choices = [
            [("", "")] * (not is_required_input_field(field)) + _choices(name, field)
            for name, field in kind.fields.items()
        ]
        for chosen in product(*choices):
            given = {name: value for name, value in chosen if name}
            yield order_key(found, given), f"{{{', '.join(f'{name}: {value}' for name, value in given.items())}}}"


def order_key(found: GraphQLField, order: Any) -> str:
    """One key for all lists of a kind in an order: a cursor of one is good for another."""
    return f"{get_named_type(found.args['orderBy'].type).name}{sorted(order.items())}"


def _choices(name: str, field: GraphQLInputField) -> list[tuple[str, str]]:
    kind = get_named_type(field.type)
    return [(name, value) for value in kind.values] if isinstance(kind, GraphQLEnumType) else []


def selection(
    schema: GraphQLSchema, kind: GraphQLNamedType, depth: int, *, page_size: int = 3, with_nodes: bool = False
) -> str:
    """Everything of a type that needs no argument, with what is below it down to a depth in objects.

    The nodes of a page are those of its edges, and asked for a second time only `with_nodes`.
    """
    parts = ["__typename"]
    for member in _members(schema, kind):
        below = list(_fields(schema, member, depth, page_size, with_nodes=with_nodes))
        if is_abstract_type(kind):
            # Fields of several members may bear one name and not one type: each has its own.
            own = [f"{member.name}_{name}: {text}" for name, text in below]
            parts.append(f"... on {member.name} {{ {' '.join(['__typename', *own])} }}")
        else:
            parts += [text for _, text in below]
    return f"{{ {' '.join(parts)} }}"


def visits(schema: GraphQLSchema, kind: GraphQLNamedType, answer: Any, lists: tuple[str, ...] = ()) -> Iterator[Visit]:
    """The objects of an answer to a `selection` of the type, however deep."""
    for value in _each(answer):
        concrete = schema.type_map[value["__typename"]]
        assert isinstance(concrete, GraphQLObjectType)
        prefix = f"{concrete.name}_" if is_abstract_type(kind) else ""
        values = {name: value[f"{prefix}{name}"] for name in concrete.fields if f"{prefix}{name}" in value}
        visit = Visit(concrete, values, lists)
        yield visit
        for name, below in values.items():
            found = get_named_type(concrete.fields[name].type)
            if is_composite_type(found):
                places = lists if name == "edges" else tuple(f"{owner}.{name}" for owner in visit.names)
                yield from visits(schema, found, below, places)


def is_bare(found: GraphQLField) -> bool:
    """Whether the field needs no argument."""
    return not any(is_required_argument(argument) for argument in found.args.values())


def _members(schema: GraphQLSchema, kind: GraphQLNamedType) -> Sequence[GraphQLObjectType]:
    if isinstance(kind, GraphQLObjectType):
        return [kind]
    assert isinstance(kind, GraphQLInterfaceType | GraphQLUnionType)
    return schema.get_possible_types(kind)


def _fields(
    schema: GraphQLSchema, kind: GraphQLObjectType, depth: int, page_size: int, *, with_nodes: bool
) -> Iterator[tuple[str, str]]:
    """The fields' names and texts."""
    for name, found in kind.fields.items():
        below = get_named_type(found.type)
        is_again = name == "nodes" and "edges" in kind.fields and not with_nodes
        if not is_bare(found) or name.startswith("_") or is_again:
            continue
        if is_leaf_type(below):
            yield name, name
        elif depth > 0:
            # Pages cost no depth: an object's list is as far from it as an object is.
            costs = not below.name.endswith(("Connection", "Edge"))
            size = f"(first: {page_size})" if "first" in found.args else ""
            inner = selection(schema, below, depth - costs, page_size=page_size, with_nodes=with_nodes)
            yield name, f"{name}{size} {inner}"


def _each(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    elif isinstance(value, list):
        for entry in value:
            yield from _each(entry)


def _note(seen: Seen, visit: Visit) -> None:
    plain: dict[str, Any] = {}
    for name, value in visit.values.items():
        kind = get_named_type(visit.kind.fields[name].type)
        if not is_leaf_type(kind) or value is None:
            continue
        plain[name] = value
        if is_scalar_type(kind):
            seen.scalars.setdefault(kind.name, []).extend(value if isinstance(value, list) else [value])
    if "cursor" in plain:
        for place in visit.lists:
            seen.cursors.setdefault(place, []).append(plain["cursor"])
    for name in visit.names:
        seen.objects.setdefault(name, []).append(plain)
