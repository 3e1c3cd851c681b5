"""One random operation: its selections, with aliases, fragments, directives and merged fields."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeAlias

from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
    get_nullable_type,
    is_abstract_type,
    is_composite_type,
    is_leaf_type,
    is_list_type,
    is_required_argument,
)

from tests.document_variables import Variables
from tests.generated_values import Place, Values
from tests.seen_values import order_key

# Of the fields, connections and edges count too: one list below another is three deep.
DEPTH = 13
SELECTIONS = 70
HEAVY = 150
UNSIZED = 4
USUAL_PAGE = 20
INTROSPECTION = (
    "__schema { queryType { name fields { name } } }",
    '__type(name: "Model") { name kind interfaces { name } fields { name type { kind ofType { name } } } }',
    '__type(name: "Nothing") { name }',
)

# Of fields that show the present minute two answers in a row may differ.
OF_THE_MOMENT = frozenset({("ServiceMetrics", "series"), ("MetricsPoint", "startedAt")})

Composite: TypeAlias = GraphQLObjectType | GraphQLInterfaceType | GraphQLUnionType


@dataclass(slots=True)
class Scope:
    """What is selected at one place of the answer so far, by response name: fields of one name are merged."""

    fields: dict[str, tuple[str, "Scope"]] = field(default_factory=dict)


@dataclass(slots=True)
class Draft:
    """One operation with the variables and fragments of its own."""

    schema: GraphQLSchema
    overlaps: Mapping[str, Sequence[Composite]]
    picker: random.Random
    values: Values
    suffix: str
    budget: int = SELECTIONS
    variables: Variables = field(init=False)
    name: str = ""
    fragments: list[str] = field(default_factory=list)
    complete: list[tuple[str, Composite]] = field(default_factory=list)
    aliases: int = 0

    def __post_init__(self) -> None:
        self.variables = Variables(self.schema, self.picker, self.values, self.suffix)

    def operation(self, *, is_alone: bool) -> str:
        root = self.schema.query_type
        assert root is not None
        self.budget = self.picker.randint(3, self.budget)
        selections = self.selection_set(root, Scope(), DEPTH, 1)
        if self.picker.random() < 0.03:
            selections = selections[:-1] + f" {self.picker.choice(INTROSPECTION)} }}"
        if is_alone and not self.variables.definitions and self.picker.random() < 0.3:
            return selections
        if not is_alone or self.picker.random() < 0.6:
            self.name = f"Operation{self.suffix}"
        self.picker.shuffle(self.variables.definitions)
        variables = f"({', '.join(self.variables.definitions)})" if self.variables.definitions else ""
        return f"query {self.name}{variables} {selections}"

    def chance(self, share: float) -> bool:
        return self.picker.random() < share

    def selection_set(self, kind: Composite, scope: Scope, depth: int, weight: int) -> str:
        parts: list[str] = []
        if not isinstance(kind, GraphQLUnionType):
            for name in self._names(kind, depth):
                parts += self.field(kind, name, scope, depth, weight)
                if self.chance(0.06):
                    parts += self.field(kind, name, scope, depth, weight)
        for _ in range(self._fragment_count(kind)):
            parts += self.fragment(kind, scope, depth, weight)
        if self.chance(0.25) or not parts:
            parts.append(self._leaf("__typename", "__typename", "String!", scope) or "__typename")
        if self.chance(0.3):
            self.picker.shuffle(parts)
        return f"{{ {' '.join(parts)} }}"

    def _names(self, kind: GraphQLObjectType | GraphQLInterfaceType, depth: int) -> list[str]:
        steady = [name for name in kind.fields if (kind.name, name) not in OF_THE_MOMENT]
        leaves = [name for name in steady if is_leaf_type(get_named_type(kind.fields[name].type))]
        trees = [name for name in steady if name not in leaves]
        # A list's page is asked for its nodes more often than for its size.
        trees += [name for name in trees if name in ("edges", "node", "nodes")] * 2
        self.picker.shuffle(trees)
        wanted = self.picker.choice((1, 1, 2, 3) if kind is self.schema.query_type else (0, 1, 1, 2))
        if depth <= 1 or self.budget <= 0:
            wanted = 0
        chosen = list(dict.fromkeys(trees[:wanted]))
        return chosen + self.picker.sample(leaves, min(len(leaves), self.picker.choice((0, 1, 2, 3, 5))))

    def _fragment_count(self, kind: Composite) -> int:
        if self.budget <= 0:
            return 0
        if is_abstract_type(kind):
            return self.picker.choice((1, 1, 2, 3))
        return int(self.chance(0.15))

    def field(
        self, kind: GraphQLObjectType | GraphQLInterfaceType, name: str, scope: Scope, depth: int, weight: int
    ) -> Sequence[str]:
        """The field's selection, or none where there is no response name left for it."""
        self.budget -= 1
        found = kind.fields[name]
        below = get_named_type(found.type)
        is_many = "first" in found.args or is_list_type(get_nullable_type(found.type))
        if is_many and weight > HEAVY and not is_leaf_type(below):
            return []
        arguments, size = self.arguments(kind, name, found, weight)
        given = f"({', '.join(arguments)})" if arguments else ""
        taken = self._respond(kind, name, f"{name}{given}: {found.type}", scope)
        if taken is None:
            return []
        alias, inner = taken
        head = f"{alias}{name}{given}{self.directives()}"
        if not is_composite_type(below):
            return [head]
        assert isinstance(below, Composite)
        heavier = weight * (size if is_many and kind.name[-10:] != "Connection" else 1)
        return [f"{head} {self.selection_set(below, inner, depth - 1, heavier)}"]

    def _leaf(self, name: str, text: str, kind: str, scope: Scope) -> str | None:
        known = scope.fields.setdefault(name, (f"{text}: {kind}", Scope()))
        return text if known[0] == f"{text}: {kind}" else None

    def _respond(
        self, kind: GraphQLObjectType | GraphQLInterfaceType, name: str, signature: str, scope: Scope
    ) -> tuple[str, Scope] | None:
        """An alias where one is wanted or needed, and the scope of what is below the field."""
        response, alias = name, ""
        if self.aliases < 25 and self.chance(0.1):
            # An alias may be another field's name.
            response = self.picker.choice([*kind.fields, f"a{self.aliases}"])
        known = scope.fields.get(response)
        if known is not None and known[0] != signature:
            response = f"b{len(scope.fields)}_{self.aliases}"
        if response != name:
            if self.aliases >= 28:
                return None
            self.aliases += 1
            alias = f"{response}: "
        return alias, scope.fields.setdefault(response, (signature, Scope()))[1]

    def fragment(self, kind: Composite, scope: Scope, depth: int, weight: int) -> Sequence[str]:
        self.budget -= 1
        on = self.picker.choice(self.overlaps[kind.name])
        if self.chance(0.4):
            return [self._spread(kind, on, scope, depth, weight)]
        condition = f" on {on.name}" if on is not kind or self.chance(0.7) else ""
        return [f"...{condition}{self.directives()} {self.selection_set(on, scope, depth, weight)}"]

    def _spread(self, kind: Composite, on: Composite, scope: Scope, depth: int, weight: int) -> str:
        known = [name for name, other in self.complete if other in self.overlaps[kind.name]]
        if known and self.chance(0.4):
            return f"...{self.picker.choice(known)}{self.directives()}"
        name = f"Fragment{self.suffix}{len(self.fragments)}"
        # Its place is kept, so that the fragments inside it have names of their own.
        self.fragments.append("")
        place = len(self.fragments) - 1
        selections = self.selection_set(on, scope, depth, weight)
        self.fragments[place] = f"fragment {name} on {on.name} {selections}"
        self.complete.append((name, on))
        return f"...{name}{self.directives()}"

    def directives(self) -> str:
        text = ""
        for name in ("skip", "include"):
            if self.chance(0.04):
                condition = self.variables.condition(name)
                text += f" @{name}(if: {condition})"
        return text

    def arguments(self, kind: GraphQLNamedType, name: str, found: GraphQLField, weight: int) -> tuple[list[str], int]:
        """The arguments' texts in any order, and how many rows they may ask for."""
        returned = get_named_type(found.type).name
        place = Place(f"{kind.name}.{name}", returned, is_light=weight == 1)
        texts, size = [], UNSIZED
        wanted = [other for other, argument in found.args.items() if self._is_wanted(other, argument, found, weight)]
        # The order first: it says which cursors are good.
        for other in sorted(wanted, key=lambda other: other != "orderBy"):
            argument = found.args[other]
            if self.chance(0.35):
                value = self.variables.variable(argument.type, partial(self.values.value, argument.type, other, place))
            else:
                value = self.values.value(argument.type, other, place, None, self.variables.nested)
            texts.append(f"{other}: {value.literal}")
            if other == "orderBy" and isinstance(value.json, dict):
                place = replace(place, cursors_of=order_key(found, value.json))
            if isinstance(value.json, int):
                size = max(size, value.json)
        if "first" in found.args and not {"first", "last"} & {*wanted}:
            size = USUAL_PAGE
        self.picker.shuffle(texts)
        return texts, max(size, 1)

    def _is_wanted(self, name: str, argument: GraphQLArgument, found: GraphQLField, weight: int) -> bool:
        if is_required_argument(argument):
            return True
        if name == "first":
            return weight > 1 or self.chance(0.8)
        if name == "last":
            return self.chance(0.25)
        return self.chance(0.2 if name in ("after", "before") else 0.5)


def overlaps(schema: GraphQLSchema) -> Mapping[str, Sequence[Composite]]:
    """For each type those that a fragment inside it may be on; its members count more than what it is one of."""
    kinds: list[Composite] = [kind for kind in schema.type_map.values() if isinstance(kind, Composite)]
    members = {kind.name: _possible(schema, kind) for kind in kinds}
    found: dict[str, list[Composite]] = {}
    for kind in kinds:
        every = [other for other in kinds if members[kind.name] & members[other.name]]
        found[kind.name] = [*every, *[other for other in every if isinstance(other, GraphQLObjectType)] * 2]
    return found


def _possible(schema: GraphQLSchema, kind: Composite) -> set[str]:
    if isinstance(kind, GraphQLObjectType):
        return {kind.name}
    return {member.name for member in schema.get_possible_types(kind)}
