"""Keeps what one gateway counted in the database."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

from db import prediction_minute
from db.connection import Pool
from gql.identifier import Prefix, decode
from server.prediction_minute import MinuteKey, Tally, UnderWay


class StoredMinutes:
    """Several gateways may have counted in one minute: each adds its own."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._gateway_id = uuid4()
        self._has_shown = False

    async def add(self, tallies: Sequence[tuple[MinuteKey, Tally]]) -> None:
        await prediction_minute.add(self._pool, [_row(key, tally) for key, tally in tallies])

    async def show(self, under_way: Sequence[UnderWay]) -> None:
        if not under_way and not self._has_shown:
            return
        shown = [
            prediction_minute.InFlight(
                one.workspace_id,
                decode(Prefix.SERVICE, one.service_id),
                decode(Prefix.MODEL_VERSION, one.version_id),
                one.in_flight,
            )
            for one in under_way
        ]
        await prediction_minute.show_in_flight(self._pool, self._gateway_id, shown)
        self._has_shown = bool(shown)


def _row(key: MinuteKey, tally: Tally) -> prediction_minute.Minute:
    return prediction_minute.Minute(
        key.workspace_id,
        decode(Prefix.SERVICE, key.service_id),
        key.started_at,
        decode(Prefix.MODEL_VERSION, key.version_id) if key.version_id is not None else None,
        tally.calls,
        tally.failures,
        tally.refusals,
        tally.seconds,
        tally.latency_counts,
        tally.most_in_flight,
    )
