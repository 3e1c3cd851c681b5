"""What gateways counted: in memory, and in the database."""

import asyncio
from collections.abc import Sequence
from uuid import UUID, uuid4

from db import prediction_minute
from db.connection import Pool
from gql.identifier import Prefix, encode
from resolvers.latency import LATENCY_BUCKETS_SECONDS
from server.prediction_minute import MOST_ROWS, MinuteKey, MinuteTallies, Tally, UnderWay
from server.prediction_minute_store import StoredMinutes
from tests.deadline import eventually

OURS = UUID(int=1)
SERVICE, VERSION = uuid4(), uuid4()
SERVICE_ID, VERSION_ID = encode(Prefix.SERVICE, SERVICE), encode(Prefix.MODEL_VERSION, VERSION)


class Store:
    """Adds up what it is given, unless it is away."""

    def __init__(self) -> None:
        self.added: dict[MinuteKey, Tally] = {}
        self.is_away = False
        self.writes = 0

    async def add(self, tallies: Sequence[tuple[MinuteKey, Tally]]) -> None:
        self.writes += 1
        if self.is_away:
            raise ConnectionRefusedError("no database")
        for key, tally in tallies:
            self.added.setdefault(key, Tally()).add(tally)

    async def show(self, under_way: Sequence[UnderWay]) -> None:
        return


def count(tallies: MinuteTallies, *, service_id: str = SERVICE_ID, seconds: float = 0.003, fails: bool = False) -> None:
    tallies.call(OURS, service_id, VERSION_ID, seconds=seconds, is_failure=fails, in_flight=1)


def test_each_bucket_has_its_place_in_the_database() -> None:
    assert len(LATENCY_BUCKETS_SECONDS) + 1 == prediction_minute.BUCKETS


async def test_nothing_is_lost_while_the_store_is_away() -> None:
    store, now = Store(), 6000.0
    tallies = MinuteTallies(store, clock=lambda: now)
    for _ in range(3):
        count(tallies)
        tallies.refusal(OURS, SERVICE_ID)
        store.is_away = True
        await tallies.flush()
        assert not store.added
    now += 60
    count(tallies, fails=True)
    store.is_away = False
    await tallies.flush()
    await tallies.flush()
    first, second = (store.added[MinuteKey(OURS, SERVICE_ID, VERSION_ID, minute)] for minute in (100, 101))
    assert (first.calls, first.failures, sum(first.latency_counts), first.latency_counts[2]) == (3, 0, 3, 3)
    assert (second.calls, second.failures) == (1, 1)
    assert store.added[MinuteKey(OURS, SERVICE_ID, None, 100)].refusals == 3
    assert len(store.added) == 3


async def test_what_is_counted_while_it_is_written_is_kept() -> None:
    entered, go = asyncio.Event(), asyncio.Event()

    class SlowStore(Store):
        async def add(self, tallies: Sequence[tuple[MinuteKey, Tally]]) -> None:
            entered.set()
            await go.wait()
            await super().add(tallies)

    store = SlowStore()
    tallies = MinuteTallies(store, clock=lambda: 6000.0)
    count(tallies)
    for is_away in (True, False):
        entered.clear()
        go.clear()
        store.is_away = is_away
        writing = asyncio.create_task(tallies.flush())
        await entered.wait()
        count(tallies)
        go.set()
        await writing
    await tallies.flush()
    assert [tally.calls for tally in store.added.values()] == [3]


async def test_memory_is_bounded_and_the_newest_stay() -> None:
    store = Store()
    store.is_away = True
    tallies = MinuteTallies(store, clock=lambda: 6000.0)
    for number in range(MOST_ROWS + 10):
        count(tallies, service_id=f"svc_{number}")
    await tallies.flush()
    store.is_away = False
    await tallies.close()
    assert len(store.added) == MOST_ROWS
    assert f"svc_{MOST_ROWS + 9}" in {key.service_id for key in store.added}


async def test_a_store_that_hangs_holds_nobody_up() -> None:
    class HangingStore(Store):
        async def add(self, tallies: Sequence[tuple[MinuteKey, Tally]]) -> None:
            await asyncio.Event().wait()

    tallies = MinuteTallies(HangingStore(), clock=lambda: 6000.0)
    count(tallies)
    await asyncio.wait_for(tallies.close(), 10)


async def test_gateways_add_to_one_another(pool: Pool) -> None:
    gateways = [MinuteTallies(StoredMinutes(pool), clock=lambda: 6000.0) for _ in range(2)]
    for number, tallies in enumerate(gateways):
        for seconds in (0.0005, 0.003, 99.0):
            count(tallies, seconds=seconds, fails=number == 0)
        tallies.refusal(OURS, SERVICE_ID)
    await asyncio.gather(*(tallies.flush() for tallies in gateways))
    rows = await pool.fetch("SELECT * FROM prediction_minute ORDER BY model_version_id NULLS FIRST")
    assert [row["model_version_id"] for row in rows] == [None, VERSION]
    assert [(row["call_count"], row["failure_count"], row["refusal_count"]) for row in rows] == [(0, 0, 2), (6, 3, 0)]
    assert rows[1]["latency_counts"] == [2, 0, 2, *[0] * 12, 2]
    assert rows[1]["minute"].timestamp() == 6000
    assert abs(rows[1]["latency_seconds_sum"] - 2 * 99.0035) < 1e-6


async def test_many_gateways_at_once_wait_for_no_cycle(pool: Pool) -> None:
    services = [encode(Prefix.SERVICE, uuid4()) for _ in range(50)]
    gateways = [MinuteTallies(StoredMinutes(pool), clock=lambda: 6000.0) for _ in range(5)]
    for number, tallies in enumerate(gateways):
        for service_id in services[::-1] if number % 2 else services:
            count(tallies, service_id=service_id)
    await asyncio.gather(*(tallies.flush() for tallies in gateways))
    assert await pool.fetchval("SELECT sum(call_count) FROM prediction_minute") == 250
    assert await pool.fetchval("SELECT count(*) FROM prediction_minute") == 50


async def test_what_is_under_way_is_shown_until_it_has_ended(pool: Pool) -> None:
    stores = [StoredMinutes(pool) for _ in range(2)]
    for store in stores:
        await store.show([UnderWay(OURS, SERVICE_ID, VERSION_ID, 2)])
    assert await prediction_minute.in_flight(pool, OURS, SERVICE) == {VERSION: 4}
    await stores[0].show([])
    assert await prediction_minute.in_flight(pool, OURS, SERVICE) == {VERSION: 2}
    await pool.execute("UPDATE prediction_in_flight SET seen_at = now() - interval '1 hour'")
    assert await prediction_minute.in_flight(pool, OURS, SERVICE) == {}


async def test_old_minutes_are_forgotten(pool: Pool) -> None:
    tallies = MinuteTallies(StoredMinutes(pool))
    count(tallies)
    await tallies.flush()
    await pool.execute(
        "INSERT INTO prediction_minute SELECT workspace_id, service_id, minute - make_interval(days => given),"
        " model_version_id, 1, 0, 0, 0, latency_counts, 0 FROM prediction_minute, generate_series(31, 35) AS given"
    )
    deleted = [await prediction_minute.delete_old(pool, days=30, limit=3) for _ in range(3)]
    assert deleted == [3, 2, 0]
    assert await pool.fetchval("SELECT count(*) FROM prediction_minute") == 1


async def test_the_store_is_written_to_every_few_seconds() -> None:
    store = Store()
    tallies = MinuteTallies(store)
    count(tallies)
    following = asyncio.create_task(tallies.follow(list))
    await eventually(lambda: store.added)
    following.cancel()
