"""Operations on large data: what each of them sends to the database, and how that is planned."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson
from asyncpg.connection import LoggedQuery
from pydantic import SecretStr

from db import reading
from db.pool import connection, create_pool
from db.reading_pool import ReadingPool
from gql.context import Context
from gql.limits import Limits
from gql.schema import Schema
from resolvers.caller import Caller, Workspace
from resolvers.workspace import create_workspace
from server.build import installation
from server.database import database_pool, reading_pool
from server.settings import Settings
from tests.api import shared_schema
from tests.large_data import MANY, SOME, analyze, fill_workspace, workspace_id
from tests.large_data_sql import ONE_MODEL, ONE_MODEL_VERSIONS
from tests.query_plan import QueryPlan

LARGE, SMALL = "large", "small"
VERSIONS_OF_ONE_MODEL = 200_000
# Of kinds of which large data has nothing.
FURTHER = (
    """INSERT INTO upload (workspace_id, training_job_version_id, expires_at, created_by)
    SELECT workspace_id, id, now(), 'ci' FROM training_job_version WHERE workspace_id = $1 LIMIT 20000""",
    """INSERT INTO upload_file (workspace_id, upload_id, number, path, size_bytes)
    SELECT workspace_id, id, number, 'file-' || number, number
    FROM upload, generate_series(0, 2) AS number WHERE workspace_id = $1""",
    """INSERT INTO environment_build (workspace_id, model_version_id, digest, runtime, requirements)
    SELECT workspace_id, id, 'digest', 'python3.11', '{}' FROM model_version WHERE workspace_id = $1 LIMIT 20000""",
    """INSERT INTO service_instance (workspace_id, service_id, service_target_id, number, state)
    SELECT target.workspace_id, service_id, target.id, 10 * target.position + position_, 'EXITED'
    FROM service_target AS target
    JOIN service_configuration AS configuration ON configuration.id = service_configuration_id,
        generate_series(1, 10) AS position_
    WHERE target.workspace_id = $1""",
    """INSERT INTO service_log_line (workspace_id, service_id, number, service_instance_id, text)
    SELECT workspace_id, service_id, 100 * number + line, id, 'line ' || line
    FROM service_instance, generate_series(1, 10) AS line WHERE workspace_id = $1 AND number = 1
    ON CONFLICT DO NOTHING""",
    """INSERT INTO edge_node (workspace_id, name, token_sha256, status, created_by)
    SELECT $1, 'node-' || number, sha256(convert_to('node-' || number, 'UTF8')),
        CASE WHEN number % 50 = 0 THEN 'UNCONNECTED' ELSE 'RUNNING' END, 'ci'
    FROM generate_series(1, 2000) AS number""",
    """UPDATE service
    SET deployment_type = CASE substr(name, 9)::integer % 8 WHEN 3 THEN 'BATCH' ELSE 'EDGE' END
    WHERE workspace_id = $1 AND substr(name, 9)::integer % 8 IN (3, 5)""",
    """INSERT INTO batch_configuration (service_configuration_id, workspace_id, service_id, input_kind, input_store,
        input_key, output_store, output_key, api_url, api_method, api_content_type, mapping_kind, mapping_parameter,
        max_concurrency)
    SELECT configuration.id, $1, service.id, 'PREFIX', 'default', 'questions', 'default', service.name, '/', 'POST',
        'application/json', 'FILE', 'file', 4
    FROM service JOIN service_configuration AS configuration ON service_id = service.id
    WHERE service.workspace_id = $1 AND deployment_type = 'BATCH'""",
    """INSERT INTO batch_run (workspace_id, service_id, number, service_configuration_id, state, input_count,
        succeeded_count, is_reported, finished_at)
    SELECT $1, service_id, run, service_configuration_id, 'FINISHED', 20, 20, true, now()
    FROM batch_configuration, generate_series(1, 20) AS run WHERE workspace_id = $1""",
    # The newest have the most.
    """INSERT INTO batch_input (workspace_id, batch_run_id, number, store, key, size_bytes, etag, state, result_store,
        result_key, finished_at)
    SELECT $1, id, input, 'default', 'questions/' || input, input, 'etag', 'SUCCEEDED', 'default', 'answers/' || input,
        now()
    FROM batch_run, generate_series(1, CASE number WHEN 20 THEN 500 ELSE 20 END) AS input WHERE workspace_id = $1""",
    """INSERT INTO edge_service_node (workspace_id, service_configuration_id, edge_node_id)
    SELECT $1, configuration.id, node.id
    FROM service
    JOIN service_configuration AS configuration ON service_id = service.id
    JOIN edge_node AS node ON node.workspace_id = $1 AND hashtext(node.name || service.name) % 40 = 0
    WHERE service.workspace_id = $1 AND deployment_type = 'EDGE'""",
    """INSERT INTO edge_deployment (workspace_id, service_id, edge_node_id, state)
    SELECT $1, service_id, edge_node_id, 'RUNNING'
    FROM edge_service_node JOIN service_configuration AS configuration ON configuration.id = service_configuration_id
    WHERE edge_service_node.workspace_id = $1""",
    """INSERT INTO model (workspace_id, name, created_by, deleted_at, deleted_by)
    SELECT $1, 'deleted-' || number, 'ci', now(), 'ci' FROM generate_series(1, 200) AS number""",
    """INSERT INTO market_listing (workspace_id, model_id, model_version_id, publisher, model_name, version_number,
        version, labels, ai_engine, deployment_types, published_by)
    SELECT workspace_id, model_id, id, 'large', model_name, version_number, version, labels, ai_engine,
        deployment_types, 'ci'
    FROM model_version WHERE workspace_id = $1 AND status = 'NORMAL' AND deleted_at IS NULL LIMIT 2000""",
    """INSERT INTO market_subscription (workspace_id, market_listing_id, model_id, model_version_id, publisher,
        published_model_name, version, subscribed_by)
    SELECT workspace_id, id, model_id, model_version_id, publisher, model_name, version, 'ci'
    FROM market_listing WHERE workspace_id = $1""",
)


@dataclass(frozen=True, slots=True)
class PlanStage:
    """One session that reads, and all that is sent on it; `large` and `small` are workspaces of one database."""

    schema: Schema
    pool: ReadingPool
    large: Context
    small: Context
    sent: list[LoggedQuery] = field(default_factory=list)

    async def answer(
        self, document: str, variables: Mapping[str, Any], context: Context | None = None
    ) -> tuple[Any, LoggedQuery]:
        """The data, and the one statement that it took."""
        await asyncio.sleep(0)
        self.sent.clear()
        result = await self.schema.execute(
            document, variable_values=dict(variables), context_value=context or self.large
        )
        # The session tells its loggers in the event loop's next round.
        await asyncio.sleep(0)
        assert not result.errors, (result.errors, document, variables)
        assert len(self.sent) == 1, ([each.query[:200] for each in self.sent], document)
        return orjson.loads(orjson.dumps(result.data)), self.sent[0]

    async def plan(self, document: str, variables: Mapping[str, Any], context: Context | None = None) -> QueryPlan:
        """How the statement of an operation is planned where it is prepared for all values."""
        _, statement = await self.answer(document, variables, context)
        workspace, *values = statement.args
        (explained,) = await reading.explain(self.pool, reading.Statement(statement.query, ()), workspace, values)
        return QueryPlan(explained["Plan"])


@asynccontextmanager
async def open_plan_stage(database_url: str, data_dir: Path) -> AsyncIterator[PlanStage]:
    settings = Settings(
        token=SecretStr("unused"), data_dir=data_dir, database_url=SecretStr(database_url), reading_pool_size=1
    )
    async with (
        database_pool(settings, database_url) as pool,
        reading_pool(settings, database_url) as readers,
        installation(settings, pool, readers, dies_with_server=False) as made,
    ):
        rows = await pool.fetch("SELECT id, name, created_at FROM workspace")
        workspaces = {row["name"]: Workspace(row["id"], row["name"], row["created_at"]) for row in rows}

        def context(name: str) -> Context:
            caller = Caller("token", workspaces[name], (workspaces[name],))
            return Context(made, caller, _Unasked(), "http://modelyard.test/v1/infers", Limits())

        stage = PlanStage(shared_schema(Limits()), readers, context(LARGE), context(SMALL))
        async with readers.acquire() as session:
            session.add_query_logger(stage.sent.append)
        yield stage


class _Unasked:
    async def predict(self, *_given: object) -> Any:
        raise AssertionError("no query predicts")


async def fill(database_url: str) -> None:
    """A large workspace, in which one model has most of the versions, and a small one. About a minute."""
    async with await create_pool(database_url, size=1) as pool:
        for name in (LARGE, SMALL):
            await create_workspace(pool, name=name)
    async with connection(database_url, command_timeout_seconds=None) as filling:
        large, small = [await workspace_id(filling, name) for name in (LARGE, SMALL)]
        await fill_workspace(filling, large, MANY)
        await fill_workspace(filling, small, replace(SOME, events=SOME.versions))
        await filling.execute(ONE_MODEL, large, "one-model", VERSIONS_OF_ONE_MODEL)
        await filling.execute(ONE_MODEL_VERSIONS, large, "one-model", VERSIONS_OF_ONE_MODEL, MANY.versions)
        for statement in FURTHER:
            await filling.execute(statement, large)
        await analyze(filling)
