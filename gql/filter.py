"""Typed filters and orders of lists: input types whose fields say what they restrict.

@strawberry.input(description="Which models.")
class ModelFilter:
    name: str | None = restriction(Restriction("name"), description="Only the one of this name.")

@strawberry.input(description="In which order.")
class ModelOrder:
    field: ModelOrderField = order_choice({ModelOrderField.NAME: BY_NAME, …})
    direction: OrderDirection = order_direction()
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any

import strawberry
from strawberry.types.field import StrawberryField

from db.reading import Comparison, Order
from gql.described_enum import described_enum

RESTRICTION = "restriction"
CHOICE = "choice"


@dataclass(frozen=True, slots=True)
class Restriction:
    """What a field of a filter compares: a column, with the value that is given. A list is compared with ANY.

    `type` is the Postgres type of the value, or of one item. `read` makes the value of what was given and of the
    context; it raises Unmatchable for what no row can have. `when_false` is the comparison for a given `false`. What is
    given may be the name of a row of the view `named_in`, of which the column holds the id.
    """

    column: str
    type: str = "text"
    comparison: Comparison = Comparison.EQUAL
    read: Callable[[Any, Any], object] | None = None
    when_false: Comparison | None = None
    named_in: str | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """The orders, upward, that the values of an order's `field` stand for."""

    orders: Mapping[Enum, Order]


class OrderDirection(StrEnum):
    ASC = "ASC"
    DESC = "DESC"


described_enum(
    OrderDirection,
    description="Which end of an order comes first.",
    values={"ASC": "The smallest, the oldest, or A.", "DESC": "The largest, the newest, or Z."},
)


def restriction(rule: Restriction, *, description: str) -> Any:
    """A field of a filter. Null and left out mean that nothing is restricted."""
    return strawberry.field(default=None, description=description, metadata={RESTRICTION: rule})


def order_choice(orders: Mapping[Any, Order], *, description: str = "By what.") -> Any:
    """The field `field` of an order."""
    return strawberry.field(description=description, metadata={CHOICE: Choice(orders)})


def order_direction() -> Any:
    return strawberry.field(default=OrderDirection.ASC, description="Which end comes first.")


def name_restriction() -> Any:
    """The field `name_starts_with`. Two comparisons in code point order, so that the index on names serves."""
    return restriction(
        Restriction("name_key", comparison=Comparison.STARTS_WITH), description="Only those whose names begin so."
    )


def created_after() -> Any:
    rule = Restriction("created_at", "timestamptz", Comparison.AT_LEAST)
    return restriction(rule, description="Only those made from this moment on.")


def created_before() -> Any:
    rule = Restriction("created_at", "timestamptz", Comparison.BELOW)
    return restriction(rule, description="Only those made before this moment.")


def restriction_of(field: StrawberryField) -> Restriction:
    rule: Restriction = field.metadata[RESTRICTION]
    return rule


def choice_of(field: StrawberryField) -> Choice:
    choice: Choice = field.metadata[CHOICE]
    return choice
