"""An instance of a service, as the gateway meets it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import orjson
import uvicorn
from starlette.types import Receive, Scope, Send

MIB = 1 << 20


@dataclass
class Replica:
    """An instance whose behaviour goes by the path; `/` tells what arrived."""

    name: str
    calls: int = 0
    abandoned: int = 0
    bytes_received: int = 0
    go: asyncio.Event = field(default_factory=asyncio.Event)
    server: uvicorn.Server | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.calls += 1
        behaviours: dict[str, Callable[[Scope, Receive, Send], Awaitable[None]]] = {
            "/hold": self.hold, "/drip": self.drip, "/flood": self.flood, "/die-later": self.die_later,
            "/die-early": self.die_early, "/empty": self.empty, "/fail": self.fail, "/headers": self.headers,
            "/early": self.early, "/plain": self.plain, "/page": self.page,
            "/begin": self.begin,
        }  # fmt: skip
        await behaviours.get(scope["path"], self.tell)(scope, receive, send)

    async def tell(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b"".join([chunk async for chunk in self.chunks(receive)])
        told = {
            "name": self.name,
            "method": scope["method"],
            "target": scope["raw_path"].decode() + ("?" + scope["query_string"].decode()).rstrip("?"),
            "headers": [[name.decode(), value.decode()] for name, value in scope["headers"]],
            "body": body[:1000].decode(),
            "length": len(body),
        }
        await answer(send, 200, orjson.dumps(told))

    async def plain(self, scope: Scope, receive: Receive, send: Send) -> None:
        size = sum([len(chunk) async for chunk in self.chunks(receive)])
        await answer(send, 200, b"%d" % size)

    async def hold(self, scope: Scope, receive: Receive, send: Send) -> None:
        async for _ in self.chunks(receive):
            pass
        gone = asyncio.ensure_future(receive())
        released = asyncio.create_task(self.go.wait())
        await asyncio.wait({gone, released}, return_when=asyncio.FIRST_COMPLETED)
        self.abandoned += gone.done()
        gone.cancel()
        released.cancel()
        await answer(send, 200, orjson.dumps({"name": self.name}))

    async def drip(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"first,", "more_body": True})
        await self.go.wait()
        await send({"type": "http.response.body", "body": b"last"})

    async def flood(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(64):
            await send({"type": "http.response.body", "body": bytes(MIB), "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def die_later(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise SystemError("on purpose")

    async def die_early(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100")]})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise SystemError("on purpose")

    async def empty(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def fail(self, scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, 500, b'{"code":"PREDICTION_FAILED","message":"ValueError"}')

    async def early(self, scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, 404, b"not read")

    async def headers(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = [
            (b"content-length", b"2"), (b"x-kept", b"1"), (b"x-kept", b"2"), (b"set-cookie", b"a=b"),
            (b"keep-alive", b"timeout=9"), (b"connection", b"x-dropped"), (b"x-dropped", b"1"),
            (b"server", b"theirs"), (b"access-control-allow-origin", b"*"), (b"x-request-id", b"theirs"),
        ]  # fmt: skip
        await send({"type": "http.response.start", "status": 201, "headers": given})
        await send({"type": "http.response.body", "body": b"ok"})

    async def begin(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first,", "more_body": True})
        size = sum([len(chunk) async for chunk in self.chunks(receive)])
        await send({"type": "http.response.body", "body": b"%d" % size})

    async def page(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = [
            (b"content-length", b"2"), (b"content-type", b"text/html"), (b"inference-header-content-length", b"2"),
            (b"content-security-policy", b"default-src *"), (b"x-content-type-options", b"sniff"),
            (b"clear-site-data", b"*"), (b"service-worker-allowed", b"/"), (b"refresh", b"0; url=javascript:x"),
            (b"alt-svc", b'h2="evil:443"'), (b"strict-transport-security", b"max-age=9"), (b"x-accel-redirect", b"/x"),
            (b"location", b"javascript:x"), (b"www-authenticate", b"Basic"), (b"x-modelyard-mine", b"1"),
        ]  # fmt: skip
        await send({"type": "http.response.start", "status": 200, "headers": given})
        await send({"type": "http.response.body", "body": b"hi"})

    async def chunks(self, receive: Receive) -> AsyncIterator[bytes]:
        while (message := await receive())["type"] == "http.request":
            self.bytes_received += len(message["body"])
            yield message["body"]
            if not message["more_body"]:
                return
        self.abandoned += 1


async def answer(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
