"""The whole server in the test's own process, on a database and a data directory of its own, spoken to by HTTP."""

import asyncio
import contextlib
import itertools
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from pydantic import SecretStr

from db.connection import Pool
from gql.limits import Limits
from gql.schema import Schema, build_schema
from resolvers.workspace import create_token, create_workspace
from server.app import limits_of
from server.listener import open_listener
from server.process import configuration, running
from server.settings import Settings
from tests.plain_http import NO_TLS

TOKEN = "the-token-of-the-tests"
ERRORS = """errors {
  __typename code message path hint
  ... on AlreadyExistsError { nextVersion }
  ... on ConflictError { expectedRevision actualRevision }
  ... on AliasMovedError { expectedVersion actualVersion }
  ... on UnsupportedByEngineError { engine field }
  ... on InUseError { users { kind name id version } }
}"""
IMPORT_ENDED = frozenset({"NORMAL", "IMPORT_FAILED", "BUILD_FAILED"})


@dataclass(frozen=True, slots=True)
class Api:
    """A client of one token, in one workspace where the token is good for several."""

    http: httpx.AsyncClient
    pool: Pool

    async def send(self, document: str, **variables: Any) -> dict[str, Any]:
        """The whole answer to an operation."""
        response = await self.http.post("/graphql", json={"query": document, "variables": variables})
        answer: dict[str, Any] = response.json()
        return answer

    async def ask(self, document: str, **variables: Any) -> Any:
        """The data of an operation that must have no top-level error."""
        answer = await self.send(document, **variables)
        assert "errors" not in answer, answer
        return answer["data"]

    async def mutate(self, name: str, selection: str, /, **fields: Any) -> Any:
        """The payload of one mutation: `selection` and all errors. `fields` make its input."""
        kind = name[0].upper() + name[1:]
        document = f"mutation ($input: {kind}Input!) {{ {name}(input: $input) {{ {selection} {ERRORS} }} }}"
        return (await self.ask(document, input=fields))[name]

    async def refused(self, name: str, /, **fields: Any) -> list[dict[str, Any]]:
        """The errors of a mutation that must be refused."""
        payload = await self.mutate(name, "__typename", **fields)
        assert payload["errors"], payload
        errors: list[dict[str, Any]] = payload["errors"]
        return errors

    async def count(self, table: str) -> int:
        """How many rows a table has, in all workspaces."""
        number: int = await self.pool.fetchval(f"SELECT count(*) FROM {table}")
        return number

    async def counts(self) -> dict[str, int]:
        """How many rows there are of everything that a mutation can store."""
        tables = (
            "training_job",
            "training_job_version",
            "upload",
            "model",
            "model_version",
            "model_alias",
            "market_listing",
            "market_subscription",
            "service",
            "operation",
            "event",
            "idempotency_key",
        )
        # An entry of an operation that has just ended is on its way out of the queue.
        sources = {table: table for table in tables} | {"queued": "pgqueuer WHERE status = 'queued'"}
        columns = ", ".join(f"(SELECT count(*) FROM {source}) AS {name}" for name, source in sources.items())
        (counted,) = await self.pool.fetch(f"SELECT {columns}")
        return dict(counted)

    async def record_job(self, name: str = "iris", /, **fields: Any) -> str:
        """The name of a new version of a training job, COMPLETED with scikit-learn unless told otherwise."""
        fields.setdefault("algorithm", {"framework": {"aiEngine": "SCIKIT_LEARN"}})
        payload = await self.mutate(
            "recordTrainingJobVersion", "trainingJobVersion { name }", trainingJobName=name, **fields
        )
        assert payload["errors"] == [], payload
        version: str = payload["trainingJobVersion"]["name"]
        return version

    async def upload(self, name: str, version: str, files: Mapping[str, bytes]) -> None:
        """Put files below a version's output location, as a client does."""
        announced = [{"path": path, "sizeBytes": len(data)} for path, data in files.items()]
        selection = "upload { id files { path parts { offsetBytes sizeBytes url } } }"
        payload = await self.mutate(
            "createUpload", selection, trainingJobName=name, versionName=version, files=announced
        )
        assert payload["errors"] == [], payload
        for file in payload["upload"]["files"]:
            for part in file["parts"]:
                data = files[file["path"]][part["offsetBytes"] : part["offsetBytes"] + part["sizeBytes"]]
                async with httpx.AsyncClient(verify=NO_TLS) as storage:
                    response = await storage.put(part["url"], content=data)
                assert response.status_code == 200, response.text
        completed = await self.mutate("completeUpload", "upload { completedAt }", uploadId=payload["upload"]["id"])
        assert completed["errors"] == [], completed

    async def import_version(self, job: str, job_version: str, /, **fields: Any) -> str:
        """Ask for an import, which must be accepted: the number of the new version of the model `fields["name"]`."""
        fields.setdefault("name", job)
        source = {"trainingJob": {"trainingJobName": job, "versionName": job_version}}
        payload = await self.mutate("importModel", "modelVersion { version status }", source=source, **fields)
        assert payload["errors"] == [], payload
        version: str = payload["modelVersion"]["version"]
        return version

    async def version(self, model: str, version: str, selection: str) -> Any:
        document = f"query ($by: ModelVersionBy!) {{ modelVersion(by: $by) {{ {selection} }} }}"
        data = await self.ask(document, by={"name": {"modelName": model, "version": version}})
        return data["modelVersion"]

    async def imported(self, model: str, version: str, *, within_seconds: float = 180) -> Any:
        """The version once its import has ended, with what tests look at."""
        selection = """status digest sizeBytes aiEngine algorithm requestedRuntime runtime revision
            deploymentTypes deployableAs warnings { code message }
            problems { code message hint ... on PackageProblem { file pointer expected actual } }
            operation { state stage attempts error { code } }"""

        async def look() -> Any:
            found = await self.version(model, version, selection)
            return found if found["status"] in IMPORT_ENDED else None

        return await wait_for(look, within_seconds=within_seconds)

    async def service(self, name: str, selection: str = "") -> Any:
        document = f"""query ($name: String!) {{ service(by: {{name: $name}}) {{
            id name status statusMessage desiredState revision operation {{ kind state stage error {{ code message }} }}
            ... on RealTimeService {{ predictionUrl targets {{ weight instanceCount readyInstanceCount
                instances {{ state reason attempts nextAttemptAt }} }} }} {selection} }} }}"""
        return (await self.ask(document, name=name))["service"]

    async def service_in(self, name: str, *statuses: str, within_seconds: float = 90) -> Any:
        """The service once it is in one of these states."""

        async def look() -> Any:
            found = await self.service(name)
            return found if found["status"] in statuses else None

        return await wait_for(look, within_seconds=within_seconds)


async def wait_for(look: Callable[[], Awaitable[Any]], *, within_seconds: float = 30) -> Any:
    """What `look` finds, once it finds something; fails where it does not in time."""
    deadline = time.monotonic() + within_seconds
    pause = 0.02
    while not (found := await look()):
        assert time.monotonic() < deadline, f"not within {within_seconds:.0f} s"
        await asyncio.sleep(pause)
        pause = min(0.1, 1.5 * pause)
    return found


@dataclass(frozen=True, slots=True)
class RunningServer:
    url: str
    settings: Settings
    pool: Pool
    clients: list[httpx.AsyncClient]

    def client(self, token: str = TOKEN, workspace: str | None = None) -> Api:
        """A client, closed when the server ends."""
        headers = {"authorization": f"Bearer {token}"} | ({"x-workspace": workspace} if workspace else {})
        client = httpx.AsyncClient(base_url=self.url, headers=headers, timeout=60, verify=NO_TLS)
        self.clients.append(client)
        return Api(client, self.pool)

    async def client_of_new_workspace(self, name: str) -> Api:
        """A client whose token is good for a new workspace only."""
        await create_workspace(self.pool, name=name)
        return self.client(await create_token(self.pool, name=f"{name}-token", workspaces=[name]))


class QuietServer(uvicorn.Server):
    """Leaves the test runner's signal handlers alone, and ends at once where nobody is connected."""

    async def main_loop(self) -> None:
        for tick in itertools.count():
            if await self.on_tick(tick):
                return
            await asyncio.sleep(0.01)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self.server_state.connections or self.server_state.tasks:
            await super().shutdown(sockets)
        else:
            for server in self.servers:
                server.close()
            for listening in sockets or []:
                listening.close()

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def schema_of(settings: Settings) -> Schema:
    """The schema of a server. tests/test_mapping.py checks that a migrated database has what it reads."""
    return shared_schema(limits_of(settings), settings.plans)


@lru_cache(maxsize=8)
def shared_schema(limits: Limits, plans: bool = True) -> Schema:
    """Built once for all tests of a process: to build it takes longer than most tests do."""
    return build_schema(limits, plans=plans)


@asynccontextmanager
async def running_server(
    pool: Pool, database_url: str, data_dir: Path, **settings: Any
) -> AsyncIterator[RunningServer]:
    """A server with everything embedded but Postgres; `settings` replace its settings."""
    values: dict[str, Any] = {
        "token": SecretStr(TOKEN),
        "data_dir": data_dir,
        "port": free_port(),
        "database_url": SecretStr(database_url),
        "database_pool_size": 6,
        **settings,
    }
    made = Settings(**values)
    async with running(made, schema_of(made)) as app:
        server = QuietServer(configuration(app))
        serving = asyncio.create_task(server.serve(sockets=[open_listener(made.host, made.port)]))
        started = RunningServer(f"http://127.0.0.1:{made.port}", made, pool, [])
        try:
            yield started
        finally:
            for client in started.clients:
                await client.aclose()
            server.should_exit = True
            await serving


def config(**changes: Any) -> bytes:
    """A config.json of a scikit-learn package; a change to None leaves the key out."""
    schema = {"type": "object", "properties": {"data": {"type": "object"}}}
    side = {"Content-type": "application/json", "data": schema}
    values: dict[str, Any] = {
        "model_type": "Scikit_Learn",
        "model_algorithm": "predict_analysis",
        "apis": [{"url": "/", "method": "post", "request": side, "response": side}],
        **changes,
    }
    return json.dumps({key: value for key, value in values.items() if value is not None}).encode()
