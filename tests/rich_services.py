"""Services in every state with their instances and logs, operations, and events."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count

from resolvers.latency import LATENCY_BUCKETS_SECONDS
from tests import rich_text
from tests.rich_text import environment, moment, problem
from tests.rich_writer import Row, Writer

SERVICE_STATES = (
    ("RUNNING", "RUNNING"),
    ("DEPLOYING", "RUNNING"),
    ("CONCERNING", "RUNNING"),
    ("FAILED", "RUNNING"),
    ("PENDING", "RUNNING"),
    ("STOPPING", "STOPPED"),
    ("STOPPED", "STOPPED"),
    ("FINISHED", "STOPPED"),
    ("DELETING", "DELETED"),
)
CONFIGURATION_STATES = ("RUNNING", "SUCCEEDED", "FAILED", "SUPERSEDED")
OPERATION_STATES = ("SUCCEEDED", "QUEUED", "RUNNING", "FAILED", "CANCELLED")


async def write_services(writer: Writer) -> None:
    normal = [v for v in writer.rows["model_version"] if v["status"] == "NORMAL" and not v["deleted_at"]]
    deleted = next(v for v in writer.rows["model_version"] if v["status"] == "NORMAL" and v["deleted_at"])
    states = [*SERVICE_STATES, ("RUNNING", "RUNNING"), ("STOPPED", "DELETED"), ("DELETING", "DELETED")]
    names = [f"service-{number}" for number in range(len(states))]
    # A deleted service gave its name back, and another one that is live has it now.
    names[10], names[9] = names[0], f"{writer.marker}only-here"
    pools = [writer.key("shared_pool", 0), *(pool["id"] for pool in writer.rows["resource_pool"])]
    services = await writer.insert(
        "service",
        (
            {
                "name": names[number],
                "description": writer.text(number) if number % 2 else None,
                "deployment_type": "REAL_TIME",
                "desired_state": desired,
                "status": status,
                "status_message": writer.text(number + 3) if status in ("FAILED", "CONCERNING") else None,
                "progress": (0.0, 1.0, 1 / 3, None, 0.1)[number % 5],
                "revision": number + 1,
                "last_configuration_number": number % 3 + 1,
                "routed_configuration_number": number % 3 + 1 if number % 4 else None,
                "resource_pool_id": pools[number % len(pools)],
                "access": ("TOKEN", "PUBLIC")[number % 2],
                "max_body_bytes": (None, 2**40)[number % 2],
                "timeout_seconds": (None, 2.5)[number % 2],
                "requests_per_second": (None, 1 / 3, 10.0)[number % 3],
                "request_burst": (None, None, 7)[number % 3],
                "checks_inputs": bool(number % 2),
                "auto_stop_after_seconds": (None, 3600, 86_400)[number % 3],
                "auto_stop_at": moment(number) if number % 3 == 1 else None,
                "updated_at": moment(number) if number % 2 else None,
                "started_at": moment(number) if number % 3 else None,
                "finished_at": moment(number) if status == "FINISHED" else None,
                "last_log_number": number * 2,
                "created_at": moment(number),
                "created_by": f"{writer.marker}token",
                "deleted_at": moment(number + 1) if number >= 10 else None,
            }
            for number, (status, desired) in enumerate(states)
        ),
    )
    configurations = await writer.insert(
        "service_configuration",
        (
            {
                "service_id": service["id"],
                "number": number,
                "created_by": f"{writer.marker}token",
                "cause": "DEPLOY" if number == 1 else ("UPDATE", "ROLL_BACK", "RESTART")[place % 3],
                "restored_number": 1 if number > 1 and place % 3 == 1 else None,
                "state": CONFIGURATION_STATES[(place + number) % 4],
                "message": writer.text(place) if CONFIGURATION_STATES[(place + number) % 4] == "FAILED" else None,
                "finished_at": moment(place) if CONFIGURATION_STATES[(place + number) % 4] != "RUNNING" else None,
            }
            for place, service in enumerate(services)
            for number in range(1, service["last_configuration_number"] + 1)
        ),
    )
    targets = await writer.insert(
        "service_target",
        (
            {
                "service_configuration_id": configuration["id"],
                "model_version_id": (deleted if writer.is_broken and place == 0 and position == 0 else version)["id"],
                "position": position,
                "weight": (100, 0, 33)[position],
                "inference_specification": ("modelarts.vm.cpu.2u", "modelarts.vm.cpu.free", "gone")[place % 3],
                "cpu_count": (2.0, 1.0, 0.25)[place % 3],
                "memory_bytes": (place % 3 + 1) * 2**32,
                "gpu_count": (0.0, 0.5)[place % 2],
                "ascend_count": 0,
                "instance_count": position + 1,
                "environment": environment(writer.marker, place),
            }
            for place, configuration in enumerate(configurations)
            for position, version in enumerate((normal * 2)[place % len(normal) :][: place % 3 + 1])
        ),
    )
    await write_instances(writer, services, configurations, targets)
    await write_predictions(writer, services)


async def write_predictions(writer: Writer, services: Sequence[Row]) -> None:
    """Some that were counted just now: what is older than a window is not shown."""
    await writer.insert(
        "prediction_minute",
        (
            {
                "service_id": service["id"],
                "model_version_id": version["id"],
                "minute": datetime.now(UTC).replace(second=0, microsecond=0),
                "call_count": 10,
                "failure_count": place,
                "refusal_count": 1,
                "latency_seconds_sum": 0.5,
                "latency_counts": [number % 2 for number in range(len(LATENCY_BUCKETS_SECONDS) + 1)],
                "most_in_flight": 2,
            }
            for place, service in enumerate(services)
            for version in writer.rows["model_version"][:2]
        ),
        has_id=False,
    )


async def write_instances(
    writer: Writer, services: Sequence[Row], configurations: Sequence[Row], targets: Sequence[Row]
) -> None:
    service_of = {configuration["id"]: configuration["service_id"] for configuration in configurations}
    states = ("READY", "STARTING", "EXITED", "PENDING")
    # They count in their service, whichever target they are of.
    numbers = {service["id"]: count(1) for service in services}
    versions = writer.rows["model_version"]
    instances = await writer.insert(
        "service_instance",
        (
            {
                "service_id": service_of[target["service_configuration_id"]],
                "service_target_id": target["id"],
                "number": next(numbers[service_of[target["service_configuration_id"]]]),
                "state": states[(place + number) % 4 if place % 2 == 0 else (place + number) % 3],
                "placed_at": moment(place) if place % 2 else None,
                "isolation": (None, "NONE", "BUBBLEWRAP")[place % 3],
                "address": "127.0.0.1:1" if (place + number) % 3 == 0 else None,
                "attempts": number,
                "next_attempt_at": moment(place) if (place + number) % 3 == 2 else None,
                "reason": writer.text(place) if (place + number) % 3 == 2 else None,
                "ready_at": moment(place) if (place + number) % 3 == 0 else None,
            }
            for place, target in enumerate(targets)
            for number in range(1, place % 4 + 1)
        ),
    )
    await writer.insert(
        "service_log_line",
        (
            {
                "service_id": service["id"],
                "number": number,
                "service_instance_id": instances[place % len(instances)]["id"],
                "instance_number": instances[place % len(instances)]["number"] if number % 3 else None,
                "model_version_id": versions[number % len(versions)]["id"] if number % 3 else None,
                "written_at": moment(number),
                "text": writer.text(number),
            }
            for place, service in enumerate(services)
            for number in range(1, place * 2 + 1)
        ),
        has_id=False,
    )


async def write_operations(writer: Writer) -> None:
    subjects = [("IMPORT_MODEL", version["id"]) for version in writer.rows["model_version"][:12]]
    kinds = ("DEPLOY_SERVICE", "START_SERVICE", "STOP_SERVICE", "DELETE_SERVICE")
    services = writer.rows["service"]
    subjects += [(kind, service["id"]) for n, service in enumerate(services) for kind in kinds[: n % 5]]
    stopped = {"code": "SERVICE_NOT_RUNNING", "message": writer.text(4)}
    await writer.insert(
        "operation",
        (
            {
                "kind": kind,
                "state": state,
                "stage": writer.text(number) if state != "QUEUED" else None,
                "progress": (None, 0.0, 0.25, 1.0, 2 / 3)[number % 5 - 1],
                "attempts": number % 4,
                "error": (problem(writer.marker, number) if number % 2 else stopped) if state == "FAILED" else None,
                "subject_id": subject,
                "created_at": moment(number),
                "created_by": f"{writer.marker}token",
                "started_at": moment(number) if state != "QUEUED" else None,
                "finished_at": moment(number + 1) if state not in ("QUEUED", "RUNNING") else None,
            }
            for number, (kind, subject) in enumerate(subjects)
            for state in (OPERATION_STATES[number % 5],)
        ),
    )


async def write_events(writer: Writer) -> None:
    tables = ("training_job_version", "upload", "model_version", "service")
    subjects = [row["id"] for table in tables for row in writer.rows[table][:10]]
    events = await writer.insert(
        "event",
        (
            {
                "number": number,
                "kind": f"{writer.marker}KIND_{number % 5}",
                "subject_id": subjects[number % len(subjects)],
                "actor": f"{writer.marker}token",
                "data": rich_text.event_data(writer.marker, number),
                "occurred_at": moment(number),
            }
            for number in range(1, 121)
        ),
        has_id=False,
    )
    await writer.connection.execute(
        "INSERT INTO event_counter (workspace_id, last_number) VALUES ($1, $2)", writer.workspace_id, len(events)
    )
