"""The ceiling: a server of its own that passes the bytes of one hand-written statement a page, without a sign-in.

python -m bench.reading_ceiling --database-url URL --workspace ID --port 8001 --connections 4
"""

from __future__ import annotations

import argparse
import gc
from functools import partial
from uuid import UUID

import asyncpg
import orjson
import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench.reading_pages import PAGES, VERSIONS_OF_ONE_MODEL, Page
from db.connection import Connection, Pool
from server.listener import open_listener
from server.process import configuration

HOST = "127.0.0.1"


async def answer(request: Request, *, page: Page, pool: Pool, workspace: UUID) -> Response:
    key = page.key(orjson.loads(await request.body())["variables"])
    return Response(await pool.fetchval(page.statement, workspace, *key), media_type="application/json")


async def trivial(request: Request) -> Response:
    orjson.loads(await request.body())
    return Response(b'{"data":{"__typename":"Query"}}', media_type="application/json")


async def ready(_request: Request) -> Response:
    return Response(b"{}", media_type="application/json")


async def serve(database_url: str, workspace: UUID, *, port: int, connections: int) -> None:
    pool = await asyncpg.create_pool(
        database_url,
        min_size=connections,
        max_size=connections,
        reset=_reset_nothing,
        server_settings={"timezone": "UTC", "jit": "off", "plan_cache_mode": "force_generic_plan"},
    )
    async with pool:
        pages = {**PAGES, "versions": VERSIONS_OF_ONE_MODEL}
        routes = [
            Route(f"/{name}", partial(answer, page=page, pool=pool, workspace=workspace), methods=["POST"])
            for name, page in pages.items()
        ]
        routes += [Route("/trivial", trivial, methods=["POST"]), Route("/readyz", ready)]
        gc.collect()
        gc.freeze()
        await uvicorn.Server(configuration(Starlette(routes=routes))).serve(sockets=[open_listener(HOST, port)])


async def _reset_nothing(connection: Connection) -> None:
    """No statement here leaves anything behind."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database-url", required=True)
    parser.add_argument("--workspace", type=UUID, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, required=True)
    options = parser.parse_args()
    uvloop.run(serve(options.database_url, options.workspace, port=options.port, connections=options.connections))


if __name__ == "__main__":
    main()
