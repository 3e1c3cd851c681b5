"""The command line as an operator meets it: as a process of its own."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from db.migrate import read_migrations
from db.pool import connection
from gql.federation import subgraph_sdl
from gql.limits import Limits
from gql.schema import build_schema
from server.command_line import app
from server.data_directory import claimed, prepare_data_directory
from server.embedded_postgres import EmbeddedPostgres
from server.listener import is_loopback, open_listener
from server.settings import CHECKOUT
from tests.deadline import eventually

COMMANDS = [
    *(["serve"], ["worker"], ["gateway"], ["migrate"], ["schema"]),
    *(["token", name] for name in ("create", "list", "revoke")),
    *(["workspace", name] for name in ("create", "list", "grant")),
]
# Answers the start of a session as a Postgres 14 does: authentication ok, server_version, ready for a query.
OLD_SERVER_HELLO = (
    b"R\x00\x00\x00\x08\x00\x00\x00\x00"
    b"S\x00\x00\x00\x18server_version\x0014.9\x00"
    b"S\x00\x00\x00\x19client_encoding\x00UTF8\x00"
    b"Z\x00\x00\x00\x05I"
)


def run(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """`python -m server …` with nothing but these variables set."""
    environment = {"PATH": os.environ["PATH"], "PYTHONWARNINGS": "error", "COLUMNS": "120", **variables}
    command = [sys.executable, "-m", "server", *arguments]
    return subprocess.run(
        command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


async def run_beside(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return await asyncio.to_thread(lambda: run(*arguments, **variables))


def assert_refused(ended: "subprocess.CompletedProcess[str]", *said: str) -> None:
    """One line of ours, and exit code 1."""
    assert (ended.returncode, ended.stdout) == (1, ""), ended.stderr
    (line,) = ended.stderr.splitlines()
    assert line.startswith("modelyard: ")
    assert all(word in line for word in said), line


def assert_done(ended: "subprocess.CompletedProcess[str]") -> str:
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


@contextmanager
def busy_port() -> Iterator[int]:
    with closing(open_listener("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@contextmanager
def free_port() -> Iterator[str]:
    with busy_port() as port:
        pass
    yield str(port)


def test_help_is_there() -> None:
    assert "Usage: modelyard" in assert_done(run("--help"))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_what_it_is_for(command: list[str]) -> None:
    shown = CliRunner().invoke(app, [*command, "--help"], prog_name="modelyard", color=False)
    assert shown.exit_code == 0
    assert f"Usage: modelyard {command[0]}" in shown.output


def test_help_waits_for_nothing_heavy() -> None:
    heavy = {"aioboto3", "asyncpg", "pydantic", "starlette", "strawberry", "structlog", "uvicorn"}
    code = f"import sys, server.command_line; sys.exit(', '.join({heavy} & sys.modules.keys()) or None)"
    assert subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, check=False).returncode == 0


def test_the_schema_is_printed_for_clients_and_for_gateways() -> None:
    assert assert_done(run("schema")) == (CHECKOUT / "schema.graphql").read_text()
    assert assert_done(run("schema", "--federation")).rstrip() == subgraph_sdl(build_schema(Limits())).rstrip()


def test_invalid_settings_are_refused() -> None:
    ended = run("serve", MODELYARD_PORT="http", DATABASE_URL="nonsense")
    assert ended.returncode == 1
    assert [line.split(" is ")[0] for line in ended.stderr.splitlines()] == [
        "modelyard: MODELYARD_PORT",
        "modelyard: DATABASE_URL",
    ]


def test_a_port_in_use_is_refused_before_anything_is_started(tmp_path: Path) -> None:
    with busy_port() as port:
        ended = run("serve", MODELYARD_PORT=str(port), MODELYARD_DATA_DIR=str(tmp_path / "data"))
    assert_refused(ended, f"port {port}", "already in use", "MODELYARD_PORT")
    assert not (tmp_path / "data").exists()


def test_a_data_directory_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with free_port() as port:
        ended = run("serve", MODELYARD_PORT=port, MODELYARD_DATA_DIR=str(tmp_path / "file" / "data"))
    assert_refused(ended, str(tmp_path), "cannot be written to")


def test_a_second_server_on_the_same_data_is_refused(tmp_path: Path) -> None:
    with claimed(tmp_path / "data"), free_port() as port:
        ended = run("serve", MODELYARD_PORT=port, MODELYARD_DATA_DIR=str(tmp_path / "data"))
    assert_refused(ended, f"pid {os.getpid()}", str(tmp_path / "data"))


def test_a_new_data_directory_may_be_passed_through_and_not_read(tmp_path: Path) -> None:
    former = os.umask(0o077)
    try:
        prepare_data_directory(tmp_path / "one" / "data")
    finally:
        os.umask(former)
    assert (tmp_path / "one" / "data").stat().st_mode & 0o777 == 0o711


def test_a_claim_ends_with_its_holder(tmp_path: Path) -> None:
    for _ in range(2):
        with claimed(tmp_path):
            assert (tmp_path / "server.lock").read_text() == str(os.getpid())


@pytest.mark.parametrize("command", ["serve", "gateway"])
def test_others_are_not_let_in_without_a_token(command: str, tmp_path: Path) -> None:
    ended = run(command, MODELYARD_HOST="0.0.0.0", MODELYARD_DATA_DIR=str(tmp_path))
    assert_refused(ended, "0.0.0.0", "MODELYARD_TOKEN")


def test_others_are_not_shown_statements(tmp_path: Path) -> None:
    ended = run(
        "serve",
        MODELYARD_HOST="0.0.0.0",
        MODELYARD_TOKEN="x" * 16,
        MODELYARD_EXPLAIN="true",
        MODELYARD_DATA_DIR=str(tmp_path),
    )
    assert_refused(ended, "0.0.0.0", "MODELYARD_EXPLAIN")


def test_a_host_that_is_not_here_is_refused(tmp_path: Path) -> None:
    ended = run("serve", MODELYARD_HOST="192.0.2.1", MODELYARD_TOKEN="x" * 16, MODELYARD_DATA_DIR=str(tmp_path))
    assert_refused(ended, "192.0.2.1")


@pytest.mark.parametrize(("host", "is_loop"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("::", False)])
def test_loopback_is_known(host: str, is_loop: bool) -> None:
    assert is_loopback(host) is is_loop


def test_a_database_that_does_not_answer_is_refused() -> None:
    ended = run("migrate", DATABASE_URL="postgresql://user:hidden@127.0.0.1:1/models")
    assert_refused(ended, "127.0.0.1:1/models")
    assert "hidden" not in ended.stderr


async def test_a_database_newer_than_the_program_is_refused(database_url: str) -> None:
    async with connection(database_url) as session:
        await session.execute("INSERT INTO schema_migration VALUES (9999, '9999_future.sql', '')")
    assert_refused(await run_beside("migrate", DATABASE_URL=database_url), "newer than this program", "9999_future.sql")


async def test_a_postgres_that_is_too_old_is_refused() -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        writer.write(OLD_SERVER_HELLO)
        await reader.read(1024)
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as old:
        port = old.sockets[0].getsockname()[1]
        ended = await run_beside("migrate", DATABASE_URL=f"postgresql://u@127.0.0.1:{port}/d?sslmode=disable")
    assert_refused(ended, "Postgres 15 or newer", "is 14")


async def test_migrate_says_what_it_applied(empty_database_url: str) -> None:
    names = [migration.name for migration in read_migrations()]
    assert assert_done(await run_beside("migrate", DATABASE_URL=empty_database_url)).split() == names
    assert "Nothing to do" in assert_done(await run_beside("migrate", DATABASE_URL=empty_database_url))


async def test_tokens_and_workspaces_beside_a_server_and_without_one(tmp_path: Path) -> None:
    data = str(tmp_path)
    async with EmbeddedPostgres(tmp_path / "postgres") as postgres:
        assert_done(await run_beside("workspace", "create", "research", MODELYARD_DATA_DIR=data))
        assert_done(await run_beside("workspace", "grant", "research", "shared/training", MODELYARD_DATA_DIR=data))
        token = assert_done(
            await run_beside("token", "create", "ada", "--workspace", "research", MODELYARD_DATA_DIR=data)
        )
        assert len(token.strip()) >= 32
        async with connection(postgres.dsn) as session:
            assert await session.fetchval("SELECT prefix FROM granted_prefix") == "shared/training/"
    assert not (tmp_path / "postgres" / "ready").exists()

    listed = assert_done(await run_beside("token", "list", MODELYARD_DATA_DIR=data))
    assert [line.split()[:2] for line in listed.splitlines()] == [["NAME", "WORKSPACES"], ["ada", "research"]]
    assert token.strip() not in listed
    assert "research" in assert_done(await run_beside("workspace", "list", MODELYARD_DATA_DIR=data))
    assert_done(await run_beside("token", "revoke", "ada", MODELYARD_DATA_DIR=data))
    assert_refused(await run_beside("token", "revoke", "ada", MODELYARD_DATA_DIR=data), "no token named 'ada'")
    assert not (tmp_path / "postgres" / "cluster" / "postmaster.pid").exists()


def test_a_misspelt_variable_is_pointed_out() -> None:
    ended = run("migrate", MODELYARD_PROT="1", DATABASE_URL="postgresql://user@127.0.0.1:1/models")
    assert ended.stderr.splitlines()[0] == "modelyard: MODELYARD_PROT is not a setting; did you mean MODELYARD_PORT?"


def test_the_script_says_what_is_missing(tmp_path: Path) -> None:
    script = tmp_path / "modelyard"
    script.write_bytes((CHECKOUT / "modelyard").read_bytes())
    script.chmod(0o755)
    ended = subprocess.run([script, "serve"], capture_output=True, text=True, timeout=10, check=False)
    assert_refused(ended, "no virtual environment", "make install", str(tmp_path))


def test_the_script_runs_from_anywhere_and_through_a_link(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "modelyard").symlink_to(CHECKOUT / "modelyard")
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "__init__.py").write_text("raise SystemExit('a stranger')")
    if not (CHECKOUT / ".venv").exists():
        pytest.skip("the tests run in another environment than the checkout's own")
    command = [str(checkout / "modelyard"), "--help"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert "Usage: modelyard" in assert_done(ended)


async def test_a_companion_ends_with_whom_it_accompanies(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    job = f"sleep 60 & echo $! $$ > {pids}.new; mv {pids}.new {pids}; wait"
    with subprocess.Popen(["sleep", "60"]) as leader:
        companion = subprocess.Popen(
            [sys.executable, "-m", "server.companion", str(leader.pid), "sh", "-c", job], cwd=CHECKOUT
        )
        with companion:
            await eventually(pids.exists)
            leader.kill()
            leader.wait()
            await eventually(lambda: companion.poll() is not None)
    assert not any(is_alive(int(pid)) for pid in pids.read_text().split())


def test_a_companion_passes_on_how_its_command_ended() -> None:
    command = [sys.executable, "-m", "server.companion", str(os.getpid()), "sh", "-c", "exit 7"]
    assert subprocess.run(command, cwd=CHECKOUT, check=False, timeout=20).returncode == 7


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False
