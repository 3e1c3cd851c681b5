import os
import socket
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from engines.engine import EngineError, InstanceState, IsolationLevel
from engines.isolation import Confinement, Isolation, launch_plan
from engines.launcher import OUT_OF_MEMORY_SCORE
from engines.package_source import base_interpreter
from engines.user_claim import UserRange, claim, reclaim
from tests.stand_in_runtime import (
    LEVELS,
    count_processes,
    instance_of,
    new_engine,
    opened,
    predict,
    settled,
    write_package,
)

IS_ROOT = os.geteuid() == 0
PROBE = """
import ctypes, os, socket

LIBC = ctypes.CDLL(None, use_errno=True)

def trace(pid):
    # PTRACE_SEIZE does not stop what it traces.
    if LIBC.ptrace(0x4206, pid, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "ptrace")

def outcome(action):
    try:
        return ["did", str(action())]
    except OSError as error:
        return ["failed", type(error).__name__]

def connect(family, address):
    with socket.socket(family) as client:
        client.settimeout(2)
        client.connect(address)

def read(path):
    with open(path) as file:
        return file.read()

def predict(data):
    return {
        "user": os.getuid(),
        "groups": os.getgroups(),
        "status": read("/proc/self/status"),
        "environment": dict(os.environ),
        "server_environment": outcome(lambda: read(f"/proc/{data['server']}/environ")),
        "parent_environment": outcome(lambda: read(f"/proc/{os.getppid()}/environ")),
        "secret": outcome(lambda: read(data["secret"])),
        "other_package": outcome(lambda: read(data["other_package"])),
        "postgres": outcome(lambda: connect(socket.AF_UNIX, data["postgres"])),
        "network": outcome(lambda: connect(socket.AF_INET, ("127.0.0.1", data["port"]))),
        "own_package": outcome(lambda: open("package.py", "a").close()),
        "own_log": outcome(lambda: open("/dev/stdout", "a").close()),
        "temporary": outcome(lambda: open(os.path.join(os.environ["TMPDIR"], "file"), "w").close()),
        "setuid": outcome(lambda: os.setuid(0)),
        "abstract": outcome(lambda: connect(socket.AF_UNIX, data["abstract"])),
        "names": outcome(lambda: socket.getaddrinfo("example.com", 80)),
        "raw": outcome(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close()),
        "signal": outcome(lambda: os.kill(data["server"], 0)),
        "trace": outcome(lambda: trace(data["victim"])),
        "memory": outcome(lambda: open(f"/proc/{data['server']}/mem", "rb").close()),
        "out_of_memory_score": int(read("/proc/self/oom_score_adj")),
        "seen": [name for name in os.listdir("/proc") if name.isdigit()],
    }
"""


# What no level that isolates lets through.
DENIED = (
    *("server_environment", "secret", "other_package", "postgres", "own_package"),
    *("raw", "signal", "trace", "memory"),
)
ABSTRACT = f"\0modelyard-test-{os.getpid()}"


def reach(data: Path, listener: socket.socket, victim: int) -> dict[str, object]:
    """Makes what a package must not reach, and says where it lies."""
    secret = data / "token"
    secret.write_text("the token")
    secret.chmod(0o600)
    other = write_package(data, "the other package", name="other")
    other.parent.chmod(0o700)
    return {
        "server": os.getpid(),
        "secret": str(secret),
        "other_package": str(other / "package.py"),
        "postgres": str(data / "postgres" / ".s"),
        "port": listener.getsockname()[1],
        "abstract": ABSTRACT,
        "victim": victim,
    }


@pytest.mark.parametrize("isolation", LEVELS)
async def test_what_package_code_can_reach(isolation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://secret")
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "data"
    (data / "postgres").mkdir(parents=True, mode=0o700)
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.socket(socket.AF_UNIX) as postgres,
        socket.socket(socket.AF_UNIX) as abstract,
        sleeping() as victim,
    ):
        abstract.bind(ABSTRACT)
        abstract.listen()
        # Its path is too long to bind at once.
        postgres.bind("data/postgres/.s")
        postgres.listen()
        package = write_package(data, PROBE)
        async with opened(new_engine(tmp_path, isolation=isolation)) as engine:
            level = engine.description().isolation
            assert level == IsolationLevel(isolation.upper())
            await engine.start(instance_of(package, COLOUR="green"))
            found = await predict(await settled(engine), reach(data, listener, victim.pid))
    assert isinstance(found, dict)
    check_always(found)
    if level is IsolationLevel.NONE:
        assert found["secret"] == ["did", "the token"]
        assert "the server's own user" in engine.description().isolation_note
    else:
        check_isolated(found, level, has_network="network and files" in engine.description().isolation_note)


@contextmanager
def sleeping() -> Iterator["subprocess.Popen[bytes]"]:
    """A process of the server's that may come to harm, as the server itself may not."""
    with subprocess.Popen(["sleep", "600"]) as process:
        try:
            yield process
        finally:
            process.kill()


def check_always(found: dict[str, object]) -> None:
    environment, status = found["environment"], found["status"]
    assert isinstance(environment, dict)
    assert isinstance(status, str)
    assert environment["COLOUR"] == "green"
    assert "DATABASE_URL" not in environment
    assert "NoNewPrivs:\t1" in status
    assert found["temporary"] == ["did", "None"]
    assert found["out_of_memory_score"] == OUT_OF_MEMORY_SCORE


def check_isolated(found: dict[str, object], level: IsolationLevel, *, has_network: bool) -> None:
    # An ordinary user's parent inside bubblewrap can be read, and has nothing to tell.
    assert "DATABASE_URL" not in str(found["parent_environment"])
    own_network = ("network", "abstract", "names") if level is IsolationLevel.BUBBLEWRAP or not has_network else ()
    for name in (*DENIED, *own_network):
        assert isinstance(outcome := found[name], list)
        assert outcome[0] == "failed", (name, outcome)
    if level is IsolationLevel.BUBBLEWRAP:
        # bubblewrap's own first process and this one.
        assert isinstance(seen := found["seen"], list)
        assert len(seen) == 2
    status = found["status"]
    assert isinstance(status, str)
    assert "CapEff:\t0000000000000000" in status
    if IS_ROOT:
        assert found["user"] not in (0, 65534)
        assert found["groups"] == []
        assert found["setuid"] == ["failed", "PermissionError"]
        assert "CapBnd:\t0000000000000000" in status


@pytest.mark.skipif(not IS_ROOT, reason="only root has users to give")
@pytest.mark.parametrize("isolation", ["bubblewrap", "user"])
async def test_every_instance_has_a_user_of_its_own(isolation: str, tmp_path: Path) -> None:
    package = write_package(tmp_path / "data", "import os\ndef predict(data):\n    return os.getuid()\n")
    async with opened(new_engine(tmp_path, isolation=isolation)) as engine:
        users = []
        for instance_id in ("first", "second"):
            await engine.start(instance_of(package, instance_id=instance_id))
            users.append(await predict(await settled(engine, instance_id=instance_id)))
    assert len(set(users)) == 2


@pytest.mark.skipif(not IS_ROOT, reason="only root has users to give")
async def test_user_level_works_where_the_data_lies_under_a_closed_folder(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    package = write_package(closed / "data", "def predict(data):\n    return 'here'\n")
    async with opened(new_engine(closed, isolation="user")) as engine:
        await engine.start(instance_of(package))
        assert await predict(await settled(engine)) == "here"
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@pytest.mark.skipif(not IS_ROOT, reason="only root has users to give")
def test_without_private_mounts_own_folders_are_opened_and_others_named(tmp_path: Path) -> None:
    isolation = Isolation(IsolationLevel.USER, "", has_private_mounts=False)
    own = tmp_path / "data"
    inside = own / "packages" / "model"
    inside.mkdir(parents=True)
    (own / "packages").chmod(0o700)
    above = [*own.parents, *Path(base_interpreter()).parents]
    closed = [folder for folder in above if not folder.stat().st_mode & stat.S_IXOTH]
    if closed:
        with pytest.raises(EngineError, match="is closed to the users that models run as") as caught:
            launch_plan(isolation, confinement_in(own, inside))
        assert str(caught.value).split()[0] in map(str, closed)
    else:
        launch_plan(isolation, confinement_in(own, inside))
    assert stat.S_IMODE((own / "packages").stat().st_mode) == (0o700 if closed else 0o701)


@pytest.mark.parametrize("isolation", LEVELS)
async def test_the_socket_is_the_servers_alone(isolation: str, tmp_path: Path) -> None:
    package = write_package(tmp_path / "data", "import os\ndef predict(data):\n    os.unlink(data)\n")
    async with opened(new_engine(tmp_path, isolation=isolation)) as engine:
        await engine.start(instance_of(package))
        status = await settled(engine)
        assert stat.S_IMODE(Path(status.address).lstat().st_mode) == 0o600
        if isolation != "none":
            with pytest.raises(httpx.TransportError):
                await predict(status, status.address)
            assert Path(status.address).is_socket()


@pytest.mark.parametrize("isolation", LEVELS)
async def test_what_a_package_forks_ends_with_it(isolation: str, tmp_path: Path) -> None:
    mark = f"modelyard-orphan-{os.getpid()}-{isolation}"
    fork = (
        "import os, subprocess, sys\n"
        f"code = 'import os, time; os.setsid(); time.sleep(600)'\n"
        f"starter = 'import subprocess, sys; subprocess.Popen([sys.executable, *sys.argv[1:]])'\n"
        "def predict(data):\n"
        f"    subprocess.run([sys.executable, '-c', starter, '-c', code, {mark!r}], check=True)\n"
    )
    package = write_package(tmp_path / "data", fork)
    async with opened(new_engine(tmp_path, isolation=isolation)) as engine:
        await engine.start(instance_of(package))
        await predict(await settled(engine))
        assert count_processes(mark) == 1
        await engine.stop("first", grace_seconds=5)
        assert count_processes(mark) == 0


@pytest.mark.skipif(not IS_ROOT, reason="only root has users to give")
def test_a_user_is_claimed_once_on_a_host(tmp_path: Path) -> None:
    users = UserRange(first=61180, count=2)
    first, second = claim(users, "one"), claim(users, "two")
    try:
        assert {first.user_id, second.user_id} == {61180, 61181}
        with pytest.raises(EngineError, match="Every user id from 61180 to 61181"):
            claim(users, "three")
        first.detach()
        assert reclaim(first.user_id, "somebody else") is None
        again = reclaim(first.user_id, "one")
        assert again is not None
        again.release()
        assert reclaim(first.user_id, "one") is None
    finally:
        second.release()


@pytest.mark.skipif(IS_ROOT, reason="root has users to give")
async def test_user_level_is_refused_to_an_ordinary_user(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="does not run as root"):
        await new_engine(tmp_path, isolation="user").open()


async def test_auto_takes_the_strongest_level_that_works(tmp_path: Path) -> None:
    levels: dict[str, IsolationLevel] = {}
    for isolation in ("bubblewrap", "user", "auto"):
        engine = new_engine(tmp_path / isolation, isolation=isolation)
        try:
            await engine.open()
        except EngineError:
            continue
        levels[isolation] = engine.description().isolation
        await engine.close()
    strongest = levels.get("bubblewrap") or levels.get("user") or IsolationLevel.NONE
    assert levels["auto"] is strongest


@pytest.mark.parametrize("isolation", LEVELS)
async def test_files_and_processes_are_limited(isolation: str, tmp_path: Path) -> None:
    limits = (
        "import resource\n"
        "def predict(data):\n"
        "    return [resource.getrlimit(getattr(resource, name))[1] for name in data]\n"
    )
    package = write_package(tmp_path / "data", limits)
    async with opened(new_engine(tmp_path, isolation=isolation)) as engine:
        await engine.start(instance_of(package))
        status = await settled(engine)
        found = await predict(status, ["RLIMIT_CORE", "RLIMIT_FSIZE", "RLIMIT_NPROC"])
        assert isinstance(found, list)
        assert found[:2] == [0, 1 << 30]
        assert (found[2] == 1024) == (IS_ROOT and isolation != "none")
        assert status.state is InstanceState.READY


def confinement_in(own: Path, readable: Path) -> Confinement:
    return Confinement(
        arguments=("/bin/true",),
        environment={},
        directory=readable,
        readable=(readable,),
        writable=(),
        hidden=own,
        user_id=60706,
        limits={},
        parent_pid=None,
    )
