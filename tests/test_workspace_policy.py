"""What imports do with what scans find: a workspace's own choice, else the installation's."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from db.connection import Pool
from server.settings import ScanChoice
from tests.api import Api, RunningServer, running_server
from tests.packages import files_of, foreign_pickle, import_package, mxnet_package, shell_pickle

POLICY = "scanPolicy { suspicious unknown notScanned }"
DEFAULT = {"suspicious": "BLOCK", "unknown": "WARN", "notScanned": "WARN"}


async def workspace(api: Api) -> Any:
    return (await api.ask(f"{{ modelyard {{ workspace {{ revision {POLICY} }} }} }}"))["modelyard"]["workspace"]


async def updated(api: Api, **fields: Any) -> Any:
    payload = await api.mutate("updateWorkspace", f"workspace {{ name revision {POLICY} }}", **fields)
    assert payload["errors"] == [], payload
    return payload["workspace"]


async def test_the_installations_policy_holds_until_a_workspace_chooses(api: Api) -> None:
    assert await workspace(api) == {"revision": 1, "scanPolicy": DEFAULT}

    changed = await updated(api, scanPolicy={"suspicious": "WARN", "unknown": "BLOCK"}, expectedRevision=1)

    assert changed["scanPolicy"] == {"suspicious": "WARN", "unknown": "BLOCK", "notScanned": "WARN"}
    assert changed["revision"] == 2
    assert (await workspace(api))["scanPolicy"] == changed["scanPolicy"]
    recorded = await api.pool.fetchval("SELECT data FROM event WHERE kind = 'WORKSPACE_UPDATED'")
    assert recorded == {"scanPolicy": {"suspicious": "WARN", "unknown": "BLOCK", "notScanned": None}}


async def test_what_is_left_out_stays_and_null_goes_back_to_the_installations(api: Api) -> None:
    await updated(api, scanPolicy={"suspicious": "ALLOW", "notScanned": "BLOCK"})
    changed = await updated(api, scanPolicy={"suspicious": None, "unknown": "ALLOW"})
    assert changed["scanPolicy"] == {"suspicious": "BLOCK", "unknown": "ALLOW", "notScanned": "BLOCK"}


async def test_what_changes_nothing_is_no_change(api: Api) -> None:
    await updated(api, scanPolicy={"suspicious": "WARN"})
    nothing: list[dict[str, Any]] = [{}, {"scanPolicy": {}}, {"scanPolicy": {"suspicious": "WARN"}}]
    for fields in nothing:
        assert (await updated(api, **fields))["revision"] == 2
    assert await api.count("event WHERE kind = 'WORKSPACE_UPDATED'") == 1


async def test_an_outdated_revision_changes_nothing(api: Api) -> None:
    await updated(api, scanPolicy={"unknown": "BLOCK"})
    before = (await workspace(api), await api.counts())
    (error,) = await api.refused("updateWorkspace", scanPolicy={"unknown": "ALLOW"}, expectedRevision=1)
    assert (error["code"], error["path"]) == ("CONFLICT", ["expectedRevision"])
    assert (error["expectedRevision"], error["actualRevision"]) == (1, 2)
    assert (await workspace(api), await api.counts()) == before


async def test_a_repeated_change_is_made_once(api: Api) -> None:
    fields = {"scanPolicy": {"unknown": "BLOCK"}, "expectedRevision": 1, "idempotencyKey": "once"}
    assert (await updated(api, **fields))["revision"] == 2
    assert (await updated(api, **fields))["revision"] == 2
    (error,) = await api.refused("updateWorkspace", scanPolicy={"unknown": "ALLOW"}, idempotencyKey="once")
    assert error["code"] == "IDEMPOTENCY_KEY_REUSED"
    assert (await workspace(api))["scanPolicy"]["unknown"] == "BLOCK"


async def test_a_choice_is_one_workspaces_alone(server: RunningServer, api: Api) -> None:
    other = await server.client_of_new_workspace("other")
    await updated(api, scanPolicy={"suspicious": "ALLOW", "unknown": "ALLOW", "notScanned": "ALLOW"})
    assert await workspace(other) == {"revision": 1, "scanPolicy": DEFAULT}


@pytest.mark.parametrize(("choice", "status", "warned"), [("WARN", "NORMAL", True), ("ALLOW", "NORMAL", False)])
async def test_a_workspace_may_let_suspicious_pickles_through(api: Api, choice: str, status: str, warned: bool) -> None:
    await updated(api, scanPolicy={"suspicious": choice})
    imported = await import_package(api, {**mxnet_package(), "model/labels.pkl": shell_pickle()})
    assert imported["status"] == status, imported
    assert ("UNSAFE_PICKLE" in codes(imported["warnings"])) == warned
    assert {file["scan"] for file in await files_of(api, "0.0.1")} == {"CLEAN", "SUSPICIOUS"}


async def test_a_workspace_may_refuse_what_is_usually_let_through(api: Api) -> None:
    await updated(api, scanPolicy={"unknown": "BLOCK", "notScanned": "BLOCK"})
    files = {"model/forest.pkl": foreign_pickle(), "model/cut.pkl": b"\x80\x04\x95\xff\xff"}
    failed = await import_package(api, {**mxnet_package(), **files})
    assert failed["status"] == "IMPORT_FAILED"
    assert {(problem["code"], problem["file"]) for problem in failed["problems"]} == {
        ("UNKNOWN_PICKLE", "forest.pkl"),
        ("NOT_SCANNED", "cut.pkl"),
    }


@pytest.fixture
async def strict(pool: Pool, database_url: str, data_dir: Path) -> AsyncIterator[Api]:
    """A client of a server whose operator lets nothing through."""
    settings = {"unknown_pickles": ScanChoice.BLOCK, "unscanned_files": ScanChoice.BLOCK}
    async with running_server(pool, database_url, data_dir, **settings) as running:
        yield running.client()


async def test_the_operators_settings_are_the_default_and_a_workspace_may_be_laxer(strict: Api) -> None:
    assert (await workspace(strict))["scanPolicy"] == {"suspicious": "BLOCK", "unknown": "BLOCK", "notScanned": "BLOCK"}
    package = {**mxnet_package(), "model/forest.pkl": foreign_pickle()}
    failed = await import_package(strict, package)
    assert codes(failed["problems"]) == ["UNKNOWN_PICKLE"]
    await updated(strict, scanPolicy={"unknown": "ALLOW"})
    imported = await import_package(strict, package)
    assert imported["status"] == "NORMAL"
    assert "UNKNOWN_PICKLE" not in codes(imported["warnings"])


def codes(problems: list[dict[str, Any]]) -> list[str]:
    return [problem["code"] for problem in problems]
