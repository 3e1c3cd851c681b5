"""What was begun and never ended gives back what it holds."""

from pathlib import Path

from db.connection import Pool
from db.reading_pool import create_reading_pool
from resolvers.expired_upload import discard_expired
from server.build import installation
from tests.api import RunningServer


async def test_an_upload_that_was_never_completed_gives_its_space_back(
    server: RunningServer, pool: Pool, database_url: str
) -> None:
    api = server.client()
    version = await api.record_job()
    selection = "upload { id files { parts { url } } }"
    files = [{"path": "model/large", "sizeBytes": 2**40}]
    payload = await api.mutate("createUpload", selection, trainingJobName="iris", versionName=version, files=files)
    assert payload["errors"] == []
    kept = uploads_on_disk(server.settings.data_dir)
    assert kept
    assert sum(path.stat().st_blocks for path in kept) * 512 < 2**20, "announcing takes no space"

    async with (
        await create_reading_pool(database_url, size=1) as reading,
        installation(server.settings, pool, reading, dies_with_server=False) as made,
    ):
        assert await discard_expired(made) == 0
        await pool.execute("UPDATE upload SET expires_at = now() - interval '2 hours'")
        assert await discard_expired(made) == 1
        assert await discard_expired(made) == 0

    assert uploads_on_disk(server.settings.data_dir) == []
    errors = await api.refused("completeUpload", uploadId=payload["upload"]["id"])
    assert [error["code"] for error in errors] == ["UPLOAD_EXPIRED"]


def uploads_on_disk(data_dir: Path) -> list[Path]:
    """The files that uploads under way hold in the folder store."""
    folders = [path for path in (data_dir / "objects").rglob("*") if path.is_dir() and path.name.startswith(".")]
    return [path for folder in folders for path in folder.rglob("*") if path.is_file() and path.stat().st_size > 2**30]
