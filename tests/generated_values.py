"""Random values for arguments and variables, of the schema's input types and of what was seen."""

import json
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLScalarType,
    GraphQLSchema,
    is_required_input_field,
)

from gql.federation import Keys
from tests.seen_values import Seen

PAGE_SIZES = (0, 1, 1, 2, 2, 3, 5)
WRONG_SIZES = (-1, 101, 2**31 - 1)
LARGE_SIZE = 100
MALFORMED_CURSORS = ("", "!", "aWQ6", "bnVtYmVyOng", "é", "x" * 200, "aWQ6AA", "cGF0aDoA")
MALFORMED_IDS = ("", "mdl_", "mdl_x", "nobody_" + "0" * 32, "0" * 36, "svc_" + "g" * 32, "🦉")
UNKNOWN_KEY = "0" * 32
FILTER = "Filter"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# What a variable of a scalar type refuses.
WRONG_INPUTS: Mapping[str, tuple[Any, ...]] = {
    "Int": ("x", 1.5, 2**31, True, [1, 2]),
    "String": (5, True, {}),
    "ID": (1.5, True, {}),
    "Boolean": ("true", 1),
}


@dataclass(frozen=True, slots=True)
class Value:
    """One value, as a literal of a document and as JSON of a variable."""

    literal: str
    json: Any


Make: TypeAlias = Callable[[], Value]
Nested: TypeAlias = Callable[[GraphQLInputType, Make], Value]


def as_it_is(_kind: GraphQLInputType, make: Make) -> Value:
    return make()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value goes: into an argument of a list `cursors_of`, or of a field that returns `returned`.

    Nothing multiplies what a list `is_light` shows.
    """

    cursors_of: str
    returned: str
    is_light: bool = True


@dataclass(slots=True)
class Values:
    """Makes values that fit. While `wrongs` are left, one may come out that its field or scalar refuses."""

    schema: GraphQLSchema
    picker: random.Random
    ours: Seen
    theirs: Seen
    keys: Keys
    wrongs: int = 0

    def goes_wrong(self, chance: float = 0.3) -> bool:
        """Whether to spend one of the wrong values here."""
        if self.wrongs and self.picker.random() < chance:
            self.wrongs -= 1
            return True
        return False

    def value(
        self,
        kind: GraphQLInputType,
        name: str,
        place: Place,
        fellow: Mapping[str, Any] | None = None,
        nested: Nested = as_it_is,
    ) -> Value:
        """A value for an argument or an input field. `fellow` is an object seen, to take values that belong together;
        `nested` may replace the value of a field of an input object, or of an item of a list."""
        if isinstance(kind, GraphQLNonNull):
            return self._present(kind.of_type, name, place, fellow, nested)
        if self.picker.random() < 0.08:
            return Value("null", None)
        return self._present(kind, name, place, fellow, nested)

    def refused(self, kind: GraphQLInputType) -> Any:
        """JSON that a variable of the type refuses."""
        match kind:
            case GraphQLNonNull():
                return self.picker.choice([None, self.refused(kind.of_type)])
            case GraphQLList():
                return [self.refused(kind.of_type)]
            case GraphQLEnumType():
                return self.picker.choice(["NO_SUCH_VALUE", 1, next(iter(kind.values)).lower()])
            case GraphQLInputObjectType():
                several = dict.fromkeys(kind.fields, "x")
                return self.picker.choice([{}, several, {"noSuchField": 1}, "x"] if is_one_of(kind) else [5, {"no": 1}])
            case GraphQLScalarType():
                return self.picker.choice(WRONG_INPUTS.get(kind.name, ({"no": 1},)))
        raise TypeError(kind)

    def _present(
        self,
        kind: GraphQLInputType,
        name: str,
        place: Place,
        fellow: Mapping[str, Any] | None,
        nested: Nested,
    ) -> Value:
        match kind:
            case GraphQLList():
                count = self.picker.choice((0, 1, 1, 2, 3, 5))

                def make() -> Value:
                    return self.value(kind.of_type, name, place, fellow)

                found = [nested(kind.of_type, make) for _ in range(count)]
                found += self.picker.sample(found, self.picker.randint(0, len(found) // 2))
                if self.picker.random() < 0.05 and found:
                    # A list takes a single value for a list of one.
                    return found[0]
                return Value(f"[{', '.join(value.literal for value in found)}]", [value.json for value in found])
            case GraphQLEnumType():
                chosen = self.picker.choice(list(kind.values))
                return Value(chosen, chosen)
            case GraphQLInputObjectType():
                return self._object(kind, place, nested)
            case GraphQLScalarType():
                return _written(self._scalar(kind, name, place, fellow))
        raise TypeError(kind)

    def _object(self, kind: GraphQLInputObjectType, place: Place, nested: Nested) -> Value:
        names, share = list(kind.fields), 0.7
        if kind.name.endswith(FILTER):
            # Of few things, and things of one object, or nothing would meet it.
            place, share = replace(place, returned=kind.name.removesuffix(FILTER)), 0.3
        if is_one_of(kind):
            names = [self.picker.choice(names)]
        else:
            names = [
                name for name in names if is_required_input_field(kind.fields[name]) or self.picker.random() < share
            ]
            self.picker.shuffle(names)
        seen = self.theirs if self.picker.random() < 0.15 else self.ours
        fellow = seen.one_with(place.returned, names, self.picker)
        parts: dict[str, Value] = {}
        for name in names:
            asked = kind.fields[name].type
            if is_one_of(kind) and not isinstance(asked, GraphQLNonNull):
                asked = GraphQLNonNull(asked)
            parts[name] = nested(asked, partial(self.value, asked, name, place, fellow))
        literal = ", ".join(f"{name}: {value.literal}" for name, value in parts.items())
        return Value(f"{{{literal}}}", {name: value.json for name, value in parts.items()})

    def _scalar(self, kind: GraphQLNamedType, name: str, place: Place, fellow: Mapping[str, Any] | None) -> Any:
        picker = self.picker
        if name in ("first", "last"):
            return self._page_size(place)
        if name in ("after", "before"):
            return self._cursor(place)
        if kind.name == "ID":
            return self._id(place.returned, fellow)
        if kind.name == "_Any":
            return self._representation()
        if kind.name == "Boolean":
            return picker.random() < 0.5
        if fellow and name in fellow and picker.random() < 0.9:
            return fellow[name]
        seen = (self.theirs if picker.random() < 0.1 else self.ours).scalars.get(kind.name)
        if kind.name == "JSON":
            seen = [value for value in seen or () if _has_names(value)]
        chosen = picker.choice(seen) if seen else "x"
        # A filter may look for a part of a text.
        return chosen[: picker.randint(0, 8)] if isinstance(chosen, str) and kind.name == "String" else chosen

    def _page_size(self, place: Place) -> int:
        if self.goes_wrong():
            return self.picker.choice(WRONG_SIZES)
        if place.is_light and self.picker.random() < 0.1:
            return LARGE_SIZE
        return self.picker.choice(PAGE_SIZES)

    def _cursor(self, place: Place) -> str:
        if self.goes_wrong():
            others = [cursor for cursors in self.ours.cursors.values() for cursor in cursors]
            return self.picker.choice((*MALFORMED_CURSORS, self.picker.choice(others)))
        seen = self.theirs if self.picker.random() < 0.15 else self.ours
        # Where no list of this place was ever seen, its cursors are of an unknown form.
        return self.picker.choice(seen.cursors.get(place.cursors_of) or [""])

    def _id(self, returned: str, fellow: Mapping[str, Any] | None) -> str:
        if self.goes_wrong():
            return self.picker.choice((*MALFORMED_IDS, self.picker.choice(self.ours.ids)))
        if fellow and "id" in fellow and self.picker.random() < 0.5:
            return str(fellow["id"])
        seen = self.theirs if self.picker.random() < 0.15 else self.ours
        fitting = seen.ids_of(returned) or seen.ids
        chosen: str = self.picker.choice(fitting)
        if self.picker.random() < 0.08:
            return f"{chosen.partition('_')[0]}_{UNKNOWN_KEY}"
        prefix, _, key = chosen.partition("_")
        return f"{prefix}_{key.upper()}" if self.picker.random() < 0.02 else chosen

    def _representation(self) -> dict[str, Any]:
        """What federation's gateway sends for an entity: its type, and the values of one of its keys."""
        name = self.picker.choice([*self.keys])
        if self.goes_wrong():
            return {"__typename": self.picker.choice([name, "Unknown", "Query"]), "noKey": 1}
        found = (self.theirs if self.picker.random() < 0.15 else self.ours).one_with(name, [], self.picker) or {}
        keys = self.picker.choice(self.keys[name])
        return {"__typename": name, **{key: found.get(key) for key in keys}}


def _has_names(value: Any) -> bool:
    """Whether a document can hold the value: the members of its objects are named as fields are."""
    match value:
        case dict():
            return all(NAME.fullmatch(name) and _has_names(member) for name, member in value.items())
        case list():
            return all(map(_has_names, value))
    return True


def is_one_of(kind: GraphQLInputObjectType) -> bool:
    definition = kind.extensions.get("strawberry-definition")
    return bool(getattr(kind, "is_one_of", False) or getattr(definition, "is_one_of", False))


def _written(value: Any) -> Value:
    """A scalar's value. Literals escape what is not ASCII, as clients may."""
    if isinstance(value, dict):
        fields = ", ".join(f"{name}: {_written(entry).literal}" for name, entry in value.items())
        return Value(f"{{{fields}}}", value)
    if isinstance(value, list):
        return Value(f"[{', '.join(_written(entry).literal for entry in value)}]", value)
    return Value(json.dumps(value), value)
