"""Where stored types and fields are: names of views and of their columns, kept as metadata on Strawberry's fields.

A field of a stored type that says nothing is the column of its name; gql/stored_field.py declares the others. The
planner and graphql-core's resolvers both read through this mapping: a stored field is declared once and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from uuid import UUID

from graphql import GraphQLNamedType
from strawberry.types.field import StrawberryField

from db.reading import KeyPart, Order
from gql.definition import origin
from gql.identifier import Prefix

if TYPE_CHECKING:
    from gql.filter import Argument

METADATA = "stored"
STORED = "__stored__"
StoredType = TypeVar("StoredType", bound=type)

BY_ID = Order("id", (KeyPart("id", "uuid"),), is_descending=True)
BY_NUMBER = Order("number", (KeyPart("number", "bigint"),), is_descending=False)
BY_POSITION = Order("position", (KeyPart("position", "bigint"),), is_descending=False)
BY_PATH = Order("path", (KeyPart("path", "text"),), is_descending=False)
BY_VERSION_NUMBER = Order("version", (KeyPart("version_number", "bigint"),), is_descending=True)
OLDEST_ID = BY_ID.reversed()
NEWEST_NUMBER = BY_NUMBER.reversed()
BY_NAME = Order("name", (KeyPart("name_key", "text"),), is_descending=False)
BY_SIZE = Order("size", (KeyPart("size_key", "bigint"), KeyPart("id", "uuid")), is_descending=False)
# Of the versions of all models.
BY_MODEL_NAME = Order(
    "modelname",
    (KeyPart("model_name_key", "text"), KeyPart("version_number", "bigint"), KeyPart("id", "uuid")),
    is_descending=False,
)
BY_NUMBER_OF_ANY = Order(
    "anyversion", (KeyPart("version_number", "bigint"), KeyPart("id", "uuid")), is_descending=False
)


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a type's rows are. An interface's rows say in `type_column` of which type each is."""

    view: str
    prefix: Prefix | None = None
    type_column: str | None = None


@dataclass(frozen=True, slots=True)
class Column:
    name: str


@dataclass(frozen=True, slots=True)
class Identifier:
    """A uuid column that clients see behind a type's prefix."""

    name: str
    prefix: Prefix


@dataclass(frozen=True, slots=True)
class ToOne:
    """The first row of `view` (by default the type's own) whose `key` is this row's `column`.

    It also meets what `arguments`, by their Python names, restrict.
    """

    column: str
    key: str = "id"
    view: str | None = None
    order: Order | None = None
    arguments: Mapping[str, Argument] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rows:
    """A plain list. Without a `key` it is at the root and has all rows of the workspace, of which there are few."""

    key: str | None
    order: Order
    column: str = "id"
    view: str | None = None


@dataclass(frozen=True, slots=True)
class ToMany:
    """A connection. Without a `key` it is at the root and has all rows of the workspace."""

    order: Order
    key: str | None = None
    column: str = "id"
    view: str | None = None


@dataclass(frozen=True, slots=True)
class Inline:
    """Columns of the same row that begin with `prefix`; null where the column `present` is."""

    prefix: str
    present: str | None = None
    type_column: str | None = None


@dataclass(frozen=True, slots=True)
class Embedded:
    """A json column. `type` says what its objects are where the field's type is abstract."""

    name: str
    type: type | None = None


@dataclass(frozen=True, slots=True)
class Computed:
    """`function(context, **columns)`, awaited if need be; `needs` are the columns' names and their Python types."""

    function: Callable[..., Any]
    needs: Mapping[str, type]


@dataclass(frozen=True, slots=True)
class ByKey:
    """The row whose id the payload has as an attribute."""

    attribute: str
    view: str | None = None


@dataclass(frozen=True, slots=True)
class Find:
    """One row by the columns that the arguments name: an id, a name, or what an input object has."""


@dataclass(frozen=True, slots=True)
class Every:
    """Rows of any type by their ids, or by federation's representations.

    `elsewhere` finds what has an id and no view, by its prefix: a function of the context and the key.
    """

    elsewhere: Mapping[Prefix, Callable[[Any, UUID], object]]


@dataclass(frozen=True, slots=True)
class Facets:
    """Counts of the rows of a view, at the root: an object of Total and Tally."""

    rows: str


@dataclass(frozen=True, slots=True)
class Total:
    """How many rows facets count."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How many of the rows have each value of a column, or of an item of an array. `is_open`: there can be any number
    of values, and the argument `first` says how many are shown."""

    column: str
    is_array: bool = False
    is_open: bool = False


FieldMapping: TypeAlias = (
    Column
    | Identifier
    | ToOne
    | Rows
    | ToMany
    | Inline
    | Embedded
    | Computed
    | ByKey
    | Find
    | Every
    | Facets
    | Total
    | Tally
)


def stored(
    view: str, *, prefix: Prefix | None = None, type_column: str | None = None
) -> Callable[[StoredType], StoredType]:
    """Say where a type's rows are. Goes on top of Strawberry's decorator."""

    def mark(cls: StoredType) -> StoredType:
        setattr(cls, STORED, Stored(view, prefix, type_column))
        return cls

    return mark


def stored_of(cls: type) -> Stored | None:
    """The mapping of the class itself: what an interface says of its rows is not its implementers'."""
    found: Stored | None = vars(cls).get(STORED)
    return found


def stored_kind(kind: GraphQLNamedType) -> Stored | None:
    """The mapping of a type of the schema; None for one that is read from nowhere."""
    declared = origin(kind)
    return stored_of(declared) if declared else None


def mapping_of(field: StrawberryField) -> FieldMapping | None:
    """What was declared of a field; None for one with a resolver of its own."""
    declared: FieldMapping | None = field.metadata.get(METADATA)
    if declared is None and field.is_basic_field:
        return Column(field.python_name)
    return declared
