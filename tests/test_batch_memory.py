"""What batch runs hold in memory: large answers take turns, and long rows are neither collected nor read in one."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from db import batch_row, batch_run
from db.batch_row import NewRow
from db.connection import Pool
from engines.instance_client import MORE_SECONDS, SMALL_ANSWER_BYTES, InstanceClient, InstanceGone, InstanceRequest
from engines.instance_link import Link
from resolvers.batch_file import ByteBudget
from resolvers.batch_journal import FLUSH_LENGTH, BatchJournal
from tests.api import Api
from tests.batches import deploy, ended, own, put, row_version, wish
from tests.instance_process import Start, write_code

pytest_plugins = ["tests.instance_fixture"]

LARGE = """
from model_service.model_service import SingleNodeService

class Service(SingleNodeService):
    def inference(self, data):
        return "x" * data["length"]
"""


async def test_a_large_answer_waits_till_another_is_written_and_a_small_one_does_not(
    start: Start, package: Path
) -> None:
    write_code(package, LARGE)
    instance = start(engine="PYTORCH")
    link = Link("one", f"unix:{instance.socket_path}")
    client = InstanceClient(link, timeout_seconds=30, max_answer_bytes=2**20)
    large, small = [
        InstanceRequest("POST", "/", "application/json", b'{"length": %d}' % length)
        for length in (3 * SMALL_ANSWER_BYTES, 10)
    ]
    answers = ByteBudget(2**20)
    async with asyncio.timeout(60), answers.room(2**20) as first, answers.room(2**20) as second:
        answer = await client.ask(large, first)
        assert len(answer.body) > 3 * SMALL_ANSWER_BYTES
        asked = asyncio.create_task(client.ask(large, second))
        async with answers.room(2**20) as third:
            assert (await client.ask(small, third)).status == 200
        await asyncio.wait({asked}, timeout=1)
        assert not asked.done()
        await first.give_back()
        assert (await asked).body == answer.body
    link.close()


async def test_an_instance_is_not_held_to_the_time_in_which_we_wait_for_room(start: Start, package: Path) -> None:
    write_code(package, LARGE)
    instance = start(engine="PYTORCH")
    link = Link("one", f"unix:{instance.socket_path}")
    client = InstanceClient(link, timeout_seconds=2 - MORE_SECONDS, max_answer_bytes=2**20)
    request = InstanceRequest("POST", "/", "application/json", b'{"length": %d}' % (12 * SMALL_ANSWER_BYTES))
    answers = ByteBudget(1)
    async with asyncio.timeout(60), answers.room(1) as first, answers.room(1) as second:
        await first.take()
        asked = asyncio.create_task(client.ask(request, second))
        await asyncio.wait({asked}, timeout=3)
        assert not asked.done()
        await first.give_back()
        assert (await asked).status == 200
    link.close()


async def test_an_instance_that_stalls_once_there_is_room_is_given_up() -> None:
    is_over = asyncio.Event()

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n" + bytes(2 * SMALL_ANSWER_BYTES))
        await is_over.wait()
        writer.close()

    with TemporaryDirectory() as directory:
        server = await asyncio.start_unix_server(stall, f"{directory}/stalls")
        link = Link("one", f"unix:{directory}/stalls")
        client = InstanceClient(link, timeout_seconds=1 - MORE_SECONDS, max_answer_bytes=2**20)
        async with asyncio.timeout(30), server, ByteBudget(1).room(1) as room:
            with pytest.raises(InstanceGone, match="TimeoutError") as gone:
                await client.ask(InstanceRequest("POST", "/", "application/json", b"{}"), room)
            assert gone.value.may_have_begun
            is_over.set()
    link.close()


async def test_long_rows_are_stored_at_once_and_read_a_few_at_a_time(api: Api, pool: Pool, data_dir: Path) -> None:
    version = await row_version(api, "return data['name']")
    source = await own(pool, "tables")
    put(data_dir, source, {"a.csv": b"1,first\n"})
    rule = {"type": "object", "properties": {"name": {"type": "string", "index": 1}}}
    await deploy(api, "rows", wish(version, source, await own(pool, "answers"), mapping={"csv": {"rule": rule}}))
    found = await ended(api, "rows")
    assert found["status"] == "FINISHED", found
    run_id = await pool.fetchval("SELECT id FROM batch_run")
    run = await batch_run.find(pool, await pool.fetchval("SELECT workspace_id FROM batch_run"), run_id)
    assert run is not None
    journal = BatchJournal(pool, run)
    for number in (1, 2, 3):
        await journal.add_row(1, NewRow(number, "x" * (FLUSH_LENGTH * 2 // 3), is_failed=False))
    assert await api.count("batch_row") == 2
    await journal.flush()
    after, pages = 0, []
    while page := await batch_row.lines(
        pool, run["workspace_id"], run_id, 1, after=after, limit=500, limit_bytes=FLUSH_LENGTH
    ):
        after = page[-1]["number"]
        pages.append([row["number"] for row in page])
    assert pages == [[1, 2], [3]]
    assert (await batch_row.counts(pool, run["workspace_id"], run_id, 1))["longest_bytes"] == FLUSH_LENGTH * 2 // 3


async def test_rows_that_are_longer_than_what_is_held_come_to_their_result(
    api: Api, pool: Pool, data_dir: Path
) -> None:
    version = await row_version(api, "return data['name'] * 300_000")
    source, output = await own(pool, "tables"), await own(pool, "answers")
    put(data_dir, source, {"a.csv": b"".join(b"%d,%d\n" % (number, number) for number in range(10, 22))})
    rule = {"type": "object", "properties": {"name": {"type": "string", "index": 1}}}
    await deploy(api, "rows", wish(version, source, output, mapping={"csv": {"rule": rule}}, maxConcurrency=8))
    found = await ended(api, "rows")
    assert (found["status"], found["statusMessage"]) == ("FINISHED", None)
    result = (data_dir / "objects" / output / "a.csv_result.txt").read_text().splitlines()
    assert result == [f'"{str(number) * 300_000}"' for number in range(10, 22)]
