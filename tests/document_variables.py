"""The variables of a random operation: their types, defaults and values."""

import random
from dataclasses import dataclass, field
from typing import Any

from graphql import GraphQLInputType, GraphQLNonNull, GraphQLSchema

from tests.generated_values import Make, Value, Values

BOOLEANS = (("true", True), ("false", False))


@dataclass(slots=True)
class Variables:
    """`given` are the values to send; `made_anew` makes others, and says which variables may be left out."""

    schema: GraphQLSchema
    picker: random.Random
    values: Values
    suffix: str
    definitions: list[str] = field(default_factory=list)
    given: dict[str, Any] = field(default_factory=dict)
    variable_types: dict[str, str] = field(default_factory=dict)
    made_anew: dict[str, tuple[Make, bool]] = field(default_factory=dict)

    def variable(self, kind: GraphQLInputType, make: Make) -> Value:
        """A variable for a place of the type, known or new: given or not, with a default or without."""
        value = make()
        known = [name for name, other in self.variable_types.items() if other == str(kind)]
        if known and self._chance(0.15):
            return Value(f"${self.picker.choice(known)}", value.json)
        name = f"v{len(self.variable_types)}{self.suffix.lower()}"
        is_needed = isinstance(kind, GraphQLNonNull)
        bare = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
        default, is_given = self._chance(0.35) and value.literal != "null", self._chance(0.8)
        if is_needed or (self._chance(0.3) and value.literal != "null"):
            asked: GraphQLInputType = GraphQLNonNull(bare)
            # With a default a nullable variable is good for a place that takes no null.
            if default and self._chance(0.3):
                asked = bare
            is_given = is_given or not default
        else:
            asked = bare
        self.variable_types[name] = str(asked)
        self.definitions.append(f"${name}: {asked}{f' = {value.literal}' if default else ''}")
        if self.values.goes_wrong():
            refused = self.values.refused(asked)
            if refused is not None or self._chance(0.5):
                self.given[name] = refused
        elif is_given:
            self.given[name] = value.json
        self.made_anew[name] = (make, default or not isinstance(asked, GraphQLNonNull))
        return Value(f"${name}", value.json)

    def nested(self, kind: GraphQLInputType, make: Make) -> Value:
        return self.variable(kind, make) if self._chance(0.2) else make()

    def condition(self, name: str) -> str:
        directive = self.schema.get_directive(name)
        assert directive is not None

        def make() -> Value:
            return Value(*self.picker.choice(BOOLEANS))

        return (self.variable(directive.args["if"].type, make) if self._chance(0.6) else make()).literal

    def other_values(self) -> dict[str, Any]:
        """Values that the variables may have as well; some are left out where they may be."""
        return {
            name: make().json
            for name, (make, is_optional) in self.made_anew.items()
            if not is_optional or self._chance(0.8)
        }

    def _chance(self, share: float) -> bool:
        return self.picker.random() < share
