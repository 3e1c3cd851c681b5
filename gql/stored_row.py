"""Rows as graphql-core's resolvers hand them on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from graphql import GraphQLNamedType

from db.reading import Record
from gql.mapping import Stored


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A row as graphql-core's source: of which type it is, and what the names of its columns begin with."""

    columns: Record
    type_name: str
    prefix: str = ""

    def column(self, name: str) -> Any:
        return self.columns[f"{self.prefix}{name}"]


def row_of(target: GraphQLNamedType, stored: Stored, record: Record) -> StoredRow:
    return StoredRow(record, record[stored.type_column] if stored.type_column else target.name)
