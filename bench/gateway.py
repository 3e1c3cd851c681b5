"""What the gateway costs: one instance asked directly and through the gateway, in turn.

    python -m bench.gateway [--instance scikit-learn|echo] [--rounds 4] [--seconds 2.5] [--concurrency 16]

Instance, gateway and load generator are processes of their own. Trust CPU per request and the ratio first: absolute
rates are those of this machine, with everything on it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
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

from bench.load import Load
from server.gateway import Gateway
from server.metrics import PredictionMetrics
from server.route import Instance, Route, Target

ROOT = Path(__file__).resolve().parent.parent
SERVICE_ID = "svc_bench"
WORKSPACE_ID = UUID(int=1)
COLUMNS = ("sepal_length", "sepal_width", "petal_length", "petal_width")
BODY = orjson.dumps({"data": {"req_data": [dict(zip(COLUMNS, (5.1, 3.5, 1.4, 0.2), strict=True))]}})
START_SECONDS = 30.0


class OneService:
    """The one route there is; the one token opens its workspace."""

    def __init__(self, socket: str) -> None:
        instance = Instance(id="ins_bench", address=f"unix:{socket}")
        target = Target(model_version_id="ver_bench", weight=100, instances=(instance,))
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
    app = Starlette(routes=[Mount("/v1/infers", gateway)])
    await gateway.open()
    try:
        await uvicorn.Server(_quiet(app, listen)).serve()
    finally:
        await gateway.close()


async def run_echo(listen: str) -> None:
    await uvicorn.Server(_quiet(echo, listen)).serve()


async def run_load(socket: str, path: str, *, seconds: float, concurrency: int) -> Load:
    latencies: list[float] = []
    failures = 0
    until = time.perf_counter() + seconds

    async def ask_in_turn(session: aiohttp.ClientSession) -> None:
        nonlocal failures
        while time.perf_counter() < until:
            started = time.perf_counter()
            async with session.post(f"http://bench{path}", data=BODY) as response:
                await response.read()
                failures += response.status != 200
            latencies.append(time.perf_counter() - started)

    headers = {"authorization": "Bearer bench", "content-type": "application/json"}
    connector = aiohttp.UnixConnector(socket, limit=concurrency)
    limit = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(connector=connector, headers=headers, timeout=limit) as session:
        started = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(ask_in_turn(session))
        elapsed = time.perf_counter() - started
    return Load.of(latencies, failures=failures, seconds=elapsed)


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


def measure(socket: Path, path: str, *, seconds: float, concurrency: int) -> Load:
    command = [sys.executable, "-m", "bench.gateway", "run-load", "--socket", str(socket), "--path", path]
    command += ["--seconds", str(seconds), "--concurrency", str(concurrency)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=seconds + 60)
    return Load(**json.loads(done.stdout))


def compare(arguments: argparse.Namespace) -> None:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        behind, front = directory / "instance", directory / "gateway"
        command = instance_command(arguments.instance, directory, behind)
        stack.enter_context(running(command, socket=behind, health="/health"))
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
        gateway = stack.enter_context(running(command, socket=front, health=f"/v1/infers/{SERVICE_ID}/health"))
        direct, through, cpu_ms = [], [], []
        options = {"seconds": arguments.seconds, "concurrency": arguments.concurrency}
        for round_number in range(-1, arguments.rounds):
            asked = measure(behind, "/", **options)
            before = _cpu_seconds(gateway)
            passed = measure(front, path, **options)
            spent = _cpu_seconds(gateway) - before
            if round_number >= 0:  # the first round only warms up
                direct.append(asked)
                through.append(passed)
                cpu_ms.append(spent / passed.requests * 1000)
        print_table(direct, through, cpu_ms)


def print_table(direct: Sequence[Load], through: Sequence[Load], cpu_ms: Sequence[float]) -> None:
    ratios = [passed.rate / asked.rate for asked, passed in zip(direct, through, strict=True)]
    print(f"{'medians':<16}{'requests/s':>12}{'p50 ms':>9}{'p99 ms':>9}{'failures':>10}")
    for name, loads in (("direct", direct), ("through gateway", through)):
        rate, p50, p99 = (median(getattr(load, key) for load in loads) for key in ("rate", "p50_ms", "p99_ms"))
        print(f"{name:<16}{rate:>12.0f}{p50:>9.2f}{p99:>9.2f}{sum(load.failures for load in loads):>10}")
    print(f"ratio of rates  {median(ratios):>12.2f}   (rounds: {', '.join(f'{ratio:.2f}' for ratio in ratios)})")
    print(f"gateway CPU     {median(cpu_ms):>12.3f} ms a request   (rounds: {', '.join(f'{ms:.3f}' for ms in cpu_ms)})")


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
            timing = {"seconds": arguments.seconds, "concurrency": arguments.concurrency}
            print(json.dumps(asdict(uvloop.run(run_load(arguments.socket, arguments.path, **timing)))))
        case _:
            compare(arguments)


if __name__ == "__main__":
    main()
