"""A version's files are downloaded as docs/storage.md says."""

import asyncio
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.api import TOKEN, Api, RunningServer
from tests.packages import import_package, mxnet_package

DOCUMENT = Path(__file__).parents[1] / "docs" / "storage.md"


def script() -> str:
    section = DOCUMENT.read_text("utf-8").partition("## Downloading a version")[2]
    found = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.skipif(not (shutil.which("jq") and shutil.which("curl")), reason="the example is of curl and jq")
async def test_every_file_is_fetched_and_compared(server: RunningServer, api: Api, tmp_path: Path) -> None:
    odd = {"model/a b/桜 (1).txt": b"odd name", "model/large.bin": os.urandom(5 << 20), "model/empty": b""}
    package = {**mxnet_package(), **odd}
    assert (await import_package(api, package))["status"] == "NORMAL"
    folder = tmp_path / "download"
    folder.mkdir()
    done = await asyncio.to_thread(
        subprocess.run,
        ["sh", "-eu", "-c", script()],
        cwd=folder,
        env={**os.environ, "URL": server.url, "TOKEN": TOKEN},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    fetched = {
        f"model/{path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert fetched.pop("model/files.json")
    assert fetched == package
    assert done.stdout.count(": OK") == len(package)
