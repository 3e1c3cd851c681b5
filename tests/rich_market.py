"""The market: listings that every workspace sees, unmarked, and subscriptions to those of the workspaces before."""

from uuid import UUID

from artifacts.pickle_scan import ScanState
from resolvers import version_number
from resolvers.scan_report import scan_report
from tests.rich_models import version
from tests.rich_text import METRICS, apis, dependencies, moment, provenance, text
from tests.rich_writer import Row, Writer

LISTINGS = 4
OTHERS = """
SELECT id, model_id, publisher, model_name, version, version_number
FROM market_listing
WHERE workspace_id <> $1
ORDER BY withdrawn_at NULLS LAST, id
LIMIT 5
"""


async def write_market(writer: Writer) -> None:
    """After the models, and before the files, which subscribers' versions have too."""
    await _write_listings(writer)
    await _write_subscriptions(writer)


async def _write_listings(writer: Writer) -> None:
    """The last one is withdrawn."""
    normal = [each for each in writer.rows["model_version"] if each["status"] == "NORMAL" and not each["deleted_at"]]
    await writer.insert(
        "market_listing",
        (
            {
                "model_id": each["model_id"],
                "model_version_id": each["id"],
                "publisher": writer.name,
                "model_name": each["model_name"],
                "version_number": each["version_number"],
                "version": version_number.text(each["version_number"]),
                "title": text(number) if number % 2 else None,
                "description": text(number + 1) if number % 3 else None,
                "labels": [text(n) for n in range(number)],
                "documents": [{"name": f"doc-{n}", "url": f"https://d.test/?n={n}"} for n in range(number + 1)],
                "ai_engine": ("SCIKIT_LEARN", None, "PYTORCH")[number % 3],
                "algorithm": text(number) if number % 2 else None,
                "runtime": "python3.6" if number % 3 else None,
                "deployment_types": ["REAL_TIME", "BATCH", "EDGE"][:number],
                "apis": apis("", number),
                "dependencies": dependencies("", number),
                "metrics": METRICS[number] or None,
                "size_bytes": (12_345, None, 2**53 - 1)[number % 3],
                "digest": each["digest"] if number % 2 else None,
                "scan": scan_report([*ScanState][: number + 1]) if number % 2 == 0 else None,
                "provenance": provenance("", number),
                "published_at": moment(number),
                "published_by": f"{writer.marker}token",
                "withdrawn_at": moment(number + 1) if number == LISTINGS - 1 else None,
            }
            for number, each in enumerate(normal[:LISTINGS])
        ),
    )


async def _write_subscriptions(writer: Writer) -> None:
    """To a withdrawn listing first; the last one has ended, and its version's files are let go."""
    listings = await writer.connection.fetch(OTHERS, writer.workspace_id)
    writer.rows.setdefault("market_subscription", [])
    if not listings:
        return
    models = await writer.insert(
        "model",
        (
            {
                "name": f"subscribed-{number}",
                "publisher_model_id": listing["model_id"],
                "last_version_number": listing["version_number"],
                "version_count": 1,
                "created_at": moment(number),
                "created_by": f"{writer.marker}token",
                "deleted_at": moment(number) if number == len(listings) - 1 else None,
            }
            for number, listing in enumerate(listings)
        ),
    )
    versions = await writer.insert(
        "model_version",
        (
            _copied(writer, number, model, listing["version_number"])
            for number, (model, listing) in enumerate(zip(models, listings, strict=True))
        ),
    )
    await writer.insert(
        "market_subscription",
        (
            {
                "market_listing_id": listing["id"],
                "model_id": copied["model_id"],
                "model_version_id": copied["id"],
                "publisher": listing["publisher"],
                "published_model_name": listing["model_name"],
                "version": listing["version"],
                "subscribed_at": moment(number),
                "subscribed_by": f"{writer.marker}token",
                "ended_at": copied["deleted_at"],
            }
            for number, (copied, listing) in enumerate(zip(versions, listings, strict=True))
        ),
    )


def _copied(writer: Writer, number: int, model: Row, published: int) -> Row:
    """A subscriber's version. It is among the newest of the workspace's, so that a page shows it."""
    key = writer.key("copied version", number)
    return {
        **version(writer, number * 10, model, published),
        "id": UUID(f"ffffffff{key.hex[8:]}"),
        "origin": "MARKET",
        "source_kind": "MARKET",
        "training_job_version_id": None,
        "source_store": None,
        "source_key": None,
        "template": None,
        "image": None,
        **dict.fromkeys(("chosen_store", "chosen_key", "chosen_input_output_mode", "image_command")),
        "deleted_at": model["deleted_at"],
        "purged_at": model["deleted_at"],
    }
