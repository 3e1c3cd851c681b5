"""What the agents of edge nodes speak with: `/edge/v1/sync`, the files of versions, and the agent's own file."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from uuid import UUID

from asyncpg import Record
from pydantic import ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from artifacts.object_store import StoreError
from resolvers import edge_sync
from resolvers.errors import UnknownToken
from resolvers.installation import Installation, Rules
from server.edge_agent_file import AgentFile
from server.edge_report import EdgeReport
from server.graphql_refusal import Refusal
from server.request_body import BoundedBody

AGENT_PATH = "/edge/agent.pyz"
LARGEST_REPORT_BYTES = 32 * 1024 * 1024
REPORT_SECONDS = 60.0

NodeEndpoint = Callable[[Request, Record], Awaitable[Response]]


class EdgeApi:
    """Each request carries a node's token, which says which node it is; but the agent's file is everybody's."""

    def __init__(self, installation: Installation, agent: AgentFile) -> None:
        self._installation = installation
        self._agent = agent

    def routes(self) -> list[Route]:
        return [
            Route(AGENT_PATH, self._give_agent, methods=["GET"]),
            Route("/edge/v1/sync", self._signed_in(self._sync), methods=["POST"]),
            Route("/edge/v1/versions/{version_id:uuid}/files", self._signed_in(self._files), methods=["GET"]),
        ]

    async def _give_agent(self, request: Request) -> Response:
        content = await asyncio.to_thread(self._agent.content)
        etag = f'"{self._agent.digest()}"'
        headers = {"etag": etag, "cache-control": "no-cache", "x-content-type-options": "nosniff"}
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        headers["content-disposition"] = 'attachment; filename="agent.pyz"'
        return Response(content, media_type="application/octet-stream", headers=headers)

    def _signed_in(self, endpoint: NodeEndpoint) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            try:
                node = await edge_sync.sign_in(self._installation.pool, token if scheme.lower() == "bearer" else None)
                return await endpoint(request, node)
            except UnknownToken as error:
                return _refused(401, "UNAUTHENTICATED", str(error), {"www-authenticate": "Bearer"})
            except ValidationError as error:
                return _refused(400, "BAD_REQUEST", _first_sentence(error))
            except Refusal as refusal:
                return _refused(refusal.status_code, refusal.code, str(refusal))
            except ClientDisconnect:
                return _refused(408, "REQUEST_TIMEOUT", "The body stopped coming.")
            except StoreError:
                return _refused(503, "STORE_UNAVAILABLE", "The object store cannot be used at the moment.")

        return answer

    async def _sync(self, request: Request, node: Record) -> Response:
        body = BoundedBody(
            request.scope, request.receive, limit_bytes=LARGEST_REPORT_BYTES, timeout_seconds=REPORT_SECONDS
        )
        report = EdgeReport.model_validate_json(await Request(request.scope, body).body())
        rows = await edge_sync.sync(self._installation, node, report.read())
        rules = self._installation.rules
        wanted = [_wanted(row, rules) for row in rows]
        return JSONResponse({"sync_seconds": rules.edge_sync_seconds, "node_name": node["name"], "deployments": wanted})

    async def _files(self, request: Request, node: Record) -> Response:
        version_id: UUID = request.path_params["version_id"]
        files = await edge_sync.files(self._installation, node, version_id)
        if files is None:
            return _refused(404, "NOT_FOUND", "This node is to run no such version.")
        return JSONResponse({"files": [asdict(file) for file in files]})


def _wanted(row: Record, rules: Rules) -> dict[str, object]:
    """What the node is to do about one service: edge/desired.py reads it."""
    packages = [dependency["package"] for dependency in row["dependencies"]]
    return {
        "service_id": str(row["service_id"]),
        "service_name": row["service_name"],
        "configuration_number": row["configuration_number"],
        "desired_state": row["desired_state"],
        "generation": row["generation"],
        "model_version_id": str(row["model_version_id"]),
        "model_name": row["model_name"],
        "version": row["version"],
        "ai_engine": row["ai_engine"],
        "model_path": row["model_path"],
        "runtime": row["runtime"],
        "requirements": list(row["requirements"] or ()),
        "wheels": [package for package in packages if package.endswith(".whl")],
        "apis": row["apis"],
        "environment": {variable["name"]: variable["value"] for variable in row["environment"]},
        "cpu_count": row["cpu_count"],
        "memory_bytes": row["memory_bytes"],
        "timeout_seconds": rules.prediction_timeout_seconds,
        "max_body_bytes": rules.prediction_max_body_bytes,
        "build_timeout_seconds": rules.build_timeout_seconds,
    }


def _refused(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"code": code, "message": message}, status, headers={**(headers or {}), "connection": "close"})


def _first_sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'The body'}: {first['msg']}."
