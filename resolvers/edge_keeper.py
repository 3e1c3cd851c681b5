"""Follows edge services: which nodes are to run each, and how it is by what they say. The nodes do the rest."""

from collections.abc import Mapping

from asyncpg import Record

from db import edge_deployment, service, service_configuration
from engines.engine import InstanceStatus
from resolvers.edge_service_status import CONNECTED, STOPPED, named, status_of
from resolvers.installation import Installation
from resolvers.service import ServiceDesiredState, ServiceStatus
from resolvers.service_observation import ACTOR, lock_unchanged, note, observe, overdue
from resolvers.transaction import transaction


class EdgeKeeper:
    """See `resolvers.reconciler.Keeper`. Nodes report to any server; this one sums up what is written down of them."""

    def __init__(self, installation: Installation) -> None:
        self._pool = installation.pool
        self._timeout_seconds = installation.rules.deployment_timeout_seconds

    async def keep(self, row: Record, _statuses: Mapping[str, InstanceStatus]) -> None:
        """The service is to run."""
        nodes = await edge_deployment.of_service(self._pool, row["workspace_id"], row["id"])
        timeout_seconds = await overdue(self._pool, row, self._timeout_seconds)
        observed = status_of(row, nodes, timeout_seconds=timeout_seconds)
        number = row["last_configuration_number"]
        if observed.status == ServiceStatus.RUNNING and row["routed_configuration_number"] != number:
            await self._turn_over(row, observed)
        else:
            is_late = timeout_seconds is not None and observed.status != ServiceStatus.RUNNING
            await observe(self._pool, row, observed, is_late=is_late)

    async def rest(self, row: Record) -> None:
        """The service is to stop, or to end. Nodes that are not heard of do so when they are again."""
        nodes = await edge_deployment.of_service(self._pool, row["workspace_id"], row["id"])
        is_deleted = row["desired_state"] == ServiceDesiredState.DELETED
        if any(node["node_status"] == CONNECTED and (is_deleted or node["state"] != STOPPED) for node in nodes):
            return
        left = [node for node in nodes if node["state"] != STOPPED and node["last_seen_at"] is not None]
        message = f"Not heard of, and so not told as yet: {named(left)}." if left else None
        if is_deleted:
            await self._remove(row, message)
        else:
            await observe(self._pool, row, service.Observation(ServiceStatus.STOPPED, message, None))

    async def _turn_over(self, row: Record, observed: service.Observation) -> None:
        async with transaction(self._pool, row["workspace_id"], ACTOR) as unit:
            current = await lock_unchanged(unit, row)
            if current is not None:
                number = current["last_configuration_number"]
                await service_configuration.route(unit.connection, unit.workspace_id, current["id"], number)
                await note(unit, current, observed)

    async def _remove(self, row: Record, message: str | None) -> None:
        async with transaction(self._pool, row["workspace_id"], ACTOR) as unit:
            current = await lock_unchanged(unit, row)
            if current is not None:
                await edge_deployment.remove(unit.connection, unit.workspace_id, current["id"])
                observed = service.Observation(ServiceStatus.DELETING, message, None, is_deleted=True)
                await note(unit, current, observed)
