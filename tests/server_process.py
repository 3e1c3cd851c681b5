"""`./modelyard` as child processes, and what is left of them."""

import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGINT

import httpx
import psutil

from server.settings import CHECKOUT, PREFIX
from tests.api import free_port, wait_for
from tests.journey import Journey, client
from tests.plain_http import NO_TLS

START_SECONDS = 90.0
STOP_SECONDS = 30.0
LOG_LENGTH = 20_000
OURS = ("DATABASE_URL", "OBJECT_STORE_URL", "ENGINE_URL")


@dataclass(frozen=True, slots=True)
class Checkout:
    """What an operator has: a data directory, settings, and a terminal in which the commands' words end up."""

    data_dir: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.data_dir.with_name(f"{self.data_dir.name}-{self.port}.log")

    @contextmanager
    def process(self, command: str) -> Iterator["subprocess.Popen[bytes]"]:
        """`./modelyard COMMAND` until the block ends, as it ends by Ctrl-C. What it said goes along with a failure."""
        with (
            self.log.open("ab") as log,
            subprocess.Popen([*_program(), command], env=self._environment(), stdout=log, stderr=log) as process,
        ):
            try:
                yield process
                end(process)
            except BaseException as failure:
                failure.add_note(f"{command} said:\n{self.log.read_text(errors='replace')[-LOG_LENGTH:]}")
                raise
            finally:
                process.kill()

    @asynccontextmanager
    async def serving(self, command: str = "serve") -> AsyncIterator["subprocess.Popen[bytes]"]:
        """The same, entered once it is ready to answer."""
        with self.process(command) as process:
            await self.ready(process)
            yield process

    async def ready(self, process: "subprocess.Popen[bytes]") -> None:
        """Wait until the server answers, or fail as soon as it has ended."""

        async def look() -> bool:
            assert process.poll() is None, f"it ended with {process.returncode}"
            with suppress(httpx.TransportError):
                async with httpx.AsyncClient(verify=NO_TLS) as http:
                    return (await http.get(f"{self.url}/readyz")).status_code == 200
            return False

        await wait_for(look, within_seconds=START_SECONDS)

    @asynccontextmanager
    async def journey(self) -> AsyncIterator[Journey]:
        """A client that is signed in with the token of the settings, or of the data directory."""
        token = self.settings.get("MODELYARD_TOKEN") or (self.data_dir / "token").read_text()
        async with client(self.url, token) as http:
            yield Journey(http)

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith((PREFIX, *OURS))}
        own = {"MODELYARD_DATA_DIR": str(self.data_dir), "MODELYARD_PORT": str(self.port)}
        return {**inherited, "PYTHONPATH": str(CHECKOUT), **own, **self.settings}


def end(process: "subprocess.Popen[bytes]") -> None:
    """Ctrl-C, unless it has ended already."""
    if process.poll() is None:
        process.send_signal(SIGINT)
    process.wait(STOP_SECONDS)


def processes_of(data_dir: Path) -> list[psutil.Process]:
    """Every process that names the data directory in its command line, as its folder or as its sockets' address."""
    names = {str(data_dir), str(data_dir.resolve())}
    sockets = {
        socket.pid for socket in psutil.net_connections("unix") if any(name in str(socket.laddr) for name in names)
    }
    others = (process for process in psutil.process_iter() if process.pid != os.getpid())
    return [process for process in others if process.pid in sockets or _names_any(process, names)]


def end_all(data_dir: Path) -> None:
    """Kill what is left, so that a test that failed leaves nothing running."""
    for process in processes_of(data_dir):
        with suppress(psutil.NoSuchProcess):
            process.kill()


async def nothing_left(data_dir: Path, *, within_seconds: float = 10.0) -> None:
    """Wait until no process of the data directory is there; fail, naming them, where some stay."""
    deadline = time.monotonic() + within_seconds

    async def look() -> bool:
        left = processes_of(data_dir)
        assert not left or time.monotonic() < deadline, left
        return not left

    await wait_for(look, within_seconds=within_seconds * 2)


def _names_any(process: psutil.Process, names: set[str]) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        words = [*process.cmdline(), process.cwd()]
    except (psutil.Error, OSError):
        return False
    return any(name in word for word in words for name in names)


def _program() -> tuple[str, ...]:
    """The script as operators call it; tests in another environment than the checkout's own take theirs."""
    if Path(sys.prefix) == CHECKOUT / ".venv":
        return (str(CHECKOUT / "modelyard"),)
    return (sys.executable, "-P", "-m", "server")
