"""More than the server can do at once: a bounded number is answered, the rest is refused soon, and it goes on."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from db.connection import Pool
from server.admission import WAIT_SECONDS, Admission, Overloaded
from tests.api import RunningServer, running_server
from tests.deadline import eventually
from tests.reading_api import locked
from tests.stand_in import StandIn

JOBS = {"query": "{ trainingJobs { nodes { name } } }"}
RECORD = {
    "query": """mutation { recordTrainingJobVersion(input: {
        trainingJobName: "iris", algorithm: {framework: {aiEngine: SCIKIT_LEARN}} }) { errors { code } } }"""
}
WAITING_FOR_A_LOCK = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'relation'"
)


@pytest.fixture
async def small(pool: Pool, database_url: str, data_dir: Path) -> AsyncIterator[RunningServer]:
    """A server that answers two operations at once, while one more waits."""
    async with running_server(pool, database_url, data_dir, max_running_queries=2, max_waiting_queries=1) as server:
        yield server


def refused(responses: list[httpx.Response]) -> list[httpx.Response]:
    return [response for response in responses if response.status_code == 503]


async def test_the_surplus_is_refused_soon_and_the_rest_is_answered(small: RunningServer, pool: Pool) -> None:
    http = small.client().http
    async with asyncio.TaskGroup() as tasks, locked(pool, "training_job"):
        asked = [tasks.create_task(http.post("/graphql", json=JOBS)) for _ in range(12)]
        await eventually(lambda: sum(task.done() for task in asked) == 10)
        assert await pool.fetchval(WAITING_FOR_A_LOCK) == 2
        early = [task.result() for task in asked if task.done()]
    answers = [task.result() for task in asked]
    assert len(refused(early)) == len(refused(answers)) == 10
    assert sorted(answer.elapsed.total_seconds() for answer in early)[8] < WAIT_SECONDS
    assert [answer.json()["data"] for answer in answers if answer.status_code == 200] == [
        {"trainingJobs": {"nodes": []}}
    ] * 2


async def test_a_refusal_says_what_to_do(small: RunningServer, pool: Pool) -> None:
    http = small.client().http
    async with asyncio.TaskGroup() as tasks, locked(pool, "training_job"):
        asked = [tasks.create_task(http.post("/graphql", json=JOBS)) for _ in range(5)]
        await eventually(lambda: sum(task.done() for task in asked) == 3)
        (answer, *_) = refused([task.result() for task in asked if task.done()])
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["cache-control"] == "no-store"
    assert set(answer.json()) == {"errors"}
    (error,) = answer.json()["errors"]
    assert error["extensions"] == {"code": "OVERLOADED", "requestId": answer.headers["x-request-id"]}


async def test_what_is_refused_is_not_executed_and_afterwards_it_is(small: RunningServer, pool: Pool) -> None:
    api = small.client()
    async with asyncio.TaskGroup() as tasks, locked(pool, "model"):
        holders = [tasks.create_task(api.ask("{ models { nodes { name } } }")) for _ in range(2)]
        await both_wait(pool)
        answer = await api.http.post("/graphql", json=RECORD)
        assert answer.json()["errors"][0]["extensions"]["code"] == "OVERLOADED"
        assert await api.count("training_job") == 0
    assert [holder.result() for holder in holders] == [{"models": {"nodes": []}}] * 2
    answer = await api.http.post("/graphql", json=RECORD)
    assert answer.json() == {
        "data": {"recordTrainingJobVersion": {"errors": []}},
        "extensions": answer.json()["extensions"],
    }
    assert await api.count("training_job") == 1


async def both_wait(pool: Pool) -> None:
    async with asyncio.timeout(30):
        while await pool.fetchval(WAITING_FOR_A_LOCK) < 2:
            await asyncio.sleep(0.02)


async def test_pages_and_refusals_of_a_method_go_on(small: RunningServer, pool: Pool) -> None:
    http = small.client().http
    async with asyncio.TaskGroup() as tasks, locked(pool, "training_job"):
        for _ in range(2):
            tasks.create_task(http.post("/graphql", json=JOBS))
        await both_wait(pool)
        for _ in range(3):
            assert (await http.put("/graphql")).status_code == 405
            assert (await http.get("/healthz")).status_code == 200


async def test_a_body_that_is_slow_takes_nobodys_place() -> None:
    goes_on = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield b'{"query":'
        await goes_on.wait()
        yield b'"{ echo }"}'

    headers = {"content-type": "application/json"}
    async with StandIn(running=1, waiting=0).client() as client, asyncio.TaskGroup() as tasks:
        slow = tasks.create_task(client.post("/graphql", content=slowly(), headers=headers))
        await asyncio.sleep(0)
        for _ in range(5):
            assert (await client.post("/graphql", json={"query": "{ echo }"})).status_code == 200
        goes_on.set()
    assert slow.result().json()["data"] == {"echo": "hello"}


async def work(admission: Admission, goes_on: asyncio.Event) -> str:
    async with admission:
        await goes_on.wait()
        return "done"


async def test_those_who_wait_come_in_order_and_those_beyond_are_refused_at_once() -> None:
    admission, goes_on = Admission(running=2, waiting=3, wait_seconds=30), asyncio.Event()
    asked = [asyncio.create_task(work(admission, goes_on)) for _ in range(7)]
    await eventually(lambda: sum(task.done() for task in asked) == 2)
    goes_on.set()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert answers[:5] == ["done"] * 5
    assert all(isinstance(answer, Overloaded) for answer in answers[5:])


async def test_the_wait_has_an_end() -> None:
    admission, goes_on = Admission(running=1, waiting=1, wait_seconds=0.05), asyncio.Event()
    first = asyncio.create_task(work(admission, goes_on))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await work(admission, goes_on)
    goes_on.set()
    assert await first == "done"


@pytest.mark.parametrize("is_freed_first", [False, True])
async def test_who_stops_waiting_leaves_no_place_taken(is_freed_first: bool) -> None:
    admission, goes_on = Admission(running=1, waiting=5, wait_seconds=30), asyncio.Event()
    holder = asyncio.create_task(work(admission, goes_on))
    for _ in range(20):
        waiters = [asyncio.create_task(work(admission, goes_on)) for _ in range(5)]
        await asyncio.sleep(0)
        assert not any(waiter.done() for waiter in waiters)
        if is_freed_first:
            goes_on.set()
            await holder
        for waiter in waiters:
            waiter.cancel()
        await asyncio.wait(waiters)
        if is_freed_first:
            goes_on.clear()
            holder = asyncio.create_task(work(admission, goes_on))
            await asyncio.sleep(0)
    goes_on.set()
    assert await holder == "done"
    assert await work(admission, goes_on) == "done"


async def test_a_failure_at_work_gives_the_place_back() -> None:
    admission = Admission(running=1, waiting=0)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            async with admission:
                raise ZeroDivisionError
