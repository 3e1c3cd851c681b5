"""Computed fields whose function fails: what is told of them, with plans and without, and all that is beside them."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from artifacts.blob import BlobStore
from artifacts.store_url import S3Location
from db.connection import Pool
from gql.limits import Limits
from resolvers.installation import DEFAULT_STORE
from tests.object_stores import UNREACHABLE_URL, opened, s3_store
from tests.reading_stage import Answer, Case, Stage, executors, open_stage

S3_LOCATION = {"bucket": "models", "prefix": "objects/", "endpoint": UNREACHABLE_URL, "region": "us-east-1"}
FILES = "id version deployableAs files(first: 3) { totalCount nodes { path sha256 %s } }"
FAILED_URLS = f"{{ modelVersions(first: 5) {{ nodes {{ {FILES % 'url'} }} }} models {{ nodes {{ name }} }} }}"
WITHOUT_URLS = f"{{ modelVersions(first: 5) {{ nodes {{ {FILES % ''} }} }} models {{ nodes {{ name }} }} }}"
ALIASED_URLS = f"{{ modelVersions(first: 5) {{ nodes {{ {FILES % 'a: url b: url'} }} }} }}"
BESIDE_GRAPHQL_CORE = f"{{ modelyard {{ version }} modelVersions(first: 2) {{ nodes {{ {FILES % 'url'} }} }} }}"
# No null may be there: the object above it is null, and the next one that may be.
PARTS = "{ models { nodes { name } } uploads { nodes { id files { path parts { number url } } } } }"
NODES = "query ($ids: [ID!]!) { nodes(ids: $ids) { id ... on Upload { files { path parts { url } } } } }"


@pytest.fixture
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing from which AWS' client could take any."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "absent"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@asynccontextmanager
async def unsigning(stage: Stage) -> AsyncIterator[Stage]:
    """The stage with a store that cannot sign an address, as it has no credentials."""
    async with opened(s3_store(S3Location(**S3_LOCATION))) as store:
        installation = replace(stage.installation, stores={DEFAULT_STORE: store}, blobs=BlobStore(store))
        yield replace(stage, installation=installation)


async def answered_alike(stage: Stage, document: str, **variables: Any) -> Answer:
    """The one answer of both executors."""
    case = Case(document, variables)
    planned, alone = [await executor.answer(case, stage.ours) for executor in executors(stage, Limits())]
    assert planned.agrees(alone)
    return planned


def paths(answer: Answer) -> list[list[str | int]]:
    return sorted((path for _, path, _, _ in json.loads(answer.errors)), key=str)


def without(data: Any, *keys: str) -> Any:
    """The data without members of these names, which must be null."""
    if isinstance(data, list):
        return [without(item, *keys) for item in data]
    if isinstance(data, dict):
        assert all(data[key] is None for key in keys if key in data)
        return {key: without(value, *keys) for key, value in data.items() if key not in keys}
    return data


async def test_a_field_that_cannot_be_computed_fails_alone(
    pool: Pool, database_url: str, data_dir: Path, no_credentials: None
) -> None:
    async with open_stage(pool, database_url, data_dir) as whole, unsigning(whole) as stage:
        failed = await answered_alike(stage, FAILED_URLS)
        expected = await answered_alike(stage, WITHOUT_URLS)
        assert expected.errors == "[]"
        assert without(json.loads(failed.data or ""), "url") == json.loads(expected.data or "")
        files = [node["files"]["nodes"] for node in json.loads(failed.data or "")["modelVersions"]["nodes"]]
        assert paths(failed) == [
            ["modelVersions", "nodes", version, "files", "nodes", file, "url"]
            for version, found in enumerate(files)
            for file in range(len(found))
        ]
        assert len(paths(failed)) > 1
        codes = {code for *_, code in json.loads(failed.errors)}
        assert len(codes) == 1
        aliased = await answered_alike(stage, ALIASED_URLS)
        assert len(paths(aliased)) == 2 * len(paths(failed))
        beside = await answered_alike(stage, BESIDE_GRAPHQL_CORE)
        assert json.loads(beside.data or "")["modelyard"]["version"]


async def test_where_it_may_not_be_null_the_object_above_is(
    pool: Pool, database_url: str, data_dir: Path, no_credentials: None
) -> None:
    async with open_stage(pool, database_url, data_dir) as whole, unsigning(whole) as stage:
        uploads = [identifier for identifier in all_ids(stage) if identifier.startswith("upl_")]
        for document, variables in ((PARTS, {}), (NODES, {"ids": uploads})):
            answer = await answered_alike(stage, document, **variables)
            assert answer.errors != "[]"
            assert all(path[-1] == "parts" for path in paths(answer))
        nodes = json.loads(answer.data or "")["nodes"]
        failed = {path[1] for path in paths(answer)}
        assert [position for position, node in enumerate(nodes) if node is None] == sorted(failed)
        assert len(failed) < len(uploads), "an upload that is completed has no parts to be signed"


async def test_it_is_computed_again_once_it_can_be(
    pool: Pool, database_url: str, data_dir: Path, no_credentials: None
) -> None:
    async with open_stage(pool, database_url, data_dir) as whole:
        async with unsigning(whole) as stage:
            assert (await answered_alike(stage, FAILED_URLS)).errors != "[]"
        assert (await answered_alike(whole, FAILED_URLS)).errors == "[]"


def all_ids(stage: Stage) -> list[str]:
    return [identifier for identifiers in stage.ours.ids.values() for identifier in identifiers]
