"""Batch services in tests: models to ask, places to read and write, and what came of a run."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from db.connection import Pool
from tests.api import Api, wait_for
from tests.services import import_version, package

FILE_SCHEMA = {"type": "object", "properties": {"file": {"type": "file"}}}
ROW_SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}, "size": {"type": "number"}}}
RULE: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string", "index": 1}, "size": {"type": "number", "index": 0}},
}
RUN = """number state inputCount succeededCount failedCount progress startedAt finishedAt
    error { code message hint }"""
INPUTS = """inputs(first: 100) { nodes { number location { store key } sizeBytes state
    result { store key } rowCount failedRowCount error { code message } finishedAt } }"""
SERVICE = f"""query ($name: String!) {{ service(by: {{name: $name}}) {{
    id name status statusMessage progress desiredState revision
    operation {{ kind state stage progress error {{ code message }} }}
    ... on BatchService {{
        target {{ instanceCount readyInstanceCount modelVersion {{ version }} instances {{ state reason attempts }} }}
        input {{ kind location {{ store key }} }} output {{ store key }}
        mapping {{ kind apiPath parameter rule maxConcurrency }}
        run {{ {RUN} {INPUTS} }} runs(first: 10) {{ nodes {{ {RUN} }} }} }} }} }}"""
ENDED = ("FINISHED", "FAILED")


def apis(schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One API that takes what a schema says."""
    side = {"Content-type": "application/json", "data": schema}
    answer = {"Content-type": "application/json", "data": {"type": "object", "properties": {}}}
    return [{"url": "/", "method": "post", "request": side, "response": answer}]


async def file_version(api: Api, inference: str, /, *, before: str = "", **fields: Any) -> str:
    """A version whose code gets the JSON of one file."""
    return await import_version(api, package(inference, before=before, apis=apis(FILE_SCHEMA)), **fields)


async def row_version(api: Api, inference: str, /, *, before: str = "", **fields: Any) -> str:
    """A version whose code gets the JSON of one row."""
    return await import_version(api, package(inference, before=before, apis=apis(ROW_SCHEMA)), **fields)


async def own(pool: Pool, key: str) -> str:
    """A key below the default workspace's own prefix."""
    workspace_id = await pool.fetchval("SELECT id FROM workspace WHERE name = 'default'")
    return f"workspaces/{workspace_id}/{key}"


def put(data_dir: Path, key: str, files: Mapping[str, bytes]) -> None:
    """What somebody left in the default store, by means of his own."""
    for path, data in files.items():
        file = data_dir / "objects" / key / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)


def written(data_dir: Path, key: str) -> dict[str, bytes]:
    """What lies below a key, by its path there."""
    folder = data_dir / "objects" / key
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def wish(version: str, source: str, output: str, **fields: Any) -> dict[str, Any]:
    """The fields of deployBatchService but for its name."""
    target = {"modelVersion": {"modelName": "iris", "version": version}, **fields.pop("target", {})}
    return {
        "target": target,
        "input": {"key": source, **fields.pop("input", {})},
        "output": {"key": output},
        "mapping": {"file": {}},
        **fields,
    }


async def deploy(api: Api, name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    payload = await api.mutate(
        "deployBatchService", "service { id name status revision } warnings { message }", name=name, **fields
    )
    assert payload["errors"] == [], payload
    made: dict[str, Any] = payload
    return made


async def service(api: Api, name: str) -> Any:
    return (await api.ask(SERVICE, name=name))["service"]


async def service_in(api: Api, name: str, *statuses: str, within_seconds: float = 90) -> Any:
    async def look() -> Any:
        found = await service(api, name)
        return found if found["status"] in statuses else None

    return await wait_for(look, within_seconds=within_seconds)


async def ended(api: Api, name: str, *, within_seconds: float = 90) -> Any:
    """The service once its run has ended and it says so."""
    return await service_in(api, name, *ENDED, within_seconds=within_seconds)


def lines(data: bytes) -> list[Any]:
    return [json.loads(line) for line in data.decode().splitlines()]
