"""Resource pools, and sizes of a workspace's own."""

from tests.rich_text import moment
from tests.rich_writer import Writer

GIBIBYTE = 2**30
SHARED = "UPDATE resource_pool SET id = $2, created_at = $3 WHERE workspace_id = $1 AND kind = 'SHARED'"


async def write_pools(writer: Writer) -> None:
    """Dedicated ones; the shared one that every workspace has gets a key that follows from the name, too."""
    await writer.connection.execute(SHARED, writer.workspace_id, writer.key("shared_pool", 0), moment(0))
    await writer.insert(
        "resource_pool",
        (
            {
                "name": name,
                "kind": "DEDICATED",
                "description": writer.text(number) if number % 2 else None,
                "cpu_count": 0.5 + number * 4,
                "memory_bytes": (number + 1) * 16 * GIBIBYTE,
                "gpu_count": number / 4,
                "ascend_count": number % 3,
                "revision": number + 1,
                "created_at": moment(number),
                "created_by": f"{writer.marker}token" if number else None,
            }
            for number, name in enumerate((f"{writer.marker}pool", "gpu-a", "GPU-a", "池"))
        ),
    )
    await writer.insert(
        "inference_specification",
        (
            {
                "name": f"{writer.marker}size-{number}",
                "description": writer.text(number) if number else None,
                "cpu_count": 0.25 * (number + 1),
                "memory_bytes": (number + 1) * GIBIBYTE,
                "created_by": f"{writer.marker}token",
            }
            for number in range(3)
        ),
    )
