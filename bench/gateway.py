"""What the gateway costs: one instance asked directly, through haproxy and through the gateway, in turn.

    python -m bench.gateway [--instance scikit-learn|echo] [--rounds 4] [--seconds 2.5] [--concurrency 16]

Instance, haproxy, gateway and load generator are processes of their own, on Unix sockets. Trust processor time per
request and the ratios first: absolute rates are those of this machine, with everything on it. Without haproxy
(apt install haproxy) its row is left out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from statistics import median
from uuid import UUID

import aiohttp
import orjson
import psutil
import uvicorn
import uvloop
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from bench.load import Load, request, run_load
from server.gateway import Gateway
from server.prediction_front import PREDICTIONS_PATH, PredictionFront
from server.prediction_metrics import PredictionMetrics
from server.route import Instance, Route, Target

ROOT = Path(__file__).resolve().parent.parent
SERVICE_ID = "svc_bench"
WORKSPACE_ID = UUID(int=1)
COLUMNS = ("sepal_length", "sepal_width", "petal_length", "petal_width")
BODY = orjson.dumps({"data": {"req_data": [dict(zip(COLUMNS, (5.1, 3.5, 1.4, 0.2), strict=True))]}})
START_SECONDS = 30.0
HAPROXY = """
global
    nbthread 1
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    http-reuse always
listen instance
    bind unix@{front}
    server instance unix@{behind}
"""


class OneService:
    """The one route there is; the one token opens its workspace."""

    def __init__(self, socket: str) -> None:
        instance = Instance(id="ins_bench", address=f"unix:{socket}")
        target = Target(model_version_id="ver_bench", version="1.0.0", weight=100, instances=(instance,))
        self._route = Route(service_id=SERVICE_ID, workspace_id=WORKSPACE_ID, status="RUNNING", targets=(target,))

    async def routes(self) -> Sequence[Route]:
        return [self._route]

    async def route(self, service_id: str) -> Route | None:
        return self._route if service_id == SERVICE_ID else None

    async def changed(self) -> None:
        await asyncio.Event().wait()

    async def workspaces_of(self, token: str) -> frozenset[UUID]:
        return frozenset((WORKSPACE_ID,)) if token == "bench" else frozenset()


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """The least that an instance can do, so that the gateway is what is measured."""
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def run_gateway(socket: str, listen: str) -> None:
    source = OneService(socket)
    gateway = Gateway(source, source, metrics=PredictionMetrics(CollectorRegistry()))
    app = PredictionFront(gateway, Starlette(routes=[Mount(PREDICTIONS_PATH, gateway)]))
    await gateway.open()
    try:
        await uvicorn.Server(_quiet(app, listen)).serve()
    finally:
        await gateway.close()


async def run_echo(listen: str) -> None:
    await uvicorn.Server(_quiet(echo, listen)).serve()


def make_package(directory: Path) -> None:
    # By name, since neither library carries types.
    iris = import_module("sklearn.datasets").load_iris()
    model = import_module("sklearn.linear_model").LogisticRegression(max_iter=1000).fit(iris.data, iris.target)
    directory.mkdir()
    import_module("joblib").dump(model, directory / "model.pkl")


def instance_command(kind: str, directory: Path, socket: Path) -> list[str]:
    if kind == "echo":
        return [sys.executable, "-m", "bench.gateway", "run-echo", "--listen", str(socket)]
    make_package(directory / "model")
    command = [sys.executable, str(ROOT / "runtime" / "serve.py"), "--socket", str(socket)]
    command += ["--package", str(directory / "model"), "--model-path", "model.pkl", "--engine", "SCIKIT_LEARN"]
    return [*command, "--model-name", "iris", "--model-version", "0.0.1", "--die-with-parent"]


@contextmanager
def running(command: Sequence[str], *, socket: Path, health: str) -> Iterator[psutil.Process]:
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        asyncio.run(_until_ready(process, socket, health))
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@dataclass(frozen=True, slots=True)
class Way:
    """A way to the instance: a socket, a path, and what stands in between."""

    name: str
    socket: Path
    path: str
    proxy: psutil.Process | None


@dataclass(frozen=True, slots=True)
class Measured:
    """One round of one way; processor time in milliseconds a request."""

    load: Load
    instance_ms: float
    proxy_ms: float


@contextmanager
def haproxy(behind: Path, front: Path) -> Iterator[psutil.Process | None]:
    """haproxy in front of the instance; None where it is not installed."""
    program = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
    if program is None:
        print("haproxy is not installed: it is left out")
        yield None
        return
    settings = front.with_suffix(".cfg")
    settings.write_text(HAPROXY.format(front=front, behind=behind))
    with running([program, "-f", str(settings), "-db"], socket=front, health="/health") as process:
        yield process


def measure(way: Way, instance: psutil.Process, *, seconds: float, concurrency: int) -> Measured:
    command = [sys.executable, "-m", "bench.gateway", "run-load", "--socket", str(way.socket), "--path", way.path]
    command += ["--seconds", str(seconds), "--concurrency", str(concurrency)]
    processes = [instance, way.proxy] if way.proxy else [instance]
    before = [_cpu_seconds(process) for process in processes]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=seconds + 60)
    load = Load(**json.loads(done.stdout))
    spent = [
        (_cpu_seconds(process) - was) / load.requests * 1000 for process, was in zip(processes, before, strict=True)
    ]
    return Measured(load, spent[0], sum(spent[1:]))


def compare(arguments: argparse.Namespace) -> None:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        behind, before_haproxy, front = (directory / name for name in ("instance", "haproxy", "gateway"))
        command = instance_command(arguments.instance, directory, behind)
        instance = stack.enter_context(running(command, socket=behind, health="/health"))
        proxy = stack.enter_context(haproxy(behind, before_haproxy))
        command = [
            sys.executable,
            "-m",
            "bench.gateway",
            "run-gateway",
            "--socket",
            str(behind),
            "--listen",
            str(front),
        ]
        path = f"/v1/infers/{SERVICE_ID}/"
        gateway = stack.enter_context(running(command, socket=front, health=f"{path}health"))
        ways = [Way("direct", behind, "/", None), Way("gateway", front, path, gateway)]
        if proxy is not None:
            ways.insert(1, Way("haproxy", before_haproxy, "/", proxy))
        options = {"seconds": arguments.seconds, "concurrency": arguments.concurrency}
        # The first round only warms up.
        rounds = [[measure(way, instance, **options) for way in ways] for _ in range(arguments.rounds + 1)][1:]
        print_table([way.name for way in ways], rounds)


def print_table(names: Sequence[str], rounds: Sequence[Sequence[Measured]]) -> None:
    heads = ("requests/s", "ratio", "p50 ms", "p99 ms", "instance ms", "proxy ms", "failures")
    print(f"{'medians':<10}" + "".join(f"{head:>13}" for head in heads))
    for number, name in enumerate(names):
        ones = [measured[number] for measured in rounds]
        ratio = median(measured[number].load.rate / measured[0].load.rate for measured in rounds)
        cells = [f"{median(one.load.rate for one in ones):.0f}", f"{ratio:.2f}"]
        cells += [f"{median(getattr(one.load, key) for one in ones):.2f}" for key in ("p50_ms", "p99_ms")]
        cells += [f"{median(getattr(one, key) for one in ones):.3f}" for key in ("instance_ms", "proxy_ms")]
        print(f"{name:<10}" + "".join(f"{cell:>13}" for cell in (*cells, sum(one.load.failures for one in ones))))


async def _until_ready(process: subprocess.Popen[bytes], socket: Path, health: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    connector = aiohttp.UnixConnector(str(socket))
    headers = {"authorization": "Bearer bench"}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                async with session.get(f"http://bench{health}", timeout=aiohttp.ClientTimeout(total=2)) as response:
                    if response.status == 200:
                        return
            except (aiohttp.ClientError, TimeoutError):
                pass
            await asyncio.sleep(0.05)
    raise SystemExit(f"not ready: {' '.join(map(str, process.args))}")  # type: ignore[arg-type]


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _quiet(app: Starlette | object, listen: str) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        uds=listen,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        proxy_headers=False,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("role", nargs="?", default="compare", help=argparse.SUPPRESS)
    parser.add_argument("--instance", choices=("scikit-learn", "echo"), default="scikit-learn")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=2.5)
    parser.add_argument("--concurrency", type=int, default=16)
    for name in ("--socket", "--listen", "--path"):
        parser.add_argument(name, default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    match arguments.role:
        case "run-gateway":
            uvloop.run(run_gateway(arguments.socket, arguments.listen))
        case "run-echo":
            uvloop.run(run_echo(arguments.listen))
        case "run-load":
            asked = [request(BODY.decode(), path=arguments.path, token="bench")]
            timing = {"seconds": arguments.seconds, "concurrency": arguments.concurrency}
            print(json.dumps(asdict(uvloop.run(run_load(asked, ports=[arguments.socket], **timing)))))
        case _:
            compare(arguments)


if __name__ == "__main__":
    main()
