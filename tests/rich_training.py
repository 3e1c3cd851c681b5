"""Training jobs in every state, and uploads of their output."""

from datetime import UTC, datetime, timedelta

from artifacts.ai_engine import AiEngine
from artifacts.built_in_algorithm import built_in_algorithms
from tests import rich_text
from tests.rich_text import moment
from tests.rich_writer import Row, Writer

RUN_STATUSES = ("COMPLETED", "QUEUED", "RUNNING", "STOPPING", "STOPPED", "INITIALIZING", "FAILED", "LOST")


async def write_training_jobs(writer: Writer) -> None:
    counts = (16, 9, 3, 1, 0, 0, 2)
    names = ["iris", "IRIS", "iris-2", "a", "z" * 64, "empty_job", f"{writer.marker}only-here"]
    jobs = await writer.insert(
        "training_job",
        (
            {
                "name": name,
                "description": writer.text(number) if number % 2 == 0 else None,
                "last_version_number": counts[number],
                "revision": number + 1,
                "created_at": moment(number),
                "created_by": f"{writer.marker}token",
            }
            for number, name in enumerate(names)
        ),
    )
    numbered = [(job, number) for job, count in zip(jobs, counts, strict=True) for number in range(1, count + 1)]
    await writer.insert(
        "training_job_version", (run(writer, place, job, number) for place, (job, number) in enumerate(numbered))
    )


def run(writer: Writer, place: int, job: Row, number: int) -> Row:
    kind = ("FRAMEWORK", "BUILT_IN", "CUSTOM_IMAGE")[place % 3]
    catalogue = [algorithm.name for algorithm in built_in_algorithms()]
    is_assigned = place % 4 != 1
    algorithms = [*catalogue, writer.text(3)]
    measured = rich_text.FLOATS[: place % 12]
    is_looked_at, is_filled = place % 7 != 3, place % 6 != 2
    return {
        "training_job_id": job["id"],
        "number": number,
        "status": RUN_STATUSES[place % 8],
        "status_message": writer.text(place) if place % 3 else None,
        "algorithm_kind": kind,
        "built_in_algorithm": algorithms[place % len(algorithms)] if kind == "BUILT_IN" else None,
        "ai_engine": list(AiEngine)[place % len(AiEngine)] if kind == "FRAMEWORK" else None,
        "ai_engine_version": "1.7.2" if kind == "FRAMEWORK" and place % 2 else None,
        "image": f"{writer.marker}registry.test/image:{number}" if kind == "CUSTOM_IMAGE" else None,
        "parameters": [{"name": writer.text(n), "value": writer.text(n + place)} for n in range(place % 4)],
        "metrics": [{"name": writer.text(n), "value": value} for n, value in enumerate(measured)],
        "architecture": ("X86_64", "AARCH64", None)[place % 3],
        "region": writer.region if place % 5 else f"{writer.marker}elsewhere",
        "output_store": "default",
        "output_key": f"{writer.marker}outputs/{place}/{'é' if is_assigned else writer.text(place)}",
        "is_output_assigned": is_assigned,
        "output_object_count": (place + 1 if is_filled else 0) if is_looked_at else None,
        "output_size_bytes": (place << 33 if is_filled else 0) if is_looked_at else None,
        "output_modified_at": moment(place + place % 3) if is_looked_at and is_filled else None,
        "output_checked_at": moment(place + 9) if is_looked_at else None,
        "started_at": moment(place) if place % 4 else None,
        "finished_at": moment(place) + rich_text.DURATIONS[place % 5] if place % 2 else None,
        "revision": place + 1,
        "created_at": moment(place),
        "created_by": f"{writer.marker}token",
    }


async def write_uploads(writer: Writer) -> None:
    runs = [run for run in writer.rows["training_job_version"] if run["is_output_assigned"]]
    states = ("OPEN", "COMPLETED", "EXPIRED", "OPEN")
    uploads = await writer.insert(
        "upload",
        (
            {
                "training_job_version_id": run["id"],
                "state": states[number % 4],
                "expires_at": datetime.now(UTC) + timedelta(days=2) if number % 4 == 0 else moment(number),
                "completed_at": moment(number + 1) if states[number % 4] == "COMPLETED" else None,
                "created_at": moment(number),
                "created_by": f"{writer.marker}token",
            }
            for number, run in enumerate(runs[:8])
        ),
    )
    sizes = (0, 1, 200 * 2**20, 70 * 2**20)
    await writer.insert(
        "upload_file",
        (
            {
                "upload_id": upload["id"],
                "number": number,
                "path": f"model/{writer.marker}{number}-é.bin",
                "size_bytes": sizes[(place + number) % 4],
            }
            for place, upload in enumerate(uploads)
            for number in range(1, place % 4 + 2)
        ),
        has_id=False,
    )
