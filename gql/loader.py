"""Rows for graphql-core's resolvers: what the resolvers of one field ask for in one go is one statement."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from strawberry.dataloader import DataLoader

from db import reading
from db.reading import Batch, Parameter, ReadingPool, Record
from gql.context import Context
from gql.listing import Arguments, Read


@dataclass(slots=True)
class Bound:
    """Parameters with the values that they have for known arguments. Raises what reading a value raises."""

    arguments: Arguments
    context: Context
    values: dict[Parameter, object] = field(default_factory=dict)

    def __call__(self, type: str, read: Read) -> Parameter:
        parameter = Parameter(type)
        self.values[parameter] = read(self.arguments, self.context)
        return parameter

    def of(self, parameters: Sequence[Parameter]) -> list[object]:
        return [self.values[parameter] for parameter in parameters]


class Loader:
    """Reads for one execution. Nothing is kept: a mutation may have changed it since."""

    def __init__(self, pool: ReadingPool, workspace_id: UUID) -> None:
        self._pool = pool
        self._workspace_id = workspace_id
        self._loaders: dict[tuple[str, str], DataLoader[UUID | None, list[Record]]] = {}

    async def rows(self, batch: Batch, values: Sequence[object], parent: UUID | None = None) -> list[Record]:
        """The rows of a parent, read together with those of the others that ask for the same. Raises ReadingTimeout."""
        key = (batch.text, repr(values))
        if key not in self._loaders:

            async def load(parents: list[UUID | None]) -> list[list[Record]]:
                return await self._load(batch, values, parents)

            self._loaders[key] = DataLoader(load_fn=load, cache=False)
        return await self._loaders[key].load(parent)

    async def _load(self, batch: Batch, values: Sequence[object], parents: list[UUID | None]) -> list[list[Record]]:
        distinct = list(dict.fromkeys(parents))
        found: Mapping[Any, list[Record]] = defaultdict(list)
        for row in await reading.fetch_batch(self._pool, batch, self._workspace_id, distinct, values):
            found[row["parent"]].append(row)
        return [found[parent] for parent in parents]
