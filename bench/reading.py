"""What reading costs through the whole server, against one hand-written statement behind a bare route.

    python -m bench.reading [--rounds 3] [--seconds 1.5] [--pages page,one] [--versions-in-one-model 1000 200000]

Every row comes from the same run, Postgres and data (10,000 models, 50,000 versions); rounds alternate between the
rows, and a ratio is the median of the rounds' ratios. Two workers are two processes that share the load. The second
table asks for the same page of one model's versions in databases of growing size.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import median
from uuid import UUID

import asyncpg
import psutil

from bench.load import Load
from bench.reading_pages import PAGES, VERSIONS_OF_ONE_MODEL, Page
from bench.reading_servers import CpuMeter, Target, ceiling, modelyard, put_load
from db.migrate import migrate
from db.pool import connection, create_pool
from resolvers.workspace import DEFAULT_WORKSPACE, create_workspace
from server.embedded_postgres import EmbeddedPostgres
from tests.large_data import fill_database, fill_one_model, workspace_id
from tests.postgres import new_database

OTHER_WORKSPACE = "other"
PLANS_OFF = {"MODELYARD_PLANS": "0"}
WARM_UP_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Options:
    rounds: int
    seconds: float
    concurrency: int
    pages: Sequence[str]
    workers: Sequence[int]
    versions_in_one_model: Sequence[int]
    database_url: str | None


@dataclass(frozen=True, slots=True)
class Round:
    """A load with the CPU time that one of its requests took."""

    load: Load
    server_ms: float
    postgres_ms: float


@dataclass(frozen=True, slots=True)
class Asking:
    """A page with the bodies of requests for it."""

    name: str
    bodies: Sequence[str]


async def find_asking(database_url: str, workspace: UUID, name: str, page: Page) -> Asking:
    async with connection(database_url) as found:
        rows = await found.fetch(page.keys, workspace)
    bodies = [json.dumps({"query": page.document, "variables": page.variables(tuple(row))}) for row in rows]
    return Asking(name, bodies)


async def check_equal(targets: Sequence[Target], asking: Asking) -> None:
    """The targets answer with the same data. Raises ValueError."""
    for body in asking.bodies[:5]:
        answers = [await target.first_answer(asking.name, body) for target in targets]
        for target, answer in zip(targets, answers, strict=True):
            if answer != answers[0]:
                raise ValueError(f"{asking.name}: {target.name} answers {answer}, not {answers[0]}")


async def measure(target: Target, asking: Asking, postgres: psutil.Process | None, options: Options) -> Round:
    servers, database = CpuMeter(target.processes), CpuMeter([postgres] if postgres else [])
    servers.begin()
    database.begin()
    load = await put_load(target, asking.name, asking.bodies, seconds=options.seconds, concurrency=options.concurrency)
    return Round(load, servers.spent() / load.requests * 1000, database.spent() / load.requests * 1000)


async def compare(
    targets: Sequence[Target], asking: Asking, postgres: psutil.Process | None, options: Options
) -> Mapping[str, Sequence[Round]]:
    """Rounds by target, the targets in turn."""
    await check_equal(targets, asking)
    for target in targets:
        await put_load(target, asking.name, asking.bodies, seconds=WARM_UP_SECONDS, concurrency=options.concurrency)
    rounds: dict[str, list[Round]] = {target.name: [] for target in targets}
    for _ in range(options.rounds):
        for target in targets:
            rounds[target.name].append(await measure(target, asking, postgres, options))
    return rounds


@asynccontextmanager
async def database(server_url: str) -> AsyncIterator[str]:
    """A migrated database of one's own, with its two workspaces."""
    async with new_database(server_url) as url:
        await migrate(url)
        async with await create_pool(url, size=1) as pool:
            for workspace in (DEFAULT_WORKSPACE, OTHER_WORKSPACE):
                await create_workspace(pool, name=workspace)
        yield url


async def default_workspace(database_url: str) -> UUID:
    async with connection(database_url) as found:
        return await workspace_id(found, DEFAULT_WORKSPACE)


async def postmaster(database_url: str) -> psutil.Process | None:
    """The parent of all of Postgres' processes; None where it runs on another machine."""
    opened = await asyncpg.connect(database_url)
    try:
        backend = psutil.Process(await opened.fetchval("SELECT pg_backend_pid()"))
        return backend.parent() if backend.name().startswith("postgres") else None
    except psutil.NoSuchProcess:
        return None
    finally:
        await opened.close()


async def compare_pages(server_url: str, folder: Path, options: Options) -> None:
    async with database(server_url) as url:
        await fill_database(url, workspace=DEFAULT_WORKSPACE, other_workspace=OTHER_WORKSPACE)
        workspace, postgres = await default_workspace(url), await postmaster(url)
        print(f"{'':<28}{'requests/s':>12}{'ratio':>8}{'p50 ms':>9}{'p99 ms':>9}{'server CPU ms':>15}{'Postgres':>10}")
        most = max(options.workers)
        async with AsyncExitStack() as stack:
            targets = [
                await stack.enter_async_context(ceiling(url, workspace, workers=most)),
                await stack.enter_async_context(modelyard("Modelyard", url, folder, workers=most)),
                await stack.enter_async_context(modelyard("plans off", url, folder, workers=most, settings=PLANS_OFF)),
            ]
            for workers, name in product(options.workers, options.pages):
                asking = await find_asking(url, workspace, name, PAGES[name])
                print(f"{name}, {workers} worker{'s' if workers > 1 else ''}")
                print_rounds(await compare([target.only(workers) for target in targets], asking, postgres, options))


def print_rounds(measured: Mapping[str, Sequence[Round]]) -> None:
    baseline = next(iter(measured.values()))
    for name, rounds in measured.items():
        ratios = [one.load.rate / base.load.rate for one, base in zip(rounds, baseline, strict=True)]
        rate, p50, p99 = (median(getattr(one.load, key) for one in rounds) for key in ("rate", "p50_ms", "p99_ms"))
        server, postgres = (median(getattr(one, key) for one in rounds) for key in ("server_ms", "postgres_ms"))
        spread = f"   {min(ratios):.2f} to {max(ratios):.2f}" if rounds is not baseline else ""
        failures = sum(one.load.failures for one in rounds)
        told = f"   {failures} failed" if failures else ""
        print(
            f"  {name:<26}{rate:>12.0f}{median(ratios):>8.3f}{p50:>9.2f}{p99:>9.2f}{server:>15.3f}{postgres:>10.3f}"
            f"{spread}{told}",
            flush=True,
        )


async def compare_sizes(server_url: str, folder: Path, options: Options) -> None:
    """One request at a time: what is asked is how long a page takes, not how many fit beside one another."""
    async with AsyncExitStack() as stack:
        targets, asking = {}, {}
        for versions in options.versions_in_one_model:
            url = await stack.enter_async_context(database(server_url))
            await fill_one_model(url, workspace=DEFAULT_WORKSPACE, versions=versions)
            workspace = await default_workspace(url)
            target = await stack.enter_async_context(modelyard(f"{versions:,} versions", url, folder, workers=1))
            written = await stack.enter_async_context(ceiling(url, workspace, workers=1))
            targets[versions] = target
            asking[versions] = await find_asking(url, workspace, "versions", VERSIONS_OF_ONE_MODEL)
            await check_equal([written, target], asking[versions])
        loads: dict[int, list[Load]] = {versions: [] for versions in targets}
        for number in range(-1, options.rounds):
            for versions, target in targets.items():
                bodies = asking[versions].bodies
                load = await put_load(target, "versions", bodies, seconds=options.seconds / 2, concurrency=1)
                if number >= 0:  # the first round only warms up
                    loads[versions].append(load)
        print_sizes(loads)


def print_sizes(loads: Mapping[int, Sequence[Load]]) -> None:
    smallest = next(iter(loads.values()))
    print(f"\n{'versions in one model':<28}{'p50 ms':>9}{'p99 ms':>9}{'ratio of p50':>15}")
    for versions, measured in loads.items():
        ratio = median(one.p50_ms / base.p50_ms for one, base in zip(measured, smallest, strict=True))
        p50, p99 = (median(getattr(load, key) for load in measured) for key in ("p50_ms", "p99_ms"))
        print(f"{versions:<28,}{p50:>9.2f}{p99:>9.2f}{ratio:>15.2f}")


async def run(options: Options) -> None:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="modelyard-bench-")))
        server_url = (
            options.database_url
            or (await stack.enter_async_context(EmbeddedPostgres(folder / "postgres", is_durable=False))).dsn
        )
        if options.pages:
            await compare_pages(server_url, folder, options)
        if options.versions_in_one_model:
            await compare_sizes(server_url, folder, options)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.5, help="of one round of one row")
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--pages", default=",".join(PAGES), help="apart by commas; empty for none")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--versions-in-one-model", type=int, nargs="*", default=[1_000, 50_000, 200_000])
    parser.add_argument("--database-url", help="a Postgres to make databases in; an embedded one where not given")
    values = vars(parser.parse_args())
    values["pages"] = [name for name in values["pages"].split(",") if name]
    asyncio.run(run(Options(**values)))


if __name__ == "__main__":
    main()
