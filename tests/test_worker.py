"""Workers: every kind of operation that is queued has one, and many small ones are soon done."""

import asyncio
from pathlib import Path

from db.connection import Pool
from resolvers.operation import QUEUED_KINDS
from resolvers.worker import WORK
from server.settings import Placement
from tests.api import Api, running_server, wait_for
from tests.packages import MXNET, mxnet_package, upload_job
from tests.test_model_source import copying_held_at, is_held

UNDER_WAY = "SELECT count(*) FROM operation WHERE state IN ('QUEUED', 'RUNNING')"


def test_every_kind_that_is_queued_is_worked_on() -> None:
    assert set(WORK) == set(QUEUED_KINDS)


async def ask_for_imports(api: Api, count: int) -> None:
    source = await upload_job(api, mxnet_package(), algorithm=MXNET)
    gate = asyncio.Semaphore(8)

    async def ask(number: int) -> None:
        async with gate:
            await api.import_version("iris", source, name=f"model-{number}")

    await asyncio.gather(*(ask(number) for number in range(count)))


async def none_under_way(pool: Pool) -> bool:
    return not await pool.fetchval(UNDER_WAY)


async def test_many_imports_at_once_are_all_done_and_a_worker_keeps_to_its_number(
    pool: Pool, database_url: str, data_dir: Path
) -> None:
    async with running_server(pool, database_url, data_dir, worker=Placement.NONE) as server:
        await ask_for_imports(server.client(), 40)
    most = 0

    async def done() -> bool:
        nonlocal most
        most = max(most, await pool.fetchval("SELECT count(*) FROM pgqueuer WHERE status = 'picked'"))
        return await none_under_way(pool)

    async with running_server(pool, database_url, data_dir, worker_operations=3):
        await wait_for(done, within_seconds=120)
    assert 1 < most <= 3
    assert await pool.fetchval("SELECT count(*) FROM model_version WHERE status = 'NORMAL'") == 40
    assert await pool.fetchval("SELECT max(attempts) FROM operation") == 1


async def test_a_clean_up_does_not_wait_for_an_import(api: Api, pool: Pool) -> None:
    package = mxnet_package()
    source = await upload_job(api, package, algorithm=MXNET)
    async with copying_held_at(pool, package["model/config.json"]):
        version = await api.import_version("iris", source)
        await wait_for(lambda: is_held(pool))
        await api.mutate("cleanUp", "operation { id }")
        done = "SELECT true FROM operation WHERE kind = 'CLEAN_UP' AND state = 'SUCCEEDED'"
        await wait_for(lambda: pool.fetchval(done))
        assert await is_held(pool)
    assert (await api.imported("iris", version))["status"] == "NORMAL"
