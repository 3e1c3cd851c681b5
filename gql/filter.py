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

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum
from typing import Any
from uuid import UUID

import strawberry
from strawberry.types.field import StrawberryField

from db.reading import Comparison, Order
from gql.context import Context
from gql.described_enum import described_enum
from gql.mapping import BY_ID, BY_NAME

RESTRICTION = "restriction"
CHOICE = "choice"
SPECIAL_IN_PATTERNS = re.compile(r"[\\%_]")
ESCAPED = r"\\\g<0>"
# An id is made when its row is written, `created_at` is when the transaction began; the exact moment is compared, too.
ID_TOLERANCE_SECONDS = 3_600


@dataclass(frozen=True, slots=True)
class Restriction:
    """What a field of a filter compares: a column, with the value that is given. A list is compared with ANY, or where
    the comparison is CONTAINS, with what the column's array has: any of it.

    `type` is the Postgres type of the value, or of one item. `read` makes the value of what was given and of the
    context; it raises Unmatchable for what no row can have. `when_false` is the comparison for a given `false`. What is
    given may be the name of a row of the view `named_in`, of which the column holds the id; with the comparison IN the
    column holds the id of a row whose name `named_by` finds.

    `orders` are the names of the orders in which an index has the rows that meet it side by side. In others the first
    rows are looked at, and where they do not fill the page, all that meet it are sorted. None leaves it to Postgres.
    Whatever meets the restriction meets `hint`, by which an index finds it.
    """

    column: str
    type: str = "text"
    comparison: Comparison = Comparison.EQUAL
    read: Callable[[Any, Any], object] | None = None
    when_false: Comparison | None = None
    named_in: str | None = None
    named_by: Comparison = Comparison.EQUAL
    orders: tuple[str, ...] | None = None
    hint: Restriction | None = None


@dataclass(frozen=True, slots=True)
class Having:
    """What a field of a filter that is a filter itself restricts: a row of `view` whose `key` is the row's id meets it.

    One row meets all of it. An empty one is met by whatever has a row there.
    """

    view: str
    key: str


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a field that leads to one row: what each of `restrictions` compares its column with.

    `type` is written as for Strawberry: `str` has to be given, `str | None` has not. Left out or null it stands for
    `if_left_out`, which is not `read`; without that it restricts nothing.
    """

    type: Any
    restrictions: tuple[Restriction, ...]
    description: str
    if_left_out: object = None


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


def having(view: str, key: str, *, description: str) -> Any:
    """A field of a filter whose type is the filter of what is in `view`: see Having."""
    return strawberry.field(default=None, description=description, metadata={RESTRICTION: Having(view, key)})


def order_choice(orders: Mapping[Any, Order], *, description: str = "By what.") -> Any:
    """The field `field` of an order."""
    return strawberry.field(description=description, metadata={CHOICE: Choice(orders)})


def order_direction() -> Any:
    return strawberry.field(default=OrderDirection.ASC, description="Which end comes first.")


def name_restriction(
    column: str = "name_key", order: Order = BY_NAME, *, description: str = "Only those whose names begin so."
) -> Any:
    """The field `name_starts_with`. Two comparisons in code point order, so that the index on names serves."""
    rule = Restriction(column, comparison=Comparison.STARTS_WITH, orders=(order.name,))
    return restriction(rule, description=description)


def part_of_text(given: str, _context: Context) -> str:
    """The pattern of texts that contain this one: what patterns mean something by means itself."""
    return f"%{SPECIAL_IN_PATTERNS.sub(ESCAPED, given)}%"


def created_after() -> Any:
    earliest = Restriction("id", "uuid", Comparison.AT_LEAST, read=_first_id)
    rule = Restriction("created_at", "timestamptz", Comparison.AT_LEAST, orders=(BY_ID.name,), hint=earliest)
    return restriction(rule, description="Only those made from this moment on.")


def created_before() -> Any:
    latest = Restriction("id", "uuid", Comparison.BELOW, read=_last_id)
    rule = Restriction("created_at", "timestamptz", Comparison.BELOW, orders=(BY_ID.name,), hint=latest)
    return restriction(rule, description="Only those made before this moment.")


def _first_id(moment: datetime, _context: Context) -> UUID:
    return _id_at(moment.timestamp() - ID_TOLERANCE_SECONDS)


def _last_id(moment: datetime, _context: Context) -> UUID:
    return _id_at(moment.timestamp() + ID_TOLERANCE_SECONDS)


def _id_at(seconds: float) -> UUID:
    """The least version 7 uuid of a moment: its first 48 bits are milliseconds."""
    return UUID(int=min(max(0, int(seconds * 1000)), 2**48 - 1) << 80)


def restriction_of(field: StrawberryField) -> Restriction | Having:
    rule: Restriction | Having = field.metadata[RESTRICTION]
    return rule


def choice_of(field: StrawberryField) -> Choice:
    choice: Choice = field.metadata[CHOICE]
    return choice
