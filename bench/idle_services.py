"""What many services that nobody asks cost on one machine: memory of each instance, and idle processor time.

    python -m bench.idle_services --services 50 --seconds 30

Each is a real-time service of one small scikit-learn model without code, with one instance. Memory is the proportional
share (PSS) of each instance's processes; processor time is that of the server and of all instances over the seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil

from bench.deployment import MODEL, first_prediction, import_iris
from tests.journey import Journey
from tests.server_process import Checkout
from tests.services import pids

MEBIBYTE = 1 << 20
DEPLOYED_AT_ONCE = 5


@dataclass(frozen=True, slots=True)
class Idle:
    """Processor seconds over the measured time, of the server's own process, its children and the instances."""

    server: float
    beside_server: float
    instances: float


def tree(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def memory_of(instances: Iterable[Sequence[psutil.Process]]) -> list[float]:
    """MiB of each instance, with what it shares counted in part."""
    return [sum(process.memory_full_info().pss for process in processes) / MEBIBYTE for processes in instances]


def seconds_of(processes: Iterable[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


async def deploy_all(journey: Journey, version: str, count: int) -> None:
    gate = asyncio.Semaphore(DEPLOYED_AT_ONCE)

    async def deploy(number: int) -> None:
        async with gate:
            url = (await journey.deploy(f"idle-{number}", MODEL, version))["predictionUrl"]
            await first_prediction(journey, url)

    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(deploy(number))


async def measure(server_pid: int, instances: Sequence[Sequence[psutil.Process]], seconds: float) -> Idle:
    of_instances = [process for processes in instances for process in processes]
    known = {process.pid for process in of_instances}
    server, *rest = [process for process in tree(server_pid) if process.pid not in known]
    before = [seconds_of([server]), seconds_of(rest), seconds_of(of_instances)]
    await asyncio.sleep(seconds)
    after = [seconds_of([server]), seconds_of(rest), seconds_of(of_instances)]
    return Idle(*(then - now for now, then in zip(before, after, strict=True)))


async def run(count: int, seconds: float, folder: Path) -> None:
    checkout = Checkout(folder / "data")
    async with checkout.serving() as process, checkout.journey() as journey:
        version = await import_iris(journey, folder)
        started = time.perf_counter()
        await deploy_all(journey, version, count)
        print(f"{count} services answer after {time.perf_counter() - started:.1f} s", flush=True)
        instances = [tree(pid) for pid in await asyncio.to_thread(pids, checkout.data_dir)]
        memory = memory_of(instances)
        print(f"memory of an instance, MiB: {median(memory):.1f}, at most {max(memory):.1f}; of all {sum(memory):.0f}")
        idle = await measure(server_of(process), instances, seconds)
        print(f"idle processor time over {seconds:g} s, of one processor, in percent:")
        for name, used in (("server", idle.server), ("beside it", idle.beside_server), ("instances", idle.instances)):
            print(f"  {name:<10}{100 * used / seconds:6.2f}")


def server_of(process: subprocess.Popen[bytes]) -> int:
    """The server itself, behind the program that starts it."""
    return max(tree(process.pid), key=lambda each: seconds_of([each]) if "serve" in each.cmdline() else -1.0).pid


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--services", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=30)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as folder:
        asyncio.run(run(given.services, given.seconds, Path(folder)))


if __name__ == "__main__":
    main()
