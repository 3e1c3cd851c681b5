"""Preparations of targets: what serves, and what is asked meanwhile, waits for none."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from db.connection import Pool
from tests.api import Api, wait_for
from tests.services import act, import_version, is_gone, package, pids, running, target
from tests.test_service_update import answers, configurations, update


@asynccontextmanager
async def no_package_laid_out(pool: Pool) -> AsyncIterator[None]:
    """While it lasts, whoever lays a package out waits for the list of its files."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("LOCK TABLE model_file IN ACCESS EXCLUSIVE MODE")
        yield


async def is_preparing(pool: Pool) -> bool:
    count = await pool.fetchval("SELECT count(*) FROM event WHERE kind = 'SERVICE_MODEL_FETCHING'")
    return bool(count == 2)


async def test_what_serves_is_kept_up_while_another_version_is_prepared(api: Api, pool: Pool, data_dir: Path) -> None:
    good, other = [await import_version(api, package(f"return {number}")) for number in range(2)]
    service = await running(api, "iris", target(good))
    (pid,) = pids(data_dir)
    async with no_package_laid_out(pool):
        await update(api, "iris", target(other))
        await wait_for(partial(is_preparing, pool))
        os.kill(pid, signal.SIGKILL)
        await wait_for(lambda: is_replaced(data_dir, pid))
        await wait_for(partial(answers, api, service, 0))
        await act(api, "rollBackService", "iris")
        found = await api.service_in("iris", "RUNNING", within_seconds=15)
        assert found["targets"][0]["readyInstanceCount"] == 1
    assert [each["state"] for each in await configurations(api, "iris")] == ["SUCCEEDED", "SUPERSEDED", "SUCCEEDED"]


async def is_replaced(data_dir: Path, pid: int) -> bool:
    found = pids(data_dir)
    return bool(found and pid not in found)


async def test_a_service_is_stopped_while_it_is_prepared(api: Api, pool: Pool) -> None:
    version = await import_version(api, package("return 1"))
    await running(api, "iris", target(version))
    await act(api, "stopService", "iris")
    await api.service_in("iris", "STOPPED")
    async with no_package_laid_out(pool):
        await act(api, "startService", "iris")
        await wait_for(partial(is_preparing, pool))
        await wait_for(partial(tells, api, "Environment and files are being prepared."))
        await act(api, "stopService", "iris")
        await api.service_in("iris", "STOPPED", within_seconds=15)
    await act(api, "startService", "iris")
    await api.service_in("iris", "RUNNING")
    await act(api, "deleteService", "iris")
    await wait_for(lambda: is_gone(api, "iris"))


async def tells(api: Api, message: str) -> bool:
    return bool((await api.service("iris"))["statusMessage"] == message)
