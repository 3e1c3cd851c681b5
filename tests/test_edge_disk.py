"""An agent's own files: the lock of its data directory, what it fetches, and a disk on which nothing can be written."""

import asyncio
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

import pytest

from edge import agent_lock
from edge.options import Options, keep, read_options
from edge.package_store import PackageStore
from edge.server_link import RemoteFile, ServerLink
from edge.unpacking import unpacked
from server.edge_agent_file import archive
from tests.api import Api
from tests.edge_nodes import agent, deploy_edge, node_in, register
from tests.services import ECHO, import_version, package

CHECKOUT = Path(__file__).parent.parent
ARGUMENTS = ("--server", "http://127.0.0.1:9", "--token", "mye_x")


def options(data: Path) -> Options:
    return read_options([*ARGUMENTS, "--data", str(data)])


async def test_what_cannot_be_written_down_is_told_and_ends_nothing(
    api: Api, tmp_path: Path, environments: Path
) -> None:
    version = await import_version(api, package(ECHO))
    async with agent(api, await register(api, "gate"), tmp_path, environments) as gate:
        await node_in(api, "gate", "RUNNING")
        # A folder in the file's place: nobody can write it, root neither.
        (gate.data / ".services.json.new").mkdir()
        await deploy_edge(api, "edge", version, "gate")
        failed = await node_in(api, "gate", "FAILED")
        assert "cannot be written down" in failed["statusMessage"]
        (gate.data / ".services.json.new").rmdir()
        await node_in(api, "gate", "RUNNING")
        assert gate.process is not None
        assert gate.process.poll() is None


def test_settings_that_are_kept_already_are_not_written_again(tmp_path: Path) -> None:
    keep(options(tmp_path))
    (tmp_path / ".settings.json.new").mkdir()
    keep(options(tmp_path))


def test_a_newer_agent_leaves_the_folder_of_one_that_runs(tmp_path: Path) -> None:
    file = tmp_path / "agent.pyz"
    file.write_bytes(archive(CHECKOUT))
    running = tmp_path / "data" / "agent" / "0123456789abcdef"
    running.mkdir(parents=True)
    lock = agent_lock.take(tmp_path / "data")
    command = [sys.executable, "-I", str(file), *ARGUMENTS, "--data", str(tmp_path / "data")]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "another agent uses" in refused.stderr
    assert running.is_dir()
    os.close(lock)
    unpacked(file, running.parent)
    assert not running.is_dir()


@dataclass(frozen=True, slots=True)
class Pause:
    """Whatever is hashed waits until it is let go on, as a large file does for the disk."""

    has_begun: threading.Event = field(default_factory=threading.Event)
    may_go_on: threading.Event = field(default_factory=threading.Event)

    def digest(self, file: IO[bytes], algorithm: str) -> "hashlib._Hash":
        self.has_begun.set()
        assert self.may_go_on.wait(30)
        return hashlib.new(algorithm, file.read())


@asynccontextmanager
async def giving(content: bytes, lists: list[bytes] | None = None) -> AsyncIterator[ServerLink]:
    """A server with one version of one file, whatever is asked for; `lists` gets the requests for its list."""

    async def give(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        is_list = b"/edge/" in head
        if is_list and lists is not None:
            lists.append(head)
        body = json.dumps({"files": [asdict(listed)]}).encode() if is_list else content
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(give, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        listed = RemoteFile("model.m", len(content), hashlib.sha256(content).hexdigest(), f"{url}/model.m")
        yield ServerLink(url, "x")


async def test_a_file_that_is_fetched_by_one_who_is_no_longer_waited_for_is_there_once(tmp_path: Path) -> None:
    content = os.urandom(3 * 1024 * 1024)
    async with giving(content) as link:
        (file,) = await link.files("1")
        await asyncio.gather(*(link.download(file, tmp_path / "arriving") for _ in range(2)))
    assert (tmp_path / "arriving").read_bytes() == content


async def test_two_services_of_a_version_wait_for_the_same_files(tmp_path: Path) -> None:
    content = os.urandom(3 * 1024 * 1024)
    lists: list[bytes] = []
    async with giving(content, lists) as link:
        store = PackageStore(tmp_path, link)
        laid_out = await asyncio.gather(*(store.lay_out("1") for _ in range(3)))
    assert {(package / "model.m").read_bytes() for package in laid_out} == {content}
    # The second could do without the server, had that gone away meanwhile.
    assert len(lists) == 1


async def test_who_is_no_longer_waited_for_ends_what_it_writes_before_another_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pause = Pause()
    async with giving(b"a model") as link:
        store = PackageStore(tmp_path, link)
        with monkeypatch.context() as patched:
            patched.setattr(hashlib, "file_digest", pause.digest)
            first = asyncio.create_task(store.lay_out("1"))
            assert await asyncio.to_thread(pause.has_begun.wait, 30)
            second = asyncio.create_task(store.lay_out("1"))
            for _ in range(3):
                first.cancel()
                for _ in range(20):
                    await asyncio.sleep(0)
            assert not first.done()
            pause.may_go_on.set()
            await asyncio.wait({first})
        assert first.cancelled()
        assert (tmp_path / "1" / "package" / "model.m").read_bytes() == b"a model"
        assert await second == tmp_path / "1" / "package"
