"""An edge service's status, by what its nodes said last (modelarts: edge instance_status and node state)."""

from collections.abc import Sequence
from datetime import datetime

from asyncpg import Record

from db.service import Observation
from resolvers.service import ServiceStatus
from resolvers.service_observation import UNDER_WAY

RUNNING, STOPPED, FAILED = "RUNNING", "STOPPED", "FAILED"
CONNECTED, UNCONNECTED, REGISTERED = "RUNNING", "UNCONNECTED", "REGISTERED"
NAMED_NODES = 5


def status_of(row: Record, nodes: Sequence[Record], *, timeout_seconds: float | None = None) -> Observation:
    """RUNNING where it serves on every node that is to run it, CONCERNING on some, FAILED on none.

    `nodes` are of db.edge_deployment.of_service; `timeout_seconds` is given where a deployment took longer.
    """
    wanted = [node for node in nodes if node["desired_state"] == RUNNING]
    behind = [node for node in wanted if not is_up(row, node)]
    progress = 1 - len(behind) / len(wanted) if wanted else 0.0
    if not wanted:
        idle = "It is stopped on each of its nodes." if nodes else "None of its nodes is there any more."
        return Observation(ServiceStatus.CONCERNING if nodes else ServiceStatus.FAILED, idle, progress)
    message = _sentence(row, [*behind, *(node for node in nodes if node["desired_state"] == STOPPED)])
    if not behind:
        return Observation(ServiceStatus.RUNNING, message, progress)
    is_troubled = timeout_seconds is not None or any(_is_troubled(node) for node in behind)
    if row["status"] in UNDER_WAY and not is_troubled:
        return Observation(ServiceStatus.DEPLOYING, message, progress)
    # A node that is not heard of may serve all the same; one whose agent begins anew will.
    is_serving = any(node["state"] == RUNNING for node in wanted)
    has_failed = not is_serving and (is_troubled or row["status"] == ServiceStatus.FAILED)
    return Observation(ServiceStatus.FAILED if has_failed else ServiceStatus.CONCERNING, message, progress)


def is_up(row: Record, node: Record) -> bool:
    """Whether a node, of which something was heard lately, serves the configuration that is wanted."""
    is_current = node["configuration_number"] == row["last_configuration_number"]
    return bool(node["node_status"] == CONNECTED and node["state"] == RUNNING and is_current)


def named(nodes: Sequence[Record]) -> str:
    """The nodes' names, of many the first ones."""
    names = ", ".join(node["node_name"] for node in nodes[:NAMED_NODES])
    return names if len(nodes) <= NAMED_NODES else f"{names} and {len(nodes) - NAMED_NODES} more"


def _is_troubled(node: Record) -> bool:
    return node["state"] == FAILED or node["node_status"] in (UNCONNECTED, FAILED) or node["reason"] is not None


def _sentence(row: Record, nodes: Sequence[Record]) -> str | None:
    said = [_said(row, node) for node in nodes[:NAMED_NODES]]
    more = [f"{len(nodes) - NAMED_NODES} more nodes are not ready."] if len(nodes) > NAMED_NODES else []
    return " ".join([*said, *more]) or None


def _said(row: Record, node: Record) -> str:
    name = node["node_name"]
    if node["node_status"] == REGISTERED:
        return f"{name} has not reported yet."
    if node["node_status"] == UNCONNECTED:
        return f"{name} has not reported since {_time(node['last_seen_at'])}."
    if node["reason"] is not None:
        return f"{name}: {node['reason']}"
    if node["desired_state"] == STOPPED:
        return f"{name} is stopped."
    if node["state"] == RUNNING:
        return f"{name} serves configuration {node['configuration_number']} as yet."
    return f"{name} is {node['state']}."


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}Z"
