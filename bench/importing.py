"""How fast imports are, over the API of a server of its own: of one large file, of many small ones, and many at once.

    .venv/bin/python -m bench.importing --rounds 3

Each round writes new files, imports them, and passes over the same files once more with a plain loop that reads, hashes
and writes (and syncs, in a folder); the ratio is to that loop. Stores: the folder, and S3 as moto's server speaks it.
Then one package is imported under one name many times at once.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import logging
import os
import platform
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from artifacts.object_store import CHUNK_BYTES, ObjectStore
from tests.journey import Journey, JourneyFailure
from tests.object_stores import folder_store, opened, s3_location, s3_server, s3_store
from tests.packages import mxnet_package
from tests.server_process import Checkout

MEBIBYTE = 1 << 20
SMALL_BYTES = 4096
LIMIT_SECONDS = 1800.0
ASK_AGAIN_SECONDS = 0.2
IMPORT = """query ($by: ModelVersionBy!) { modelVersion(by: $by) {
    status problems { message } operation { startedAt finishedAt } } }"""


@dataclass(frozen=True, slots=True)
class Yard:
    """A server with what it stores in; `root` is the folder of a folder store."""

    journey: Journey
    store: ObjectStore
    server: psutil.Process
    root: Path | None


@dataclass(frozen=True, slots=True)
class Round:
    """`more_bytes` is how much the server's memory grew at most."""

    seconds: float
    plain_seconds: float
    more_bytes: int


def main() -> None:
    options = _options()
    # moto's server tells each request.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    machine = f"{platform.platform()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}"
    print(f"{datetime.now(UTC):%Y-%m-%d}, {machine}")
    print(f"{'':40}{'MB/s':>8}{'files/s':>9}{'plain s':>9}{'ratio':>8}{'more MB':>9}   seconds of each round")
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="bench-") as folder:
        asyncio.run(_run(options, Path(folder)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size-mib", type=int, default=1024, help="size of the large file (default: %(default)s)")
    parser.add_argument("--files", type=int, default=10_000, help="how many small files (default: %(default)s)")
    parser.add_argument("--imports", type=int, default=200, help="how many at once (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each (default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=Path(), help="where to write (default: the current folder)")
    return parser.parse_args()


async def _run(options: argparse.Namespace, folder: Path) -> None:
    with s3_server() as endpoint:
        for name in ("folder", "S3"):
            async with _yard(name, folder / name, endpoint) as yard:
                for label, sizes in _packages(options).items():
                    rounds = [await _measure(yard, sizes) for _ in range(options.rounds)]
                    _print_rounds(f"{label}, {name}", sizes, rounds)
                if yard.root is not None:
                    await _measure_many(yard, options.imports)


def _packages(options: argparse.Namespace) -> Mapping[str, list[int]]:
    return {
        f"one file of {options.size_mib} MiB": [options.size_mib * MEBIBYTE],
        f"{options.files:,} files of 4 KiB": [SMALL_BYTES] * options.files,
    }


@asynccontextmanager
async def _yard(name: str, folder: Path, endpoint: str) -> AsyncIterator[Yard]:
    settings, root = {}, folder / "data" / "objects"
    store: ObjectStore = folder_store(root)
    if name == "S3":
        location = s3_location(endpoint)
        settings["OBJECT_STORE_URL"] = f"s3://{location.bucket}/objects?endpoint={endpoint}&region=us-east-1"
        store = s3_store(location)
    checkout = Checkout(folder / "data", settings)
    folder.mkdir()
    async with AsyncExitStack() as stack:
        process = await stack.enter_async_context(checkout.serving())
        journey = await stack.enter_async_context(checkout.journey())
        await stack.enter_async_context(opened(store))
        yield Yard(journey, store, psutil.Process(process.pid), None if name == "S3" else root)


async def _measure(yard: Yard, sizes: list[int]) -> Round:
    run = await yard.journey.record("training", "MXNET")
    key = await _output(yard.journey, run)
    for path, data in mxnet_package().items():
        await yard.store.put(f"{key}/{path}", _once(data))
    names = [f"{key}/model/data/{number:06}" for number in range(len(sizes))]
    for name, size in zip(names, sizes, strict=True):
        await yard.store.put(name, _random(size))
    resting_bytes = _reset_peak(yard.server)
    version = await yard.journey.import_model("model", "training", run)
    seconds = await _import_seconds(yard.journey, version)
    more_bytes = _memory(yard.server, "VmHWM") - resting_bytes
    plain_seconds = await _plain_seconds(yard, names)
    for name in names:
        await yard.store.delete(name)
    return Round(seconds, plain_seconds, more_bytes)


async def _output(journey: Journey, run: str) -> str:
    document = "{ trainingJobVersions(first: 1) { nodes { name output { key } } } }"
    (newest,) = (await journey.ask(document))["trainingJobVersions"]["nodes"]
    assert newest["name"] == run
    key: str = newest["output"]["key"]
    return key


async def _import_seconds(journey: Journey, version: str) -> float:
    """From the operation's beginning to its end, once it has ended."""
    by = {"name": {"modelName": "model", "version": version}}
    async with asyncio.timeout(LIMIT_SECONDS):
        while (found := (await journey.ask(IMPORT, by=by))["modelVersion"])["status"] == "IMPORTING":
            await asyncio.sleep(0.5)
    assert found["status"] == "NORMAL", found
    started, finished = (datetime.fromisoformat(found["operation"][name]) for name in ("startedAt", "finishedAt"))
    return (finished - started).total_seconds()


async def _plain_seconds(yard: Yard, names: list[str]) -> float:
    started = time.perf_counter()
    if yard.root is not None:
        await asyncio.to_thread(_pass_over, yard.root, names)
    else:
        for name in names:
            await yard.store.put("plain", _hashed(yard.store.read(name)))
    return time.perf_counter() - started


def _pass_over(root: Path, names: list[str]) -> None:
    copies = root.with_name("plain")
    copies.mkdir()
    for number, name in enumerate(names):
        digest = hashlib.sha256()
        with (root / name).open("rb", buffering=0) as source, (copies / str(number)).open("wb", buffering=0) as target:
            while chunk := source.read(CHUNK_BYTES):
                digest.update(chunk)
                target.write(chunk)
            os.fsync(target.fileno())
    shutil.rmtree(copies)


async def _hashed(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    digest = hashlib.sha256()
    async for chunk in chunks:
        digest.update(chunk)
        yield chunk


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def _random(size_bytes: int) -> AsyncIterator[bytes]:
    for offset in range(0, size_bytes, MEBIBYTE):
        yield os.urandom(min(MEBIBYTE, size_bytes - offset))


def _reset_peak(process: psutil.Process) -> int:
    """Begin the process' peak anew; how much memory it has now."""
    Path(f"/proc/{process.pid}/clear_refs").write_text("5")
    return _memory(process, "VmRSS")


def _memory(process: psutil.Process, name: str) -> int:
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0]) * 1024


def _print_rounds(label: str, sizes: list[int], rounds: list[Round]) -> None:
    seconds = median(one.seconds for one in rounds)
    plain = median(one.plain_seconds for one in rounds)
    ratio = median(one.plain_seconds / one.seconds for one in rounds)
    more = max(one.more_bytes for one in rounds) / 1e6
    each = " ".join(f"{one.seconds:.1f}" for one in rounds)
    rate, files = sum(sizes) / seconds / 1e6, len(sizes) / seconds
    print(f"{label:40}{rate:>8.1f}{files:>9.1f}{plain:>9.1f}{ratio:>8.2f}{more:>9.0f}   {each}", flush=True)


async def _measure_many(yard: Yard, count: int) -> None:
    """Import one package under one name, so many times at once."""
    journey = yard.journey
    run = await journey.record("many", "MXNET")
    await journey.upload("many", run, mxnet_package())
    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(_ask(journey, run)) for _ in range(count)]
    accepted = time.perf_counter() - started
    numbers = sorted(_number(task.result()) for task in asked)
    assert numbers == list(range(1, count + 1)), "versions are distinct and without a gap"
    await _all_ended(journey, count)
    ended = time.perf_counter() - started
    print(
        f"{count} imports of one name at once: accepted after {accepted:.2f} s, "
        f"all NORMAL after {ended:.1f} s, {ended / count * 1000:.0f} ms each; versions distinct, without a gap",
        flush=True,
    )


async def _ask(journey: Journey, run: str) -> str:
    """Ask until it is accepted: a server with too much to do says so, and has then done nothing."""
    async with asyncio.timeout(LIMIT_SECONDS):
        while True:
            try:
                return await journey.import_model("many", "many", run)
            except JourneyFailure as refused:
                if "too much to do" not in str(refused):
                    raise
            await asyncio.sleep(ASK_AGAIN_SECONDS)


def _number(version: str) -> int:
    major, minor, patch = map(int, version.split("."))
    return (major * 100 + minor) * 100 + patch


async def _all_ended(journey: Journey, count: int) -> None:
    document = """query ($filter: ModelVersionFilter!) { modelVersions(filter: $filter) { totalCount } }"""
    async with asyncio.timeout(LIMIT_SECONDS):
        while await _count(journey, document, "NORMAL") < count:
            assert await _count(journey, document, "IMPORT_FAILED") == 0
            await asyncio.sleep(0.2)


async def _count(journey: Journey, document: str, status: str) -> int:
    answered = await journey.ask(document, filter={"modelName": "many", "status": [status]})
    total: Any = answered["modelVersions"]["totalCount"]
    return int(total)


if __name__ == "__main__":
    main()
