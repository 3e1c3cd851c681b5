"""The embedded Postgres through every way of ending."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
import psutil
import pytest

from server.embedded_postgres import CHECKOUT, EmbeddedPostgres
from server.failure import StartFailure
from server.postgres_directory import PostgresDirectory
from server.postgres_launcher import CAP_DAC_OVERRIDE
from tests.deadline import eventually

USER = """
import asyncio, sys
from pathlib import Path
from server.embedded_postgres import EmbeddedPostgres
user = EmbeddedPostgres(Path(sys.argv[1]), is_durable=False)
print(asyncio.run(user.start()), flush=True)
sys.stdin.read()
"""


@pytest.fixture
async def root(tmp_path: Path) -> AsyncIterator[Path]:
    yield tmp_path / "postgres"
    await eventually(lambda: not servers(tmp_path / "postgres"))


def server(root: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(root, is_durable=False)


@contextmanager
def user_process(root: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process that uses the server, until it is killed or the block ends."""
    command = [sys.executable, "-c", USER, str(root)]
    with subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def dsn_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def servers(root: Path) -> list[psutil.Process]:
    """The Postgres processes that run in the cluster."""
    return [process for process in psutil.process_iter() if folder_of(process) == str(root / "cluster")]


def folder_of(process: psutil.Process) -> str | None:
    try:
        return process.cwd()
    except (psutil.Error, OSError):
        return None


def postmaster(root: Path) -> psutil.Process:
    return psutil.Process(int((root / "cluster" / "postmaster.pid").read_text().splitlines()[0]))


def supervisor(root: Path) -> psutil.Process:
    parent = postmaster(root).parent()
    assert parent is not None
    return parent


async def ask(dsn: str, sql: str) -> object:
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_what_was_stored_is_there_after_a_restart(root: Path) -> None:
    async with server(root) as first:
        await ask(first.dsn, "CREATE TABLE kept AS SELECT 7 AS number")
    assert not servers(root)
    async with server(root) as second:
        assert await ask(second.dsn, "SELECT number FROM kept") == 7


async def test_the_last_user_to_leave_stops_the_server(root: Path) -> None:
    async with server(root) as first:
        async with server(root) as second:
            assert second.dsn == first.dsn
        assert await ask(first.dsn, "SELECT 1") == 1
    assert not servers(root)


async def test_an_unused_server_has_no_address(root: Path) -> None:
    with pytest.raises(RuntimeError, match="not started"):
        _ = server(root).dsn


async def test_users_that_start_at_once_share_one_server(root: Path) -> None:
    users = [server(root) for _ in range(8)]
    try:
        assert len(set(await asyncio.gather(*(user.start() for user in users)))) == 1
    finally:
        await asyncio.gather(*(user.stop() for user in users))
    assert not servers(root)


async def test_a_killed_user_leaves_nothing_running(root: Path) -> None:
    with user_process(root) as process:
        assert await ask(dsn_of(process), "SELECT 1") == 1
        left = [supervisor(root), *servers(root)]
        process.kill()
        process.wait()
        await eventually(lambda: not any(map(is_running, left)))


async def test_a_user_may_come_back_right_after_being_killed(root: Path) -> None:
    with user_process(root) as process:
        await ask(dsn_of(process), "CREATE TABLE kept AS SELECT 7 AS number")
        process.kill()
    async with server(root) as second:
        assert await ask(second.dsn, "SELECT number FROM kept") == 7


async def test_a_killed_supervisor_takes_the_server_with_it(root: Path) -> None:
    async with server(root):
        left = servers(root)
        supervisor(root).kill()
        await eventually(lambda: not any(map(is_running, left)))
        async with server(root) as second:
            assert await ask(second.dsn, "SELECT 1") == 1


async def test_a_killed_server_is_started_again_for_its_users(root: Path) -> None:
    async with server(root) as user:
        await ask(user.dsn, "CREATE TABLE kept AS SELECT 7 AS number")
        killed = postmaster(root)
        killed.kill()
        await eventually(lambda: user.directory.ready.exists() and postmaster(root) != killed)
        assert await ask(user.dsn, "SELECT number FROM kept") == 7


async def test_everything_may_be_killed_at_once(root: Path) -> None:
    with user_process(root) as process:
        await ask(dsn_of(process), "CREATE TABLE kept AS SELECT 7 AS number")
        for victim in (psutil.Process(process.pid), supervisor(root), *servers(root)):
            with suppress(psutil.NoSuchProcess):
                victim.kill()
    async with server(root) as second:
        assert await ask(second.dsn, "SELECT number FROM kept") == 7


async def test_an_orphaned_server_is_replaced(root: Path) -> None:
    async with server(root) as first:
        orphan = postmaster(root)
        orphan.suspend()
        supervisor(root).kill()
        await eventually(lambda: not first.directory.is_supervised())
        orphan.resume()
        async with server(root) as second:
            assert await ask(second.dsn, "SELECT 1") == 1
            assert postmaster(root) != orphan


async def test_a_stale_pid_file_harms_neither_us_nor_the_pids_new_owner(root: Path) -> None:
    async with server(root):
        pass
    pid_file = root / "cluster" / "postmaster.pid"
    owner = (root / "cluster").stat()
    with subprocess.Popen(["sleep", "60"], user=owner.st_uid if os.geteuid() == 0 else None) as innocent:
        pid_file.write_text(f"{innocent.pid}\n{root / 'cluster'}\n0\n5432\n{root / 'socket'}\n\n\nready\n")
        os.chown(pid_file, owner.st_uid, owner.st_gid)
        async with server(root) as second:
            assert await ask(second.dsn, "SELECT 1") == 1
        assert innocent.poll() is None
        innocent.kill()


async def test_half_a_cluster_is_made_anew(root: Path) -> None:
    (root / "cluster.unfinished" / "base").mkdir(parents=True)
    async with server(root) as user:
        assert await ask(user.dsn, "SELECT 1") == 1
    assert not (root / "cluster.unfinished").exists()


@pytest.mark.parametrize("name", ["long/" * 40, "with space, comma, \"both\" 'quotes', ünïcode and %41"])
async def test_any_path_will_do(tmp_path: Path, name: str) -> None:
    async with server(tmp_path / name / "postgres") as user:
        assert await ask(user.dsn, "SELECT 1") == 1


async def test_the_callers_postgres_variables_change_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in {"PGPORT": "6543", "PGDATA": "/nowhere", "PGDATABASE": "other", "PGHOST": "nowhere"}.items():
        monkeypatch.setenv(variable, value)
    async with server(root) as user:
        assert await ask(user.dsn, "SHOW port") == "5432"


async def test_a_broken_cluster_is_told_in_one_line(root: Path) -> None:
    (root / "cluster").mkdir(parents=True)
    with pytest.raises(StartFailure) as caught:
        await server(root).start()
    assert "\n" not in str(caught.value)
    assert "did not start" in str(caught.value)
    assert str(root) in str(caught.value)


async def test_a_root_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StartFailure, match="did not start"):
        await server(tmp_path / "file" / "postgres").start()


async def test_others_cannot_reach_the_server(root: Path) -> None:
    async with server(root):
        assert (PostgresDirectory(root).socket_root / "socket").stat().st_mode & 0o077 == 0
        assert (root / "cluster").stat().st_mode & 0o077 == 0
        assert root.stat().st_mode & 0o007 == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
@pytest.mark.parametrize("is_closed", [True, False])
async def test_root_becomes_somebody_who_may_do_no_more_than_needed(is_closed: bool) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o700 if is_closed else 0o711)
        async with server(folder / "postgres"):
            status = Path(f"/proc/{postmaster(folder / 'postgres').pid}/status").read_text()
        allowed = {0} if is_reachable(CHECKOUT) and not is_closed else {1 << CAP_DAC_OVERRIDE}
        assert capabilities(status) <= {*allowed, 0}
        assert "NoNewPrivs:\t1" in status
        assert status.split("Uid:")[1].split()[0] != "0"
        assert folder.stat().st_mode & 0o777 == (0o700 if is_closed else 0o711)


def capabilities(status: str) -> set[int]:
    """Every set of capabilities of a process: inheritable, permitted, effective, bounding, ambient."""
    return {int(line.split()[1], 16) for line in status.splitlines() if line.startswith("Cap")}


def is_reachable(folder: Path) -> bool:
    return all(part.stat().st_mode & 0o001 for part in (folder, *folder.parents))


def is_running(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
