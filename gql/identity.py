"""Things of any type by what names them: ids for Node's fields, federation's representations for `_entities`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias
from uuid import UUID

from graphql import (
    GraphQLError,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
)

from db.reading import KeyPart
from gql.bad_input import Unmatchable, bad_input, storable
from gql.connection import LARGEST_PAGE
from gql.definition import strawberry_field
from gql.federation import Keys, Representation, read_representations
from gql.identifier import Prefix, decode, parse
from gql.listing import Arguments
from gql.mapping import Stored, stored_kind

ID = KeyPart("id", "uuid")


@dataclass(frozen=True, slots=True)
class Branch:
    """One way to name things of the type `type_name`: the fields of a key, and the columns that they are."""

    type_name: str
    kinds: tuple[GraphQLObjectType, ...]
    stored: Stored
    fields: tuple[str, ...] = ("id",)
    key: tuple[KeyPart, ...] = (ID,)


@dataclass(frozen=True, slots=True)
class Named:
    """One thing that is asked for: the branch that finds it, and its key; no branch where nothing can be it."""

    branch: int | None = None
    key: tuple[str, ...] = ()

    def key_part(self, position: int) -> str | None:
        """A part of the key; None beyond its end, since branches' keys are of different lengths."""
        return self.key[position] if position < len(self.key) else None


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A thing with an id that no view has."""

    prefix: Prefix
    key: UUID


NOTHING = Named()
Asked: TypeAlias = Named | Elsewhere | GraphQLError
# Reads off the arguments what is asked for: each thing, or what is wrong with how it is named.
Names: TypeAlias = Callable[[Arguments], Sequence[Asked]]


@dataclass(frozen=True, slots=True)
class Identities:
    """What a field that takes names can find, and how it reads them."""

    branches: tuple[Branch, ...]
    names: Names

    @property
    def key_width(self) -> int:
        return max(len(branch.key) for branch in self.branches)


def identities(schema: GraphQLSchema, kind: GraphQLNamedType, keys: Keys, elsewhere: Collection[Prefix]) -> Identities:
    """For `node` and `nodes`, which answer with an interface, and for `_entities`, which answers with a union.

    `elsewhere` are the prefixes of ids that no view has.
    """
    if isinstance(kind, GraphQLInterfaceType):
        branches = tuple(_node_branches(schema, kind))
        return Identities(branches, partial(_nodes_named, branches, elsewhere))
    branches = tuple(_entity_branches(schema, keys))
    return Identities(branches, partial(_entities_named, branches, keys))


def _node_branches(schema: GraphQLSchema, node: GraphQLInterfaceType) -> Iterator[Branch]:
    """A branch for each view whose rows have ids."""
    kinds: dict[Stored, list[GraphQLObjectType]] = {}
    for kind in schema.get_possible_types(node):
        found = stored_kind(kind)
        if found is not None:
            kinds.setdefault(found, []).append(kind)
    for found, same in kinds.items():
        yield Branch(same[0].name, tuple(same), found)


def _entity_branches(schema: GraphQLSchema, keys: Keys) -> Iterator[Branch]:
    """A branch for each key of each entity."""
    for name, alternatives in keys.items():
        kind = schema.type_map[name]
        found = stored_kind(kind)
        assert found is not None
        assert isinstance(kind, GraphQLObjectType | GraphQLInterfaceType)
        possible = (kind,) if isinstance(kind, GraphQLObjectType) else tuple(schema.get_possible_types(kind))
        for fields in alternatives:
            yield Branch(name, possible, found, fields, tuple(_key_part(kind, field) for field in fields))


def _nodes_named(branches: Sequence[Branch], elsewhere: Collection[Prefix], arguments: Arguments) -> list[Asked]:
    """What each id names, or what is wrong with it. Raises GraphQLError where they are too many."""
    ids = arguments["ids"] if "ids" in arguments else [arguments["id"]]
    if len(ids) > LARGEST_PAGE:
        raise bad_input(f"At most {LARGEST_PAGE} ids at once; these are {len(ids)}.")
    by_prefix = {branch.stored.prefix: number for number, branch in enumerate(branches)}
    return [_node_named(by_prefix, elsewhere, text) for text in ids]


def _node_named(by_prefix: Mapping[Prefix | None, int], elsewhere: Collection[Prefix], text: str) -> Asked:
    try:
        prefix, key = parse(text)
    except GraphQLError as error:
        return error
    if prefix in elsewhere:
        return Elsewhere(prefix, key)
    branch = by_prefix.get(prefix)
    return NOTHING if branch is None else Named(branch, (key.hex,))


def _entities_named(branches: Sequence[Branch], keys: Keys, arguments: Arguments) -> list[Asked]:
    """Raises GraphQLError where the representations are too many."""
    by_key = {(branch.type_name, branch.fields): number for number, branch in enumerate(branches)}
    found = read_representations(arguments["representations"], keys)
    return [each if isinstance(each, GraphQLError) else _entity_named(branches, by_key, each) for each in found]


def _entity_named(
    branches: Sequence[Branch], by_key: Mapping[tuple[str, tuple[str, ...]], int], asked: Representation
) -> Named | GraphQLError:
    number = by_key[asked.type_name, tuple(asked.key)]
    prefix = branches[number].stored.prefix
    assert prefix is not None
    try:
        texts = tuple(decode(prefix, text).hex if name == "id" else storable(text) for name, text in asked.key.items())
    except GraphQLError as error:
        return error
    except Unmatchable:
        return NOTHING
    return Named(number, texts)


def _key_part(kind: GraphQLObjectType | GraphQLInterfaceType, name: str) -> KeyPart:
    declared = strawberry_field(kind.fields[name])
    assert declared is not None
    return ID if name == "id" else KeyPart(declared.python_name, "text")
