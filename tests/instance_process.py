"""Instances as the tests start them: child processes of the runtime, with their log and a client for their socket."""

import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from socket import AF_UNIX, socket
from textwrap import dedent
from typing import Protocol

import httpx

from tests.plain_http import NO_TLS

ROOT = Path(__file__).resolve().parent.parent
SERVE = ROOT / "runtime" / "serve.py"
DEADLINE_SECONDS = 60


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {DEADLINE_SECONDS} s"
        time.sleep(0.01)


@dataclass
class Instance:
    """A child process with its log and a client for its socket."""

    process: subprocess.Popen[bytes]
    socket_path: Path
    log_file: Path
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        transport = httpx.HTTPTransport(uds=str(self.socket_path), verify=NO_TLS)
        self.client = httpx.Client(transport=transport, base_url="http://instance", timeout=DEADLINE_SECONDS)

    def log(self) -> str:
        return self.log_file.read_text()

    def events(self) -> list[dict[str, str]]:
        return [json.loads(line) for line in self.log().splitlines() if line.startswith('{"event"')]

    def wait_until_started(self) -> None:
        wait_for(lambda: self.process.poll() is not None or bool(self.events()), "starting")

    def is_healthy(self) -> bool:
        return self.client.get("/health").status_code == 200

    def accepts_connections(self) -> bool:
        with socket(AF_UNIX) as connection:
            return connection.connect_ex(str(self.socket_path)) == 0

    def close(self) -> None:
        self.client.close()
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(DEADLINE_SECONDS)


class Start(Protocol):
    """Starts an instance of one package and waits until it is ready, or has ended where that is expected."""

    def __call__(
        self, model_path: str = "", *options: str, engine: str = "SCIKIT_LEARN", ready: bool = True
    ) -> Instance: ...


@contextmanager
def starting(package: Path) -> Iterator[Start]:
    """Logs are written beside the package; what was started is killed in the end."""
    with ExitStack() as stack:
        # Socket paths have a limit that pytest's folders may exceed.
        sockets = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        numbers = itertools.count()

        def start(model_path: str = "", *options: str, engine: str = "SCIKIT_LEARN", ready: bool = True) -> Instance:
            name = str(next(numbers))
            arguments = ["--socket", str(sockets / name), "--package", str(package), "--engine", engine]
            arguments += ["--model-path", model_path, "--model-name", "iris", "--model-version", "0.0.1", *options]
            instance = Instance(spawn(arguments, package.parent / name), sockets / name, package.parent / name)
            stack.callback(instance.close)
            instance.wait_until_started()
            assert not ready or {"event": "ready"} in instance.events(), instance.log()
            return instance

        yield start


def spawn(arguments: list[str], log_file: Path) -> subprocess.Popen[bytes]:
    """From any folder and with an empty environment, as an engine does it."""
    command = [sys.executable, "-I", str(SERVE), *arguments]
    with log_file.open("wb") as log:
        return subprocess.Popen(command, cwd="/", env={}, stdout=log, stderr=log)


def write_code(package: Path, code: str, name: str = "customize_service.py") -> None:
    (package / name).write_text(dedent(code))


def write_api(package: Path, *columns: str, response_content_type: str = "application/json", url: str = "/") -> str:
    item = {"type": "object", "properties": {column: {"type": "number"} for column in columns}}
    schema = {"properties": {"data": {"properties": {"req_data": {"type": "array", "items": item}}}}}
    api = {"url": url, "method": "POST", "request_schema": schema, "response_content_type": response_content_type}
    file = package.parent / "apis.json"
    file.write_text(json.dumps([api]))
    return f"--api-file={file}"


PASS_THROUGH = """
    from model_service.model_service import SingleNodeService

    class Service(SingleNodeService):
        def inference(self, data):
            return data
"""
