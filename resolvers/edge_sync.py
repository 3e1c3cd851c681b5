"""What a node's agent tells and is told: how its services are, and which it is to have."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from asyncpg import Record

from artifacts.json_node import printable
from db import edge_deployment, edge_node, model_version, service, service_log
from db.connection import Pool
from resolvers.download import file_url
from resolvers.edge_node import digest
from resolvers.edge_node_watch import ACTOR
from resolvers.errors import UnknownToken
from resolvers.installation import Installation
from resolvers.service_log import KEPT_LINES, LINE_LENGTH
from resolvers.transaction import Transaction, transaction

REASON_LENGTH = 2_000
# What became of a node by the state that it was in before it was heard of.
HEARD_EVENTS = {"REGISTERED": "EDGE_NODE_CONNECTED", "UNCONNECTED": "EDGE_NODE_RETURNED"}


@dataclass(frozen=True, slots=True)
class Log:
    """Lines that an agent read: `first_number` counts those of one log, which `id` names, from 1."""

    id: UUID
    first_number: int
    lines: Sequence[edge_deployment.LogLine]


@dataclass(frozen=True, slots=True)
class NodeReport:
    sighting: edge_node.Sighting
    deployments: Sequence[edge_deployment.Report]
    logs: Sequence[tuple[UUID, Log]]


@dataclass(frozen=True, slots=True)
class FileAddress:
    """A file of a version: `sha256` in hexadecimal, `url` good for an hour."""

    path: str
    size_bytes: int
    sha256: str
    url: str


async def sign_in(pool: Pool, token: str | None) -> Record:
    """The node that a token belongs to. Raises UnknownToken."""
    node = await edge_node.find_by_token(pool, digest(token)) if token else None
    if node is None:
        raise UnknownToken("This is no edge node's token: the node was deleted, or its token renewed.")
    return node


async def sync(installation: Installation, node: Record, report: NodeReport) -> list[Record]:
    """Take down what a node tells; what it is to have, as rows of db.edge_deployment.wanted_of_node.

    Raises UnknownToken where the node was deleted meanwhile.
    """
    async with transaction(installation.pool, node["workspace_id"], ACTOR) as unit:
        await _see(unit, node["id"], report.sighting)
        for told in sorted(report.deployments, key=lambda told: told.service_id):
            await _take_down(unit, node["id"], told)
        had = [told.service_id for told in report.deployments]
        for service_id in await edge_deployment.let_go(unit.connection, unit.workspace_id, node["id"], had):
            await service.notify(unit.connection, service_id)
    for service_id, log in report.logs:
        await _keep_log(installation, node, service_id, log)
    return await edge_deployment.wanted_of_node(installation.pool, node["workspace_id"], node["id"])


async def files(installation: Installation, node: Record, version_id: UUID) -> list[FileAddress] | None:
    """The files of a version that the node is to run; None where it is to run no such version."""
    wanted = await edge_deployment.wanted_of_node(installation.pool, node["workspace_id"], node["id"])
    if version_id not in {row["model_version_id"] for row in wanted}:
        return None
    rows = await model_version.all_files(installation.pool, node["workspace_id"], version_id)
    return [
        FileAddress(
            row["path"],
            row["size_bytes"],
            row["sha256"].hex(),
            await file_url(installation, row["path"], row["sha256"].hex()),
        )
        for row in rows
    ]


async def _see(unit: Transaction, node_id: UUID, told: edge_node.Sighting) -> None:
    sighting = replace(told, status_message=_reason(told.status_message))
    known = await edge_node.lock(unit.connection, unit.workspace_id, node_id)
    if known is None:
        raise UnknownToken("This edge node was deleted.")
    await edge_node.see(unit.connection, unit.workspace_id, node_id, sighting)
    event = HEARD_EVENTS.get(known["status"])
    if event is not None:
        unit.record(event, node_id, name=known["name"])
    if sighting.status == "FAILED" and known["status"] != "FAILED":
        unit.record("EDGE_NODE_FAILED", node_id, name=known["name"], message=sighting.status_message)
    if known["status"] != sighting.status:
        for service_id in await edge_deployment.of_node(unit.connection, unit.workspace_id, node_id):
            await service.notify(unit.connection, service_id)


async def _take_down(unit: Transaction, node_id: UUID, told: edge_deployment.Report) -> None:
    kept = replace(told, reason=_reason(told.reason))
    if await edge_deployment.report(unit.connection, unit.workspace_id, node_id, kept):
        await service.notify(unit.connection, told.service_id)


def _reason(text: str | None) -> str | None:
    return None if text is None else printable(text[:REASON_LENGTH])


async def _keep_log(installation: Installation, node: Record, service_id: UUID, log: Log) -> None:
    async with transaction(installation.pool, node["workspace_id"], ACTOR) as unit:
        # The service first, as whoever changes it does.
        await service.lock(unit.connection, unit.workspace_id, service_id)
        known = await edge_deployment.lock_log(unit.connection, unit.workspace_id, service_id, node["id"])
        if known is None:
            return
        read_to = known["log_number"] if known["log_id"] == log.id else 0
        last_number = log.first_number + len(log.lines) - 1
        # What an agent sends again, since no answer came, was taken down already.
        fresh = log.lines[max(0, read_to + 1 - log.first_number) :]
        if not fresh:
            return
        kept = [
            edge_deployment.LogLine(line.instance_id, line.model_version_id, printable(line.text)[:LINE_LENGTH])
            for line in fresh
        ]
        await edge_deployment.append_log(
            unit.connection,
            unit.workspace_id,
            service_id,
            node["id"],
            kept,
            log_id=log.id,
            log_number=last_number,
        )
        await service_log.trim(unit.connection, unit.workspace_id, service_id, KEPT_LINES)
