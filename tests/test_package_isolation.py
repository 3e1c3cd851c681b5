"""A package that tries what it must not, deployed through the API at every level of isolation."""

import ast
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from db.connection import Pool
from engines.process import INSTANCE_VARIABLE
from tests.api import Api, running_server
from tests.services import ask, deploy, import_version, package, running, target

LEVELS = ("bubblewrap", "user", "none")
ENGINE = "{ modelyard { engine { isolation isolationNote } } }"
ISOLATION = "isolation ... on RealTimeService { targets { instances { isolation } } }"
HOSTILE = """
import socket
import sys

def outcome(action):
    try:
        return ["did", str(action())]
    except Exception as error:
        return ["failed", f"{type(error).__name__}: {error}"]

def read(path):
    with open(path, "rb") as file:
        return file.read().decode(errors="replace")

def connect(family, address):
    with socket.socket(family) as client:
        client.settimeout(2)
        client.connect(address)

def write(path):
    # Opened for writing and left as it is, since at one level this succeeds.
    with open(path, "a"):
        pass

return {
    "environment": dict(os.environ),
    "user": os.getuid(),
    **{name: outcome(lambda: read(path)) for name, path in data["read"].items()},
    **{name: outcome(lambda: os.listdir(path)) for name, path in data["list"].items()},
    **{name: outcome(lambda: write(path)) for name, path in data["write"].items()},
    "server_environment": outcome(lambda: read(f"/proc/{data['server']}/environ")),
    "signal_to_server": outcome(lambda: os.kill(data["server"], 0)),
    "postgres": outcome(lambda: connect(socket.AF_UNIX, data["postgres"])),
    "network": outcome(lambda: connect(socket.AF_INET, ("127.0.0.1", data["port"]))),
    "own_code": outcome(lambda: write("customize_service.py")),
    "own_environment": outcome(lambda: write(os.path.join(sys.prefix, "pyvenv.cfg"))),
    "own_file": outcome(lambda: write(os.path.join(os.environ["TMPDIR"], "file"))),
    "become_root": outcome(lambda: os.setuid(0)),
}
"""
# What no level that isolates lets through; the others depend on whether mounts and the network are the package's own.
DENIED = (
    *("token", "signing_key", "postgres", "server_environment"),
    *("signal_to_server", "own_code", "own_environment", "become_root", "log"),
)


@pytest.fixture
def listening(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """A Postgres socket and a port of the host, as the package would find them."""
    postgres = data_dir / "postgres"
    postgres.mkdir(mode=0o700)
    # Its path is too long to bind at once.
    monkeypatch.chdir(postgres)
    with socket.create_server(("127.0.0.1", 0)) as port, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(".s.PGSQL.5432")
        unix.listen()
        yield {"postgres": str(postgres / ".s.PGSQL.5432"), "port": port.getsockname()[1]}


def reach(data_dir: Path, listening: dict[str, Any], other_package: Path) -> dict[str, Any]:
    return {
        **listening,
        "server": os.getpid(),
        "read": {
            "token": str(data_dir / "token"),
            "signing_key": str(data_dir / "signing-key"),
            "other_package": str(other_package),
            "log": str(next((data_dir / "instance-logs").iterdir())),
        },
        "list": {"data_directory": str(data_dir), "packages_directory": str(data_dir / "packages")},
        "write": {"other_instance": str(data_dir / "instances" / "intruder")},
    }


@pytest.mark.parametrize("isolation", LEVELS)
async def test_what_a_hostile_package_reaches(
    isolation: str,
    pool: Pool,
    database_url: str,
    data_dir: Path,
    listening: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://secret")
    monkeypatch.setenv("MODELYARD_TOKEN", "the-token-of-the-server")
    token = data_dir / "token"
    token.write_text("the token")
    token.chmod(0o600)
    async with running_server(pool, database_url, data_dir, isolation=isolation) as server:
        api = server.client()
        other = await import_version(api, package("return 1", before="SECRET = 'of another package'"), model="other")
        if not await is_level_active(api, isolation, other):
            return
        await running(api, "other", target(other, model="other"))
        (other_package,) = (data_dir / "packages").rglob("customize_service.py")
        hostile = target(
            await import_version(api, package(HOSTILE)), environment=[{"name": "COLOUR", "value": "green"}]
        )
        service = await running(api, "hostile", hostile)
        found = await ask(api, service, reach(data_dir, listening, other_package))
        note = (await api.ask(ENGINE))["modelyard"]["engine"]["isolationNote"]
        shown = await api.service("hostile", ISOLATION)
        (instance,) = shown["targets"][0]["instances"]
    assert shown["isolation"] == instance["isolation"] == isolation.upper()
    check_environment(found["environment"])
    if isolation == "none":
        check_nothing_is_promised(found, note)
    else:
        check_isolated(found, has_own_mounts="files that are open to everybody" not in note)


async def is_level_active(api: Api, isolation: str, version: str) -> bool:
    """Whether the engine shows the level that was asked for. Where it cannot be had nothing runs, which is asserted."""
    await deploy(api, "probe", target(version, model="other"))
    service = await api.service_in("probe", "RUNNING", "FAILED")
    level = (await api.ask(ENGINE))["modelyard"]["engine"]["isolation"]
    if service["status"] == "RUNNING":
        assert level == isolation.upper()
        payload = await api.mutate("deleteService", "__typename", serviceName="probe")
        assert payload["errors"] == []
        return True
    assert level is None
    assert f"The isolation '{isolation}' does not work here" in service["statusMessage"]
    return False


def check_environment(environment: dict[str, str]) -> None:
    assert environment["COLOUR"] == "green"
    known = ("PATH", "LANG", "USER", "LOGNAME", "HOME", "TMPDIR", "COLOUR", INSTANCE_VARIABLE, "LC_CTYPE", "PWD")
    unknown = [name for name in environment if name not in known and not name.endswith("_NUM_THREADS")]
    assert all(name.startswith("PYTHON") for name in unknown), unknown
    assert not any("secret" in value or "the-token" in value for value in environment.values())


def check_isolated(found: dict[str, Any], *, has_own_mounts: bool) -> None:
    own = ("other_package", "other_instance", "network") if has_own_mounts else ("other_instance",)
    is_root = os.geteuid() == 0
    # What is hidden leaves the folders on the way to the package's own files, and nothing else in them.
    assert not {"token", "signing-key", "objects", "postgres"} & set(listing(found["data_directory"]))
    assert len(listing(found["packages_directory"])) <= 1
    # An ordinary user's sandbox maps its own user, and nobody in it is root.
    for name in (*DENIED, *own):
        assert found[name][0] == "failed", (name, found[name])
    assert found["own_file"][0] == "did"
    assert (found["user"] != os.geteuid()) == is_root


def listing(outcome: list[str]) -> list[str]:
    """The names in a folder, none where it could not be listed."""
    return list(ast.literal_eval(outcome[1])) if outcome[0] == "did" else []


def check_nothing_is_promised(found: dict[str, Any], note: str) -> None:
    """A clean environment only; the note says so, and that is how it is."""
    assert found["token"] == ["did", "the token"]
    assert "of another package" in found["other_package"][1]
    assert found["network"][0] == "did"
    assert found["user"] == os.geteuid()
    assert "the server's own user" in note


async def test_the_strongest_level_that_works_is_taken_and_shown(pool: Pool, database_url: str, data_dir: Path) -> None:
    async with running_server(pool, database_url, data_dir) as server:
        api = server.client()
        version = await import_version(api, package("return os.getuid()"))
        service = await running(api, "iris", target(version))
        engine = (await api.ask(ENGINE))["modelyard"]["engine"]
        user = await ask(api, service, {})
    if os.geteuid() == 0:
        assert engine["isolation"] in ("BUBBLEWRAP", "USER")
        assert user not in (0, 65534)
    elif engine["isolation"] == "NONE":
        assert "Isolation does not work here" in engine["isolationNote"]
        assert user == os.geteuid()
    else:
        assert engine["isolation"] == "BUBBLEWRAP"


async def test_every_instance_of_a_service_has_a_user_of_its_own_where_users_can_be_given(
    pool: Pool, database_url: str, data_dir: Path
) -> None:
    async with running_server(pool, database_url, data_dir) as server:
        api = server.client()
        version = await import_version(api, package("return os.getuid()"))
        service = await running(api, "iris", target(version, instanceCount=2))
        users = {await ask(api, service, {}) for _ in range(20)}
    assert len(users) == (2 if os.geteuid() == 0 else 1)


async def test_the_servers_secrets_are_its_own_after_a_service_ran(
    pool: Pool, database_url: str, data_dir: Path
) -> None:
    async with running_server(pool, database_url, data_dir) as server:
        api = server.client()
        await running(api, "iris", target(await import_version(api, package("return 1"))))
        secrets = ("signing-key", "engine-id", "instance-logs")
        for name in secrets:
            assert not stat.S_IMODE((data_dir / name).stat().st_mode) & 0o077, name
        assert not stat.S_IMODE(data_dir.stat().st_mode) & 0o066
