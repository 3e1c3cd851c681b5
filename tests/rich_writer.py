"""Writes rows of one workspace by plain SQL."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from uuid import UUID, uuid5

from db.connection import Connection
from tests import rich_text

Row: TypeAlias = dict[str, Any]


@dataclass(slots=True)
class Writer:
    """Writes the rows of one workspace. Keys follow from its name and are in no order of time."""

    connection: Connection
    workspace_id: UUID
    name: str
    marker: str
    region: str
    is_broken: bool
    rows: dict[str, list[Row]] = field(default_factory=dict)

    def text(self, number: int) -> str:
        return self.marker + rich_text.text(number)

    def key(self, table: str, number: int) -> UUID:
        return uuid5(UUID(int=0), f"{self.name}/{table}/{number}")

    async def insert(self, table: str, rows: Iterable[Row], *, has_id: bool = True) -> list[Row]:
        """Rows of the same columns, each with a key of its own."""
        before = len(self.rows.setdefault(table, []))
        given = [
            {**({"id": self.key(table, before + number)} if has_id else {}), "workspace_id": self.workspace_id, **row}
            for number, row in enumerate(rows)
        ]
        names = list(given[0])
        places = ", ".join(f"${number}" for number in range(1, len(names) + 1))
        statement = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places})"
        await self.connection.executemany(statement, [tuple(row[name] for name in names) for row in given])
        self.rows[table] += given
        return given

    def sha256(self, text: str) -> bytes:
        return hashlib.sha256(f"{self.name}/{text}".encode()).digest()
