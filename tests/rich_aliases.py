"""Aliases and where they pointed before, and a model that is deleted: one version can be restored, another is gone."""

from datetime import datetime

from tests.rich_models import version
from tests.rich_text import moment
from tests.rich_writer import Row, Writer


async def write_deleted_model(writer: Writer) -> None:
    (model,) = await writer.insert(
        "model",
        [
            {
                "name": "deleted",
                "last_version_number": 2,
                "version_count": 2,
                "created_at": moment(5),
                "created_by": f"{writer.marker}token",
                "deleted_at": moment(6),
                "deleted_by": f"{writer.marker}token",
            }
        ],
    )
    place = len(writer.rows["model_version"])
    gone = {
        "status": "NORMAL",
        "deleted_at": moment(6),
        "deleted_by": f"{writer.marker}token",
        "restorable_until": moment(12),
    }
    await writer.insert(
        "model_version",
        [
            {**version(writer, place + number, model, number), **gone, "purged_at": moment(13) if number == 2 else None}
            for number in (1, 2)
        ],
    )


async def write_aliases(writer: Writer) -> None:
    models = writer.rows["model"]
    normal = [row for row in writer.rows["model_version"] if row["status"] == "NORMAL"]
    # What an alias points at now is not deleted.
    normal.sort(key=lambda row: row["deleted_at"] is None)
    await writer.insert(
        "model_alias",
        (
            row
            for model in models
            for row in _of_model(writer, model, [each for each in normal if each["model_id"] == model["id"]])
        ),
    )


def _of_model(writer: Writer, model: Row, versions: list[Row]) -> list[Row]:
    """`production` moves through all versions and holds, where the model is not deleted; `Old-1` ended for good."""
    # 1969, 2024, 2026 and 9996: an alias may be set to hold for long.
    times = [moment(2), moment(3), moment(8), moment(5)]
    moves: list[tuple[str, Row, datetime, datetime | None]]
    moves = [("production", each, times[place], times[place + 1]) for place, each in enumerate(versions[:3])]
    moves += [("Old-1", each, times[0], times[1]) for each in versions[:1]]
    moves += [("staging", each, times[2], None) for each in versions[-1:] if "deleted_at" not in model]
    if moves and "deleted_at" not in model:
        last = len(versions[:3]) - 1
        moves[last] = (*moves[last][:3], None)
    return [
        {
            "model_id": model["id"],
            "number": number,
            "name": name,
            "model_version_id": each["id"],
            "set_at": set_at,
            "set_by": f"{writer.marker}token",
            "ended_at": ended_at,
            "ended_by": f"{writer.marker}token" if ended_at else None,
        }
        for number, (name, each, set_at, ended_at) in enumerate(moves, start=1)
    ]
