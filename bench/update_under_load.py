"""What becomes of predictions while their service is changed, and while one of its instances is killed.

    python -m bench.update_under_load [--concurrency 8] [--instances 2]

A server of its own, two versions of a scikit-learn model, and requests without a pause over connections that stay open.
Dropped are those that were not answered with 200; nothing is sent twice.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import signal
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench.deployment import first_prediction
from bench.load import Load, Round, connect, request
from tests.journey import Journey, last
from tests.server_process import Checkout
from tests.services import pids
from tests.trained_model import IRIS_QUESTION, train_iris

MODEL = SERVICE = "iris"
# Before and after each change, so that it happens under load and what it leaves behind is seen.
AROUND_SECONDS = 2.0
CHANGE_SECONDS = 300.0
MUTATION = """mutation Change($input: {kind}Input!) {{
  {name}(input: $input) {{ service {{ status }} errors {{ message }} }}
}}"""
WATCH = """query Watch($name: String!) {
  service(by: {name: $name}) { status statusMessage operation { id state } }
}"""


@dataclass(frozen=True, slots=True)
class Bench:
    """A running service, and how it is changed."""

    journey: Journey
    url: str
    token: str
    instances: int

    def target(self, version: str, weight: int = 100) -> dict[str, Any]:
        chosen = {"modelName": MODEL, "version": version}
        return {"modelVersion": chosen, "weight": weight, "instanceCount": self.instances}

    async def change(self, name: str, **fields: Any) -> None:
        """A mutation, and all that follows from it."""
        kind = name[0].upper() + name[1:]
        data = await self.journey.ask(MUTATION.format(name=name, kind=kind), input={"serviceName": SERVICE, **fields})
        if data[name]["errors"]:
            raise SystemExit(f"{name}: {data[name]['errors']}")
        await self.settled()

    async def settled(self) -> None:
        async with asyncio.timeout(CHANGE_SECONDS):
            while True:
                service = (await self.journey.ask(WATCH, name=SERVICE))["service"]
                is_done = service["operation"] is None or service["operation"]["state"] == "SUCCEEDED"
                if service["status"] == "RUNNING" and is_done:
                    return
                await asyncio.sleep(0.1)

    async def under_load(self, change: Callable[[], Awaitable[None]], *, concurrency: int) -> Load:
        parts = urlsplit(self.url)
        asked = [request(json.dumps(IRIS_QUESTION), path=parts.path, token=self.token)]
        measured = Round(itertools.cycle(asked), until=float("inf"))
        connections = [await connect(parts.port or 80, measured) for _ in range(concurrency)]
        started = time.perf_counter()
        for connection in connections:
            connection.ask()
        await asyncio.sleep(AROUND_SECONDS)
        await change()
        await asyncio.sleep(AROUND_SECONDS)
        measured.until = time.perf_counter()
        async with asyncio.timeout(60):
            ended = await asyncio.gather(*(connection.ended for connection in connections), return_exceptions=True)
        broken = sum(isinstance(one, BaseException) for one in ended)
        seconds = time.perf_counter() - started
        return Load.of(measured.latencies, failures=measured.failures + broken, seconds=seconds)


async def import_version(journey: Journey, folder: Path) -> str:
    files = await asyncio.to_thread(train_iris, folder)
    job_version = await journey.record(MODEL, "SCIKIT_LEARN")
    await journey.upload(MODEL, job_version, files)
    version = await journey.import_model(MODEL, MODEL, job_version)
    await last(journey.watch_import(MODEL, version))
    return version


async def run(folder: Path, *, concurrency: int, instances: int) -> None:
    checkout = Checkout(folder / "data")
    async with checkout.serving(), checkout.journey() as journey:
        one, two = [await import_version(journey, folder) for _ in range(2)]
        url = (await journey.deploy(SERVICE, MODEL, one))["predictionUrl"]
        await first_prediction(journey, url)
        bench = Bench(journey, url, (checkout.data_dir / "token").read_text().strip(), instances)
        await bench.settled()

        async def kill() -> None:
            os.kill(pids(checkout.data_dir)[0], signal.SIGKILL)
            await bench.settled()

        both = [bench.target(one, 90), bench.target(two, 10)]
        changes: dict[str, Callable[[], Awaitable[None]]] = {
            f"{instances} instances": lambda: bench.change("updateRealTimeService", targets=[bench.target(one)]),
            "a second version": lambda: bench.change("updateRealTimeService", targets=both),
            "other weights": lambda: bench.change(
                "updateRealTimeService", targets=[bench.target(one, 10), bench.target(two, 90)]
            ),
            "the other version": lambda: bench.change("updateRealTimeService", targets=[bench.target(two)]),
            "roll back": lambda: bench.change("rollBackService"),
            "restart": lambda: bench.change("restartService"),
            "an instance killed": kill,
        }
        print(f"{'change':<22}{'seconds':>9}{'requests':>10}{'dropped':>9}{'p50 ms':>9}{'p99 ms':>9}")
        for name, change in changes.items():
            load = await bench.under_load(change, concurrency=concurrency)
            cells = f"{load.seconds:>9.1f}{load.requests:>10}{load.failures:>9}{load.p50_ms:>9.1f}{load.p99_ms:>9.1f}"
            print(f"{name:<22}{cells}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--instances", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        asyncio.run(run(Path(folder), concurrency=options.concurrency, instances=options.instances))


if __name__ == "__main__":
    main()
