"""What it takes to deploy or change a service of any type: done once for a key, with what should be known of it."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from resolvers.caller import Caller
from resolvers.errors import Refusal
from resolvers.idempotency import once
from resolvers.installation import Installation
from resolvers.transaction import Transaction, transaction

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

# Does it in a transaction, and adds to the warnings: the service's id.
Deed = Callable[[Transaction, list[Refusal]], Awaitable[UUID]]


@dataclass(slots=True)
class Deployment:
    """The service, and what whoever deploys should know; nothing where an earlier answer is repeated."""

    service_id: UUID
    warnings: list[Refusal] = field(default_factory=list)


async def deployed(
    installation: Installation,
    caller: Caller,
    deed: Deed,
    *,
    mutation: str,
    request: "DataclassInstance",
    idempotency_key: str | None,
) -> Deployment:
    """Do it in one transaction, once for a key. Raises Refusals."""
    warnings: list[Refusal] = []
    async with transaction(installation.pool, caller.workspace.id, caller.actor) as unit:

        async def act() -> UUID:
            return await deed(unit, warnings)

        service_id = await once(unit, mutation=mutation, key=idempotency_key, request=asdict(request), act=act)
    return Deployment(service_id, warnings)
