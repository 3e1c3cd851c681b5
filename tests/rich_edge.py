"""Edge nodes in every state, services on them, and what each says of each."""

from tests.rich_text import environment, moment
from tests.rich_writer import Writer

NODE_STATES = ("RUNNING", "UNCONNECTED", "REGISTERED", "FAILED", "RUNNING")
DEPLOYMENT_STATES = ("RUNNING", "FAILED", "PENDING", "STOPPED", "NOT_READY", "PREPARING")


async def write_edge(writer: Writer) -> None:
    nodes = await writer.insert(
        "edge_node",
        (
            {
                "name": f"node-{number}",
                "description": writer.text(number) if number % 2 else None,
                "token_sha256": writer.sha256(f"node/{number}"),
                "status": status,
                "status_message": writer.text(number) if status == "FAILED" else None,
                "runtime": None if status == "REGISTERED" else "python3.11",
                "isolation": ("USER", "BUBBLEWRAP", None, "NONE")[number % 4],
                "cpu_count": None if status == "REGISTERED" else number + 0.5,
                "memory_bytes": None if status == "REGISTERED" else 2**33 + number,
                "last_seen_at": None if status == "REGISTERED" else moment(number),
                "created_at": moment(number),
                "created_by": f"{writer.marker}token",
                "deleted_at": moment(9) if number == len(NODE_STATES) - 1 else None,
            }
            for number, status in enumerate(NODE_STATES)
        ),
    )
    pool_id = await writer.connection.fetchval(
        "SELECT id FROM resource_pool WHERE workspace_id = $1 AND kind = 'SHARED'", writer.workspace_id
    )
    services = await writer.insert(
        "service",
        (
            {
                "name": f"edge-{number}",
                "deployment_type": "EDGE",
                "status": status,
                "resource_pool_id": pool_id,
                "last_configuration_number": 1,
                "created_at": moment(number),
                "created_by": f"{writer.marker}token",
                "deleted_at": moment(number) if status == "DELETING" else None,
            }
            for number, status in enumerate(("RUNNING", "CONCERNING", "DELETING"))
        ),
    )
    configurations = await writer.insert(
        "service_configuration",
        ({"service_id": service["id"], "number": 1, "created_by": f"{writer.marker}token"} for service in services),
    )
    version = next(v for v in writer.rows["model_version"] if v["status"] == "NORMAL" and not v["deleted_at"])
    await writer.insert(
        "service_target",
        (
            {
                "service_configuration_id": configuration["id"],
                "model_version_id": version["id"],
                "position": 0,
                "weight": 100,
                "inference_specification": "modelarts.vm.cpu.2u",
                "cpu_count": 2.0,
                "memory_bytes": 2**33,
                "instance_count": 1,
                "environment": environment(writer.marker, place),
            }
            for place, configuration in enumerate(configurations)
        ),
    )
    pairs = [(service, node) for service in services for node in nodes[: len(NODE_STATES) - 1]]
    await writer.insert(
        "edge_deployment",
        (
            {
                "service_id": service["id"],
                "edge_node_id": node["id"],
                "desired_state": "STOPPED" if place % 4 == 3 else "RUNNING",
                "state": DEPLOYMENT_STATES[place % len(DEPLOYMENT_STATES)],
                "reason": writer.text(place) if place % 3 == 1 else None,
                "address": f"http://127.0.0.1:{8500 + place}" if place % 2 == 0 else None,
                "configuration_number": 1 if place % 6 == 0 else None,
                "reported_at": moment(place) if place % 2 else None,
            }
            for place, (service, node) in enumerate(pairs)
        ),
    )
    await writer.insert(
        "service_log_line",
        (
            {
                "service_id": services[0]["id"],
                "number": number,
                "service_instance_id": writer.key("edge_instance", number % 2),
                "model_version_id": version["id"],
                "edge_node_id": nodes[number % 2]["id"],
                "written_at": moment(number),
                "text": writer.text(number),
            }
            for number in range(1, 5)
        ),
        has_id=False,
    )
