"""Random valid operations over any schema, with variables, fragments, directives and merged fields."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from graphql import GraphQLSchema, OperationDefinitionNode, parse, validate

from gql.cost import operation_cost
from gql.federation import Keys
from gql.limits import Limits, excesses
from tests.document_draft import Draft, overlaps
from tests.generated_values import Values
from tests.reading_stage import Case
from tests.seen_values import Seen

# What keeps a document answered in tens of milliseconds.
COST = 6_000
WRONG_SHARE = 0.1
# How often the same document is asked again: plans are kept, and must not be kept for too much.
AGAIN = (0, 0, 1, 2)


@dataclass(frozen=True, slots=True)
class Generated:
    """An operation, and whether a value in it was meant to be refused; `others` are other values of its variables."""

    case: Case
    has_wrong_value: bool
    others: Sequence[Case] = ()


class Generator:
    """Makes operations for one schema, with values of what two workspaces showed."""

    def __init__(self, schema: GraphQLSchema, limits: Limits, keys: Keys, ours: Seen, theirs: Seen) -> None:
        self._schema, self._limits, self._keys, self._ours, self._theirs = schema, limits, keys, ours, theirs
        self._overlaps = overlaps(schema)

    def generate(self, picker: random.Random) -> Generated:
        """The next valid operation of the picker's: what it makes of it may be invalid, and is made anew."""
        while True:
            is_wrong = picker.random() < WRONG_SHARE
            values = Values(self._schema, picker, self._ours, self._theirs, self._keys, wrongs=int(is_wrong))
            made, *others = self._cases(picker, values)
            has_wrong_value = is_wrong and not values.wrongs
            if is_wrong == has_wrong_value and self._is_fit(made):
                return Generated(made, has_wrong_value, [other for other in others if self._is_cheap(other)])

    def _is_fit(self, case: Case) -> bool:
        document = parse(case.document)
        return (
            not any(excesses(document, self._limits)) and not validate(self._schema, document) and self._is_cheap(case)
        )

    def _is_cheap(self, case: Case) -> bool:
        document = parse(case.document)
        operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
        costs = [operation_cost(self._schema, document, operation, case.variables) for operation in operations]
        return max(costs) <= min(COST, self._limits.cost)

    def _cases(self, picker: random.Random, values: Values) -> Iterator[Case]:
        """An operation, and the same again with other values of its variables."""
        drafts = [Draft(self._schema, self._overlaps, picker, values, "")]
        if picker.random() < 0.12:
            drafts.append(Draft(self._schema, self._overlaps, picker, values, "Other", budget=12))
        texts = [draft.operation(is_alone=len(drafts) == 1) for draft in drafts]
        parts = [*texts, *(fragment for draft in drafts for fragment in draft.fragments)]
        picker.shuffle(parts)
        chosen = picker.choice(drafts)
        name = chosen.name or None
        if len(drafts) == 1 and picker.random() < 0.5:
            name = None
        if values.goes_wrong(0.05):
            name = picker.choice(["NoSuchOperation", None])
        document = "\n".join(parts)
        yield Case(document, chosen.variables.given, name)
        for _ in range(picker.choice(AGAIN) if chosen.variables.made_anew else 0):
            yield Case(document, chosen.variables.other_values(), name)
