"""Resource pools: the shared one, and those that a workspace has for itself."""

from collections.abc import Sequence

from asyncpg import Record

from db import resource_pool
from resolvers.errors import not_found
from resolvers.transaction import Transaction

SHARED = "shared"


async def chosen(unit: Transaction, name: str | None, *, path: Sequence[str]) -> Record:
    """The row of the pool of a name, the shared one's where none is given. Raises Refusal."""
    row = await resource_pool.find(unit.connection, unit.workspace_id, name=name or SHARED)
    if row is None:
        raise not_found(f"resource pool named {name!r}", path=path)
    return row
