"""Operations and the queue: what is asked for is done, whatever becomes of the queue's own rows."""

from pathlib import Path

from db import operation
from db.connection import Pool
from resolvers.operation import requeue_lost
from server.settings import Placement
from tests.api import running_server
from tests.packages import mxnet_package, upload_job


async def test_an_operation_that_the_queue_lost_is_put_back_once(pool: Pool, database_url: str, data_dir: Path) -> None:
    async with running_server(pool, database_url, data_dir, worker=Placement.NONE) as server:
        api = server.client()
        version = await upload_job(api, mxnet_package())
        number = await api.import_version("iris", version, name="lost")
        await pool.execute("DELETE FROM pgqueuer")
        assert await requeue_lost(pool) == [], "a young one may still be on its way"
        await pool.execute("UPDATE operation SET created_at = now() - interval '2 minutes'")
        assert len(await requeue_lost(pool)) == 1
        assert await requeue_lost(pool) == []
        assert await api.count("pgqueuer") == 1
    async with running_server(pool, database_url, data_dir) as server:
        imported = await server.client().imported("lost", number)
    assert imported["status"] == "NORMAL", imported


async def test_an_attempt_that_was_given_back_does_not_count(pool: Pool, database_url: str, data_dir: Path) -> None:
    async with running_server(pool, database_url, data_dir, worker=Placement.NONE) as server:
        api = server.client()
        await api.import_version("iris", await upload_job(api, mxnet_package()))
    operation_id = await pool.fetchval("SELECT id FROM operation")
    for _ in range(3):
        claimed = await operation.claim(pool, operation_id)
        assert claimed is not None
        assert claimed["attempts"] == 1
        await operation.give_back(pool, operation_id)
