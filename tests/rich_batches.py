"""Batch services with their configurations, their runs in every state, and inputs."""

from tests.rich_text import moment, problem
from tests.rich_writer import Row, Writer

STATES = (("RUNNING", "RUNNING"), ("STOPPED", "STOPPED"), ("FINISHED", "RUNNING"), ("FAILED", "RUNNING"))
RUN_STATES = ("RUNNING", "LISTING", "FINISHED", "FAILED")
INPUT_STATES = ("SUCCEEDED", "FAILED", "PENDING")
INPUTS = 25


async def write_batches(writer: Writer) -> None:
    version = next(v for v in writer.rows["model_version"] if v["status"] == "NORMAL" and not v["deleted_at"])
    pool_id = await writer.connection.fetchval(
        "SELECT id FROM resource_pool WHERE workspace_id = $1 AND kind = 'SHARED'", writer.workspace_id
    )
    for number, (status, desired) in enumerate(STATES):
        (service,) = await writer.insert(
            "service",
            [
                {
                    "name": f"batch-{number}",
                    "deployment_type": "BATCH",
                    "desired_state": desired,
                    "status": status,
                    "progress": number / 3,
                    "resource_pool_id": pool_id,
                    "last_configuration_number": 1,
                    "created_at": moment(number),
                    "created_by": f"{writer.marker}token",
                }
            ],
        )
        (configuration,) = await writer.insert(
            "service_configuration", [{"service_id": service["id"], "number": 1, "created_by": f"{writer.marker}token"}]
        )
        await write_configuration(writer, service, configuration, version, is_csv=bool(number % 2))
        for run in range(number):
            await write_run(writer, service, configuration, run)


async def write_configuration(writer: Writer, service: Row, configuration: Row, version: Row, *, is_csv: bool) -> None:
    await writer.insert(
        "service_target",
        [
            {
                "service_configuration_id": configuration["id"],
                "model_version_id": version["id"],
                "position": 0,
                "weight": 100,
                "inference_specification": "modelarts.vm.cpu.2u",
                "cpu_count": 2.0,
                "memory_bytes": 2**33,
                "instance_count": 1,
                "environment": [],
            }
        ],
    )
    await writer.insert(
        "batch_configuration",
        [
            {
                "service_configuration_id": configuration["id"],
                "service_id": service["id"],
                "input_kind": "MANIFEST" if is_csv else "PREFIX",
                "input_store": "default",
                "input_key": f"{writer.marker}questions",
                "output_store": "default",
                "output_key": f"{writer.marker}answers/{service['name']}",
                "api_url": "/",
                "api_method": "POST",
                "api_content_type": "application/json",
                "mapping_kind": "CSV" if is_csv else "FILE",
                "mapping_parameter": None if is_csv else "file",
                "mapping_rule": {"type": "number", "index": 0} if is_csv else None,
                "max_concurrency": 4,
            }
        ],
        has_id=False,
    )


async def write_run(writer: Writer, service: Row, configuration: Row, number: int) -> None:
    is_newest = number + 1 == int(service["name"].rpartition("-")[2])
    state = RUN_STATES[number % 2] if is_newest and number == 0 else RUN_STATES[2 + number % 2]
    (run,) = await writer.insert(
        "batch_run",
        [
            {
                "service_id": service["id"],
                "number": number + 1,
                "service_configuration_id": configuration["id"],
                "state": state,
                "input_count": INPUTS,
                "succeeded_count": INPUTS // 3,
                "failed_count": INPUTS // 3,
                "error": problem(writer.marker, number) if state == "FAILED" else None,
                "started_at": moment(number),
                "finished_at": moment(number + 1) if state in ("FINISHED", "FAILED") else None,
            }
        ],
    )
    await writer.insert(
        "batch_input", (batch_input(writer, run, place) for place in range(1, INPUTS + 1)), has_id=False
    )


def batch_input(writer: Writer, run: Row, number: int) -> Row:
    state = INPUT_STATES[number % 3]
    return {
        "batch_run_id": run["id"],
        "number": number,
        "store": "default",
        "key": f"{writer.marker}questions/{number}",
        "size_bytes": number * 1_000 if number % 2 else None,
        "state": state,
        "result_store": "default" if state == "SUCCEEDED" else None,
        "result_key": f"{writer.marker}answers/{number}_result.txt" if state == "SUCCEEDED" else None,
        "row_count": number if number % 4 == 0 else None,
        "error": problem(writer.marker, number) if state == "FAILED" else None,
        "finished_at": None if state == "PENDING" else moment(number),
    }
