"""Follows edge services: which nodes are to run each, and how it is by what they say. The nodes do the rest."""

from collections.abc import Mapping
from uuid import UUID

from asyncpg import Record

from db import edge_deployment, operation, service, service_configuration
from engines.engine import InstanceStatus
from resolvers.edge_service_status import CONNECTED, STOPPED, named, status_of
from resolvers.installation import Installation
from resolvers.service import ServiceDesiredState, ServiceStatus
from resolvers.service_observation import ACTOR, UNDER_WAY, lock_unchanged, note, observe
from resolvers.transaction import transaction


class EdgeKeeper:
    """See `resolvers.reconciler.Keeper`. Nodes report to any server; this one sums up what is written down of them."""

    def __init__(self, installation: Installation) -> None:
        self._pool = installation.pool
        self._timeout_seconds = installation.rules.deployment_timeout_seconds
        self._settled: dict[UUID, int] = {}

    async def keep(self, row: Record, _statuses: Mapping[str, InstanceStatus]) -> None:
        """The service is to run."""
        await self._settle(row)
        nodes = await edge_deployment.of_service(self._pool, row["workspace_id"], row["id"])
        timeout_seconds = await self._overdue(row)
        observed = status_of(row, nodes, timeout_seconds=timeout_seconds)
        number = row["last_configuration_number"]
        if observed.status == ServiceStatus.RUNNING and row["routed_configuration_number"] != number:
            await self._turn_over(row, observed)
        else:
            await observe(self._pool, row, observed, is_late=timeout_seconds is not None)

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

    async def _settle(self, row: Record) -> None:
        """Have what every node is to do written down, whatever brought the configuration about."""
        if self._settled.get(row["id"]) == row["last_configuration_number"]:
            return
        async with transaction(self._pool, row["workspace_id"], ACTOR) as unit:
            await edge_deployment.settle(unit.connection, row["workspace_id"], row["id"])
        self._settled[row["id"]] = row["last_configuration_number"]

    async def _overdue(self, row: Record) -> float | None:
        """The longest that a deployment may take, where this one has taken longer."""
        if row["status"] not in UNDER_WAY:
            return None
        seconds = await operation.seconds_under_way(self._pool, row["workspace_id"], row["id"])
        return self._timeout_seconds if seconds is not None and seconds > self._timeout_seconds else None

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
        self._settled.pop(row["id"], None)
