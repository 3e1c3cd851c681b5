"""A light load generator: POST requests over HTTP/1.1 connections that stay open, in a process of its own.

    python -m bench.load --bodies FILE --ports 8000,8001 --seconds 2

FILE holds a JSON list of bodies, sent in turn; connections are spread over the ports. Prints a Load as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import cast

import uvloop

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
ANSWER_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Load:
    """What the load generator saw in one round."""

    requests: int
    failures: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def rate(self) -> float:
        return self.requests / self.seconds

    @classmethod
    def of(cls, latencies: Sequence[float], *, failures: int, seconds: float) -> Load:
        """`latencies` in seconds, at least two."""
        cuts = quantiles(latencies, n=100)
        return cls(len(latencies), failures, seconds, cuts[49] * 1000, cuts[98] * 1000)


@dataclass(slots=True)
class Round:
    """What all connections of a round share."""

    requests: Iterator[bytes]
    until: float
    latencies: list[float] = field(default_factory=list)
    failures: int = 0


class KeptConnection(asyncio.Protocol):
    """Sends a request as soon as the one before is answered, until the round is over."""

    def __init__(self, of: Round) -> None:
        self._round = of
        self._received = b""
        self._sent_at = 0.0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's is one in all but its bases.
        self._transport = cast("asyncio.Transport", transport)

    def ask(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(next(self._round.requests))

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if not separator or (length is not None and len(body) < int(length[1])):
            return
        now = time.perf_counter()
        self._round.latencies.append(now - self._sent_at)
        self._round.failures += not head.startswith(b"HTTP/1.1 200") or b'"errors":' in body
        self._received = b""
        if now < self._round.until:
            self.ask()
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_exception(error) if error else self.ended.set_result(None)


def request(body: str, *, path: str, token: str) -> bytes:
    head = (
        f"POST {path} HTTP/1.1",
        "host: bench",
        "content-type: application/json",
        "accept: application/json",
        f"authorization: Bearer {token}",
        f"content-length: {len(body.encode())}",
    )
    return "\r\n".join((*head, "", body)).encode()


async def connect(place: int | str, measured: Round) -> KeptConnection:
    """To a port of this machine, or to a Unix socket's path."""
    loop = asyncio.get_running_loop()
    if isinstance(place, str):
        return (await loop.create_unix_connection(lambda: KeptConnection(measured), place))[1]
    return (await loop.create_connection(lambda: KeptConnection(measured), "127.0.0.1", place))[1]


async def run_load(requests: Sequence[bytes], *, ports: Sequence[int | str], seconds: float, concurrency: int) -> Load:
    measured = Round(itertools.cycle(requests), until=float("inf"))
    places = zip(itertools.cycle(ports), range(concurrency), strict=False)
    connections = [await connect(place, measured) for place, _ in places]
    started = time.perf_counter()
    measured.until = started + seconds
    for connection in connections:
        connection.ask()
    async with asyncio.timeout(seconds + ANSWER_SECONDS):
        await asyncio.gather(*(connection.ended for connection in connections))
    return Load.of(measured.latencies, failures=measured.failures, seconds=time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bodies", type=Path, required=True)
    parser.add_argument("--ports", required=True)
    parser.add_argument("--path", default="/graphql")
    parser.add_argument("--token", default="bench")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--concurrency", type=int, default=16)
    options = parser.parse_args()
    bodies: list[str] = json.loads(options.bodies.read_text())
    requests = [request(body, path=options.path, token=options.token) for body in bodies]
    ports = [int(port) for port in options.ports.split(",")]
    load = uvloop.run(run_load(requests, ports=ports, seconds=options.seconds, concurrency=options.concurrency))
    print(json.dumps(asdict(load)))


if __name__ == "__main__":
    main()
