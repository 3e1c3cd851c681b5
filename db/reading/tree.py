"""What is to be read, as a tree of values over rows. The schema's planner makes it; db/reading/statement.py writes it.

    Value   Constant | Column | Object | Switch | Document | ToOne | Rows | Page | Each | Counts
    Source  the rows of a view that meet predicates (Condition | Has), in an order

Names are names of the views in the Postgres schema `reading` and of their columns, never SQL.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias


@dataclass(frozen=True, slots=True, eq=False)
class Parameter:
    """A value that each run brings along. `type` is its Postgres type; two parameters are the same if they are one."""

    type: str


@dataclass(frozen=True, slots=True)
class ParentColumn:
    """A column of the row that a source is read for."""

    name: str


@dataclass(frozen=True, slots=True)
class IdByName:
    """The id of a view's row by its name: the index on the id's column serves then, as with a join it would not.
    Where the name is compared otherwise than with EQUAL, the ids of several rows.
    """

    view: str
    name: Parameter
    comparison: Comparison


class Comparison(Enum):
    EQUAL = "{column} = {value}"
    ANY = "{column} = ANY({value})"
    DISTINCT = "{column} IS DISTINCT FROM {value}"
    AT_LEAST = "{column} >= {value}"
    AT_MOST = "{column} <= {value}"
    ABOVE = "{column} > {value}"
    BELOW = "{column} < {value}"
    CONTAINS = "{column} @> ARRAY[{value}]"
    OVERLAPS = "{column} && {value}"
    IN = "{column} IN {value}"
    # With a pattern; case is ignored as the database's locale has it.
    LIKE = "{column} ILIKE {value}"
    # Of a column in code point order: two comparisons that an index serves, up to the last of all characters.
    STARTS_WITH = "{column} >= {value} AND {column} < {value} || chr(1114111)"


@dataclass(frozen=True, slots=True)
class Condition:
    """`orders` are the names of those in which an index has the rows that meet it side by side; None: any will do.

    Whatever meets the condition meets `hint`, too, by which an index finds it.
    """

    column: str
    comparison: Comparison
    operand: Parameter | ParentColumn | IdByName
    orders: tuple[str, ...] | None = None
    hint: Condition | None = None

    def is_scattered_in(self, order: Order) -> bool:
        return self.orders is not None and order.name not in self.orders


@dataclass(frozen=True, slots=True)
class Has:
    """That a row of a view whose `key` is this row's id meets all conditions. No index has such rows side by side."""

    view: str
    key: str
    conditions: tuple[Predicate, ...]

    def is_scattered_in(self, _order: Order) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class KeyPart:
    """A column of an order, of a type that a cursor can hold: uuid, text or bigint."""

    column: str
    type: str


@dataclass(frozen=True, slots=True)
class Order:
    """Columns that together are unique in what is read, all in one direction. `name` marks the order's cursors."""

    name: str
    key: tuple[KeyPart, ...]
    is_descending: bool

    def reversed(self) -> Order:
        return Order(self.name, self.key, not self.is_descending)


@dataclass(frozen=True, slots=True)
class Source:
    """Rows of a view: those of the workspace that meet all conditions."""

    view: str
    conditions: tuple[Predicate, ...] = ()
    order: Order | None = None


@dataclass(frozen=True, slots=True)
class Constant:
    text: str


class ColumnKind(Enum):
    TEXT = "a text"
    NUMBER = "a number or a boolean"
    NAME = "a text with nothing to escape"
    JSON = "json, an array, or anything else that Postgres can make JSON of"
    MOMENT = "a timestamptz, as ISO 8601 in UTC"
    IDENTIFIER = "a uuid behind its type's prefix"


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    kind: ColumnKind
    prefix: str = ""
    is_required: bool = False


@dataclass(frozen=True, slots=True)
class Object:
    """An object of the same row; null where the column `present` is."""

    members: tuple[tuple[str, Value], ...]
    present: str | None = None
    is_required: bool = False


@dataclass(frozen=True, slots=True)
class Switch:
    """One of several objects of the same row, by the type's name in a column."""

    column: str
    cases: tuple[tuple[str, Object], ...]
    is_required: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """An object, or a list of them, inside a json column or (in a document's members) under a key of a document."""

    name: str
    members: tuple[tuple[str, DocumentMember], ...]
    is_list: bool
    is_required: bool = False


@dataclass(frozen=True, slots=True)
class DocumentField:
    """A scalar or a free value under a key of a document."""

    name: str
    is_required: bool


@dataclass(frozen=True, slots=True)
class ToOne:
    """The first row of a source; null where there is none."""

    source: Source
    value: Object | Switch
    is_required: bool = False


@dataclass(frozen=True, slots=True)
class Rows:
    """All rows of a source, as a list."""

    source: Source
    value: Object | Switch


class PageFact(Enum):
    HAS_NEXT_PAGE = "hasNextPage"
    HAS_PREVIOUS_PAGE = "hasPreviousPage"
    START_CURSOR = "startCursor"
    END_CURSOR = "endCursor"


@dataclass(frozen=True, slots=True)
class PageInfo:
    members: tuple[tuple[str, PageFact | Constant], ...]


@dataclass(frozen=True, slots=True)
class Nodes:
    value: Object | Switch


class Cursor(Enum):
    OF_ROW = "cursor"


@dataclass(frozen=True, slots=True)
class Edges:
    members: tuple[tuple[str, Nodes | Cursor | Constant], ...]


class Count(Enum):
    NUMBER = "totalCount"
    IS_EXACT = "totalCountIsExact"


@dataclass(frozen=True, slots=True)
class Span:
    """Which stretch of an ordered source a page is: `size` rows from its beginning, or backward from its end."""

    order: Order
    size: int
    is_backward: bool = False
    after: tuple[Parameter, ...] = ()
    before: tuple[Parameter, ...] = ()

    @property
    def reading_order(self) -> Order:
        """The order in which rows are fetched: from the page's own end when it is read backward."""
        return self.order.reversed() if self.is_backward else self.order


@dataclass(frozen=True, slots=True)
class Page:
    """A connection. `size` rows are shown; one more is read where somebody asks whether there is more."""

    source: Source
    span: Span
    members: tuple[tuple[str, PageMember], ...]


@dataclass(frozen=True, slots=True)
class Branch:
    """What one kind of thing looks like, and the columns that hold its key, with their types."""

    view: str
    key: tuple[KeyPart, ...]
    value: Object | Switch


@dataclass(frozen=True, slots=True)
class Each:
    """Things by their keys, each of one branch: a list in the order of the keys, or the one thing; null for none.
    `branches_chosen` is an integer[] of positions in `branches` (null: none), `keys` are text[] of the same length.
    """

    branches: tuple[Branch, ...]
    branches_chosen: Parameter
    keys: tuple[Parameter, ...]
    is_list: bool


class Total(Enum):
    NUMBER = "total"


class TallyPart(Enum):
    VALUE = "value"
    COUNT = "count"


@dataclass(frozen=True, slots=True)
class Tally:
    """How many rows have each value of a column, or of an item of an array; the commonest first."""

    column: str
    kind: ColumnKind
    is_array: bool = False
    limit: int | None = None
    members: tuple[tuple[str, TallyPart | Constant], ...] = ()


@dataclass(frozen=True, slots=True)
class Counts:
    """An object of counts of one source, all of them of the same rows."""

    source: Source
    members: tuple[tuple[str, Total | Tally | Constant], ...]


Predicate: TypeAlias = Condition | Has
PageMember: TypeAlias = Nodes | Edges | PageInfo | Count | Constant
DocumentMember: TypeAlias = DocumentField | Document | Constant
Value: TypeAlias = Constant | Column | Object | Switch | Document | ToOne | Rows | Page | Each | Counts
