"""Packages that take what they can get, of processes, disk, sockets and log: it is bounded, and goes with them."""

import os
from pathlib import Path

import httpx
import pytest

from engines.control_group import PROCESS_LIMIT
from engines.engine import InstanceState
from engines.instance_log import LARGEST_BYTES
from engines.isolation import TEMPORARY_BYTES
from tests.deadline import eventually
from tests.stand_in_runtime import (
    LEVELS,
    count_processes,
    instance_of,
    new_engine,
    opened,
    predict,
    settled,
    status_of,
    write_package,
)

ISOLATED = ("bubblewrap", "user")
MIB = 1 << 20
FORKS = """
import os, signal, sys
def predict(mark):
    children = 0
    while children < 5000:
        try:
            pid = os.fork()
        except OSError as error:
            return [children, type(error).__name__]
        if pid == 0:
            signal.pause()
        children += 1
    return [children, None]
"""
FILLS = """
import os
def size(folder):
    found = os.statvfs(folder)
    return found.f_blocks * found.f_frsize

def is_writable(folder):
    try:
        with open(os.path.join(folder, "file"), "w") as file:
            file.write("x")
        return True
    except OSError:
        return False

def predict(data):
    return {folder: size(folder) for folder in data if os.path.isdir(folder) and is_writable(folder)}
"""
CONNECTS = """
import socket
def predict(data):
    sockets = []
    try:
        while len(sockets) < 10_000:
            sockets.append(socket.socket(socket.AF_UNIX))
    except OSError as error:
        return [len(sockets), error.strerror]
"""
LITTERS = """
import os, signal
def predict(data):
    for number in range(data):
        open(os.path.join(os.environ["TMPDIR"], str(number)), "w").close()
    if data > 100:
        signal.pause()
"""
NESTS = """
import os
def predict(data):
    os.chdir(os.environ["TMPDIR"])
    for _ in range(data):
        os.mkdir("d")
        os.chdir("d")
"""
FLOODS = """
import sys
def predict(data):
    for _ in range(data):
        print("x" * 1023)
    sys.stdout.flush()
"""


@pytest.mark.parametrize("isolation", ISOLATED)
async def test_a_package_that_forks_is_held_and_ends_with_all_of_it(isolation: str, tmp_path: Path) -> None:
    package = write_package(tmp_path / "data", FORKS)
    async with opened(new_engine(tmp_path, isolation=isolation)) as engine:
        await engine.start(instance_of(package))
        found = await predict(await settled(engine))
        assert isinstance(found, list)
        assert found[1] == "BlockingIOError"
        assert PROCESS_LIMIT - 50 < found[0] < PROCESS_LIMIT
        await engine.stop("first", grace_seconds=1)
    assert count_processes(str(package)) == 0


async def test_a_sandbox_has_nothing_of_the_host_to_fill(tmp_path: Path) -> None:
    data = tmp_path / "data"
    package = write_package(data, FILLS)
    async with opened(new_engine(tmp_path, isolation="bubblewrap")) as engine:
        await engine.start(instance_of(package))
        status = await settled(engine)
        own = [str(path) for path in (package, data, Path(status.address).parent, data / "instances" / "first" / "tmp")]
        found = await predict(status, [*own, "/", "/dev", "/dev/shm", "/tmp", "/var/tmp", "/var", "/run", "/home"])
    assert isinstance(found, dict)
    assert set(found) == {"/tmp", "/var/tmp", "/dev/shm"}
    assert max(found.values()) <= TEMPORARY_BYTES


@pytest.mark.parametrize("isolation", ISOLATED)
async def test_a_package_writes_nowhere_in_the_data_directory(isolation: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    package = write_package(data, FILLS)
    async with opened(new_engine(tmp_path, isolation=isolation)) as engine:
        if "files that are open to everybody" in engine.description().isolation_note:
            pytest.skip("private mounts are not permitted here")
        await engine.start(instance_of(package))
        status = await settled(engine)
        inside = [path for path in data.rglob("*") if path.is_dir()]
        found = await predict(status, [str(path) for path in (data, *inside)])
    assert isinstance(found, dict)
    assert [folder for folder in found if Path(folder).is_relative_to(data)] == []


@pytest.mark.parametrize("isolation", LEVELS)
async def test_sockets_are_counted_like_files(isolation: str, tmp_path: Path) -> None:
    package = write_package(tmp_path / "data", CONNECTS)
    async with opened(new_engine(tmp_path, isolation=isolation)) as engine:
        await engine.start(instance_of(package))
        found = await predict(await settled(engine))
    assert isinstance(found, list)
    assert found[1] == "Too many open files"
    assert found[0] < 4096


async def test_a_package_that_litters_the_disk_is_ended(tmp_path: Path) -> None:
    package = write_package(tmp_path / "data", LITTERS)
    async with opened(new_engine(tmp_path, isolation="none")) as engine:
        await engine.start(instance_of(package))
        status = await settled(engine)
        await predict(status, 100)
        assert (await status_of(engine)).state is InstanceState.READY
        with pytest.raises(httpx.TransportError):
            await predict(status, 21_000)
        while (status := await status_of(engine)).state is not InstanceState.EXITED:
            await engine.changed()
        assert status.reason is not None
        assert "20,000 files into its temporary folder" in status.reason
        await engine.stop("first", grace_seconds=0)
    assert not (tmp_path / "data" / "instances" / "first").exists()


async def test_folders_a_thousand_deep_are_removed(tmp_path: Path) -> None:
    package = write_package(tmp_path / "data", NESTS)
    async with opened(new_engine(tmp_path, isolation="none")) as engine:
        await engine.start(instance_of(package))
        await predict(await settled(engine), 1500)
        await engine.stop("first", grace_seconds=1)
    assert not (tmp_path / "data" / "instances" / "first").exists()


async def test_a_log_that_is_flooded_begins_again(tmp_path: Path) -> None:
    package = write_package(tmp_path / "data", FLOODS)
    log = tmp_path / "data" / "instance-logs" / "first.log"
    async with opened(new_engine(tmp_path, isolation="auto")) as engine:
        await engine.start(instance_of(package))
        status = await settled(engine)
        await predict(status, 2 * LARGEST_BYTES // 1024)
        await eventually(lambda: log.stat().st_size <= LARGEST_BYTES, within_seconds=20)
        assert await predict(status, 1) is None
        assert os.stat(log).st_blocks * 512 <= LARGEST_BYTES + MIB
