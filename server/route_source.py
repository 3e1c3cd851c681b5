"""The routes to services and what their versions declare, as the rows say."""

from collections.abc import Sequence
from itertools import groupby
from uuid import UUID

from asyncpg import Record
from graphql import GraphQLError

from db import model_version, service
from db.connection import Pool
from db.listener import Subscription
from gql.identifier import Prefix, decode, encode
from server.declared_api import Api
from server.route import Instance, Route, Target
from server.service_policy import Policy


class StoredRoutes:
    """`heard` is told whenever something about services may have changed."""

    def __init__(self, pool: Pool, heard: Subscription) -> None:
        self._pool = pool
        self._heard = heard

    async def routes(self) -> Sequence[Route]:
        return _routes(await service.routes(self._pool))

    async def route(self, service_id: str) -> Route | None:
        try:
            key = decode(Prefix.SERVICE, service_id)
        except GraphQLError:
            return None
        found = _routes(await service.routes(self._pool, key))
        return found[0] if found else None

    async def changed(self) -> None:
        await self._heard.wait()
        self._heard.take()


class StoredApis:
    """What versions declare, as their rows say."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def apis_of(self, workspace_id: UUID, version_id: str) -> Sequence[Api]:
        row = await model_version.find(self._pool, workspace_id, decode(Prefix.MODEL_VERSION, version_id))
        return row["apis"] if row is not None else ()


def _routes(rows: Sequence[Record]) -> list[Route]:
    return [_route(key, list(group)) for key, group in groupby(rows, key=lambda row: row["id"])]


def _route(key: UUID, rows: Sequence[Record]) -> Route:
    targets = groupby(rows, key=lambda row: (row["model_version_id"], row["version"], row["weight"]))
    return Route(
        service_id=encode(Prefix.SERVICE, key),
        workspace_id=rows[0]["workspace_id"],
        status=rows[0]["status"],
        targets=tuple(_target(*version, list(group)) for version, group in targets),
        name=rows[0]["name"],
        policy=_policy(rows[0]),
    )


def _policy(row: Record) -> Policy:
    return Policy(
        is_public=row["access"] == "PUBLIC",
        max_body_bytes=row["max_body_bytes"],
        timeout_seconds=row["timeout_seconds"],
        requests_per_second=row["requests_per_second"],
        request_burst=row["request_burst"],
        checks_inputs=row["checks_inputs"],
    )


def _target(version_id: UUID, version: str, weight: int, rows: Sequence[Record]) -> Target:
    ready = [row for row in rows if row["instance_id"] is not None and row["address"] is not None]
    instances = tuple(Instance(str(row["instance_id"]), row["address"]) for row in ready)
    return Target(encode(Prefix.MODEL_VERSION, version_id), version, weight, instances)
