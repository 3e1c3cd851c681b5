"""Uploads that a store cannot take: what is told says what is wrong with the store."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.connection import Pool
from tests.api import running_server
from tests.test_upload import announce


@pytest.fixture
def full_disk(data_dir: Path) -> Iterator[Path]:
    """A file system under the data directory's objects that takes a few small files."""
    objects = data_dir / "objects"
    objects.mkdir(mode=0o711)
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(objects)]
    mounted = subprocess.run(command, capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a full disk needs one that is mounted: {mounted.stderr.decode().strip()}")
    yield objects
    subprocess.run(["umount", str(objects)], check=True)


def fill(disk: Path) -> None:
    with (disk / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


async def test_a_full_store_is_told_as_full(pool: Pool, database_url: str, data_dir: Path, full_disk: Path) -> None:
    async with running_server(pool, database_url, data_dir) as server:
        api = server.client()
        await api.record_job()
        upload = await announce(api, {"model/a": 1})
        fill(full_disk)
        document = "query ($id: ID!) { node(id: $id) { ... on Upload { files { parts { url } } } } }"
        payload = await api.mutate(
            "createUpload",
            "upload { id }",
            trainingJobName="iris",
            versionName="V0001",
            files=[{"path": "model/b", "sizeBytes": 1}],
        )
        answer = await api.send(document, id=payload["upload"]["id"])
        assert upload["id"] != payload["upload"]["id"]
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["STORE_FULL"]
