"""A small program in the place of runtime/: the same command line, and packages that are one function each."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from engines.engine import (
    EngineError,
    EnvironmentSpecification,
    InstanceSpecification,
    InstanceState,
    InstanceStatus,
)
from engines.local_engine import LocalEngine
from engines.package_source import PackageSource
from engines.runtime_catalogue import INSTALLED
from tests.plain_http import NO_TLS

LEVELS = ("bubblewrap", "user", "none")
EMPTY = EnvironmentSpecification(INSTALLED, ())
SERVE = """
import argparse, http.server, json, os, runpy, signal, socket, socketserver, sys
parser = argparse.ArgumentParser()
for name in ("socket-descriptor", "package", "model-path", "engine", "model-name", "model-version", "api-file",
             "timeout-seconds", "max-body-bytes", "grace-seconds"):
    parser.add_argument("--" + name, required=True)
options = parser.parse_args()
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
try:
    package = runpy.run_path(os.path.join(options.package, "package.py"), {"options": options})
except ValueError as error:
    print(json.dumps({"event": "start_failed", "code": "PACKAGE", "message": str(error)}), file=sys.stderr)
    sys.exit(3)

class Handler(http.server.BaseHTTPRequestHandler):
    def address_string(self):
        return "client"

    def answer(self, result):
        body = json.dumps(result).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer({"health": "true"})

    def do_POST(self):
        data = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(package["predict"](data))

print("serving", flush=True)
server = socketserver.ThreadingUnixStreamServer("", Handler, bind_and_activate=False)
server.socket = socket.socket(fileno=int(options.socket_descriptor))
server.server_activate()
server.serve_forever()
"""


def write_runtime(folder: Path) -> Path:
    """Writes the stand-in, which needs no libraries."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "serve.py").write_text(SERVE)
    (folder / "requirements.txt").write_text("")
    return folder


def write_package(data: Path, code: str, *, name: str = "one") -> Path:
    """A package with this code, which defines `predict(data)`, where the server would materialise it."""
    folder = data / "packages" / name / "model"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.py").write_text(code)
    return folder


def instance_of(
    package: Path,
    *,
    instance_id: str = "first",
    environment: EnvironmentSpecification = EMPTY,
    model_path: str = "",
    **variables: str,
) -> InstanceSpecification:
    """An instance of a package, with these environment variables."""
    return InstanceSpecification(
        instance_id=instance_id,
        service_id="service",
        environment=environment,
        package_directory=package,
        model_path=model_path,
        ai_engine="SCIKIT_LEARN",
        model_name="name",
        model_version="0.0.1",
        apis=({"url": "/"},),
        environment_variables=variables,
        cpu_count=1,
        memory_bytes=1 << 30,
        timeout_seconds=40,
        max_body_bytes=12 << 20,
    )


def new_engine(
    folder: Path, *, isolation: str = "auto", die_with_parent: bool = True, start_timeout_seconds: float = 30
) -> LocalEngine:
    """An engine over the stand-in, with its data below the folder."""
    return LocalEngine(
        data_directory=folder / "data",
        runtime_directory=write_runtime(folder / "runtime"),
        package_source=PackageSource(is_complete=True),
        isolation=isolation,
        die_with_parent=die_with_parent,
        start_timeout_seconds=start_timeout_seconds,
    )


@asynccontextmanager
async def opened(engine: LocalEngine) -> AsyncIterator[LocalEngine]:
    """The engine open, with the empty environment built; skips the test where its isolation cannot work."""
    try:
        await engine.open()
    except EngineError as error:
        pytest.skip(str(error))
    try:
        await engine.build(EMPTY, log=print, timeout_seconds=120)
        yield engine
    finally:
        await engine.close()


async def status_of(engine: LocalEngine, instance_id: str = "first") -> InstanceStatus:
    """How an instance is."""
    return next(status for status in await engine.statuses() if status.instance_id == instance_id)


async def settled(
    engine: LocalEngine, *, instance_id: str = "first", state: InstanceState = InstanceState.READY
) -> InstanceStatus:
    """The status of an instance once it is in a state; fails when it ends in another."""
    while (status := await status_of(engine, instance_id)).state is not state:
        assert status.state is not InstanceState.EXITED, (status.reason, status.last_log)
        await engine.changed()
    return status


async def predict(status: InstanceStatus, data: object = None) -> object:
    """What the instance answers."""
    transport = httpx.AsyncHTTPTransport(uds=status.address, verify=NO_TLS)
    async with httpx.AsyncClient(transport=transport, timeout=30) as client:
        response = await client.post("http://instance/", content=json.dumps(data))
    assert response.status_code == 200, response.text
    return response.json()


def count_processes(mark: str) -> int:
    """How many live processes of the host have this word on their command line."""
    return sum(1 for entry in os.listdir("/proc") if entry.isdigit() and mark in _command_line(entry))


def _command_line(pid: str) -> str:
    try:
        return Path("/proc", pid, "cmdline").read_text(errors="replace")
    except OSError:
        return ""
