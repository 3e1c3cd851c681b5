"""A server's parts without a worker, and its application spoken to without a socket: for trouble of the read path."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from pydantic import SecretStr
from structlog.testing import capture_logs

from db.connection import Pool
from db.reading_pool import ReadingPool
from resolvers.workspace import create_token
from server.app import ApiParts, build_app
from server.process import assembled
from server.settings import Placement, Settings
from tests.api import TOKEN, Api, schema_of

END_READING_SESSIONS = """
SELECT bool_and(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'modelyard reading'
"""
STRICT = {"accept": "application/graphql-response+json"}


@dataclass(frozen=True, slots=True)
class Told:
    """An answer, and what the log says of it."""

    response: httpx.Response
    lines: list[Any]

    @property
    def code(self) -> str:
        """Of the one error."""
        (error,) = self.response.json()["errors"]
        return str(error["extensions"]["code"])

    @property
    def request_id(self) -> str:
        (error,) = self.response.json()["errors"]
        return str(error["extensions"].get("requestId"))


@dataclass(frozen=True, slots=True)
class ReadingApi:
    parts: ApiParts
    api: Api

    @property
    def pool(self) -> ReadingPool:
        return self.parts.installation.reading_pool

    async def tell(self, document: str, *, token: str = TOKEN) -> Told:
        """The answer in GraphQL's own media type, where status codes say most."""
        responses, lines = await self.tell_at_once(document, 1, token=token)
        return Told(responses[0], lines)

    async def tell_at_once(
        self, document: str, number: int, *, token: str = TOKEN
    ) -> tuple[list[httpx.Response], list[Any]]:
        """The answers to so many that ask the same, and the log's lines."""
        headers = {**STRICT, "authorization": f"Bearer {token}"}
        with capture_logs() as lines:
            responses = await asyncio.gather(
                *(self.api.http.post("/graphql", json={"query": document}, headers=headers) for _ in range(number))
            )
        return responses, list(lines)

    async def new_token(self) -> str:
        """Of somebody who was not let in yet."""
        return await create_token(self.parts.installation.pool, name="new", workspaces=["default"])


@asynccontextmanager
async def parts_of(database_url: str, data_dir: Path, **settings: object) -> AsyncIterator[ApiParts]:
    """What a server without a worker is made of."""
    values = {"token": SecretStr(TOKEN), "data_dir": data_dir, "database_url": SecretStr(database_url), **settings}
    made = Settings.model_validate({"worker": Placement.NONE, **values})
    async with assembled(made, schema_of(made)) as parts:
        yield parts


@asynccontextmanager
async def reading_api(database_url: str, data_dir: Path, **settings: object) -> AsyncIterator[ReadingApi]:
    """Signed in to the default workspace."""
    headers = {"authorization": f"Bearer {TOKEN}"}
    async with parts_of(database_url, data_dir, **settings) as parts:
        transport = httpx.ASGITransport(app=build_app(parts))
        async with httpx.AsyncClient(transport=transport, base_url="http://modelyard.test", headers=headers) as client:
            yield ReadingApi(parts, Api(client, parts.installation.pool))


@asynccontextmanager
async def locked(pool: Pool, table: str) -> AsyncIterator[None]:
    """Whoever reads the table waits until the block ends."""
    async with pool.acquire() as session, session.transaction():
        await session.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield


async def end_reading_sessions(pool: Pool | asyncpg.Connection) -> None:
    """Wait until Postgres has ended those of the database; whoever has them hears of it soon."""
    assert await pool.fetchval(END_READING_SESSIONS)


def end_reading_sessions_unheard(database_url: str) -> None:
    """The same, while the caller's event loop stands still and hears of nothing."""

    async def end() -> None:
        connection = await asyncpg.connect(database_url)
        await end_reading_sessions(connection)
        await connection.close()

    with ThreadPoolExecutor(max_workers=1) as beside:
        beside.submit(asyncio.run, end()).result()
