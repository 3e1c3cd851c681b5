"""Every SQL statement that is written down in db/: Postgres can prepare it, and it stays in its workspace.

What db/reading/ composes is prepared where the mapping is checked.
"""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from asyncpg import PostgresError

import db
from db.connection import Pool

FOLDER = Path(db.__file__).parent
MODULES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")
STATEMENT = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH|CREATE)\b")
SENDING = frozenset({"execute", "executemany", "fetch", "fetchrow", "fetchval", "prepare", "cursor"})
TABLE = re.compile(r"\b(?:FROM|JOIN|UPDATE|INTO)\s+([a-z_]+)")
# One workspace's rows: read and changed by the first parameter, inserted with it.
OWNED = re.compile(r"workspace_id = \$1|\(\s*workspace_id\b")
# What is not a constant of its module: the text of a migration, a sign of life, and what db/reading/ hands on.
MADE_UP = {
    "reading_pool": {"text"},
    "migrate": {"migration.sql"},
    "listener": {"'SELECT 1'"},
}
# What the server itself asks, for no caller: each finds rows of all workspaces by an id that only it knows, or all.
INSTALLATION_WIDE = {
    "auto_stop.DUE",
    "auto_stop.SECONDS_TO_NEXT",
    "clean_up.DUE",
    "clean_up.ENVIRONMENTS",
    "clean_up.IS_PACKAGE_NEEDED",
    "clean_up.VERSIONS_WITHOUT_BUILD",
    # The node that has a token, and who is silent.
    "edge_node.FIND_BY_TOKEN",
    "edge_node.SILENT_WORKSPACES",
    # Of a listing in force, whichever workspace shows it.
    "market_listing.DOUBTFUL_FILES",
    "market_listing.HOLD",
    "operation.CLAIM",
    "operation.GIVE_BACK",
    "operation.LOST",
    "prediction_minute.DELETE_OLD",
    "prediction_minute.DELETE_SILENT",
    "prediction_minute.HIDE_IN_FLIGHT",
    "placement.KEPT_OF_SHARED",
    "placement.TAKEN_OF_SHARED",
    "resource_pool.SETTLE",
    "service.RECONCILED",
    "service.RECONCILED_OF",
    "service.ROUTES",
    "service.UNSETTLED",
    "service.LAID_OUT_VERSIONS",
    "service_instance.FIND",
    "service_instance.SERVICES_OF",
    "service_log.DELETE_OLD_ANYWHERE",
    "stored_blob.DELETE_UNUSED",
    "training_job.UNSEEN_OUTPUTS",
    "upload.EXPIRED_ANYWHERE",
}


def module(name: str) -> ModuleType:
    return importlib.import_module(f"db.{name}")


def statements() -> Iterator[tuple[str, str]]:
    """Every statement by the name of its constant."""
    for name in MODULES:
        for constant, value in vars(module(name)).items():
            if constant.isupper() and isinstance(value, str) and STATEMENT.match(value):
                yield f"{name}.{constant}", value


STATEMENTS = dict(statements())


def sent(name: str) -> Iterator[ast.expr]:
    """What a module's calls of a connection send."""
    for node in ast.walk(ast.parse((FOLDER / f"{name}.py").read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in SENDING:
            yield node.args[0]


async def test_postgres_can_prepare_every_statement(pool: Pool) -> None:
    refused = {}
    async with pool.acquire() as connection:
        for name, text in STATEMENTS.items():
            try:
                await connection.prepare(text)
            except PostgresError as error:
                refused[name] = str(error)
    assert not refused


@pytest.mark.parametrize("name", MODULES)
def test_what_is_sent_is_a_statement_that_is_prepared_here(name: str) -> None:
    for argument in sent(name):
        text = ast.unparse(argument)
        assert f"{name}.{text}" in STATEMENTS or text in MADE_UP.get(name, ()), text


def test_there_is_something_to_prepare() -> None:
    assert len(STATEMENTS) > 80


async def tables_of_workspaces(pool: Pool) -> set[str]:
    rows = await pool.fetch("SELECT table_name FROM information_schema.columns WHERE column_name = 'workspace_id'")
    return {row["table_name"] for row in rows}


async def test_a_statement_on_what_belongs_to_a_workspace_names_the_workspace(pool: Pool) -> None:
    owned = await tables_of_workspaces(pool) - {"api_token_workspace"}
    wide = {
        name
        for name, text in STATEMENTS.items()
        if owned.intersection(TABLE.findall(text)) and OWNED.search(text) is None
    }
    assert wide == INSTALLATION_WIDE


def test_what_reads_rows_of_another_workspace_goes_by_a_listing_in_force() -> None:
    crossing = {
        name
        for name, text in STATEMENTS.items()
        if re.search(r"\b(?:FROM|JOIN) market_listing\b", text) and "listing.id = $" in text
    }
    assert crossing == {
        "market_listing.DOUBTFUL_FILES",
        "market_listing.HOLD",
        "market_subscription.COPY_FILES",
        "market_subscription.COPY_VERSION",
    }
    for name in crossing:
        assert "listing.withdrawn_at IS NULL" in STATEMENTS[name], name
        assert " = listing.model_version_id" in STATEMENTS[name], name
