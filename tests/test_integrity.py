"""Verifying a version: what is stored of it is read again; what became of its source is told beside it."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from artifacts.blob import blob_key
from artifacts.object_store import ObjectStore
from db.connection import Pool
from server.settings import Placement
from tests.api import Api, running_server, wait_for
from tests.object_stores import chunks, folder_store, keys, opened, s3_location, s3_server, s3_store
from tests.packages import (
    event_kinds,
    files_of,
    foreign_pickle,
    import_package,
    mxnet_package,
    shell_pickle,
)
from tests.services import ECHO, act, deploy, import_version, package, running, running_again, target

NAME = {"modelName": "iris", "version": "0.0.1"}
ASKED = "modelVersion { version } operation { id kind state }"
INTEGRITY = """integrity { state checkedAt fileCount sizeBytes problems { code message file expected actual hint }
    source { state changedFiles } } operation { kind state error { code } }"""
PARAMETERS = "resnet-0000.params"


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    with s3_server() as url:
        yield url


@pytest.fixture(params=["folder", "s3"])
async def yard(
    request: pytest.FixtureRequest, pool: Pool, database_url: str, data_dir: Path
) -> AsyncIterator[tuple[Api, ObjectStore]]:
    """A server, and the store that it keeps everything in."""
    if request.param == "folder":
        async with (
            running_server(pool, database_url, data_dir) as running,
            opened(folder_store(data_dir / "objects")) as store,
        ):
            yield running.client(), store
        return
    location = s3_location(request.getfixturevalue("s3_url"))
    url = SecretStr(f"s3://{location.bucket}/objects?endpoint={location.endpoint}&region=us-east-1")
    async with (
        running_server(pool, database_url, data_dir, object_store_url=url) as running,
        opened(s3_store(location)) as store,
    ):
        yield running.client(), store


async def verified(api: Api) -> Any:
    """What a verification of the version found."""
    payload = await api.mutate("verifyModelVersion", ASKED, modelVersion=NAME)
    assert (payload["errors"], payload["modelVersion"]) == ([], {"version": "0.0.1"})
    assert payload["operation"]["kind"] == "VERIFY_MODEL_VERSION"
    return await ended(api)


async def ended(api: Api) -> Any:
    async def look() -> Any:
        shown = await api.version("iris", "0.0.1", INTEGRITY)
        return shown if shown["operation"]["state"] in ("SUCCEEDED", "FAILED") else None

    return await wait_for(look)


async def damaged(store: ObjectStore, sha256: str) -> str:
    """Flip a bit of a stored blob: its SHA-256 from then on."""
    data = bytearray(b"".join([chunk async for chunk in store.read(blob_key(sha256))]))
    data[0] ^= 1
    await store.put(blob_key(sha256), chunks(bytes(data)))
    return hashlib.sha256(data).hexdigest()


async def sha256_of(api: Api, path: str) -> str:
    digests = {file["path"]: str(file["sha256"]) for file in await files_of(api, "0.0.1")}
    return digests[path]


async def test_an_intact_version_is_found_intact(yard: tuple[Api, ObjectStore]) -> None:
    api, _ = yard
    imported = await import_package(api, {**mxnet_package(), "model/large.bin": bytes(5 << 20)})
    assert (await api.version("iris", "0.0.1", INTEGRITY))["integrity"] is None
    shown = await verified(api)
    report = shown["integrity"]
    assert report.pop("checkedAt").endswith("Z")
    assert report == {
        "state": "INTACT",
        "fileCount": 4,
        "sizeBytes": imported["sizeBytes"],
        "problems": [],
        "source": {"state": "UNCHANGED", "changedFiles": []},
    }
    assert shown["operation"] == {"kind": "VERIFY_MODEL_VERSION", "state": "SUCCEEDED", "error": None}
    assert (await event_kinds(api, "0.0.1"))[-1] == "VERIFIED"
    after = await api.version("iris", "0.0.1", "status revision")
    assert after == {"status": "NORMAL", "revision": imported["revision"]}


async def test_a_damaged_file_and_one_that_is_gone_are_told_with_both_digests(yard: tuple[Api, ObjectStore]) -> None:
    api, store = yard
    imported = await import_package(
        api, {**mxnet_package(), "model/gone.txt": b"gone", "model/gone/again.txt": b"gone"}
    )
    assert imported["status"] == "NORMAL", imported
    expected, gone = await sha256_of(api, PARAMETERS), await sha256_of(api, "gone.txt")
    actual = await damaged(store, expected)
    await store.delete(blob_key(gone))
    report = (await verified(api))["integrity"]
    assert (report["state"], report["source"]["state"]) == ("DRIFTED", "UNCHANGED")
    told = [(each["code"], each["file"], each["expected"], each["actual"]) for each in report["problems"]]
    assert told == [
        ("ARTIFACT_DRIFT", "gone.txt", gone, None),
        ("ARTIFACT_DRIFT", "gone/again.txt", gone, None),
        ("ARTIFACT_DRIFT", PARAMETERS, expected, actual),
    ]
    assert expected in report["problems"][2]["message"]
    assert (await event_kinds(api, "0.0.1"))[-1] == "DRIFTED"
    await store.put(blob_key(expected), chunks(mxnet_package()[f"model/{PARAMETERS}"]))
    await store.put(blob_key(gone), chunks(b"gone"))
    assert (await verified(api))["integrity"]["state"] == "INTACT"


async def test_a_list_of_files_that_is_not_the_imported_one_is_told_by_the_digest_of_the_whole(api: Api) -> None:
    imported = await import_package(api, mxnet_package())
    await api.pool.execute("DELETE FROM model_file WHERE path = $1", PARAMETERS)
    (problem,) = (await verified(api))["integrity"]["problems"]
    assert (problem["code"], problem["file"], problem["expected"]) == ("ARTIFACT_DRIFT", None, imported["digest"])
    assert problem["actual"] not in (None, imported["digest"])


async def test_what_became_of_the_source_is_information(yard: tuple[Api, ObjectStore]) -> None:
    api, store = yard
    await import_package(api, mxnet_package())
    output = await api.pool.fetchval("SELECT output_key FROM training_job_version")
    await store.put(f"{output}/model/{PARAMETERS}", chunks(b"trained again"))
    report = (await verified(api))["integrity"]
    assert (report["state"], report["problems"]) == ("INTACT", [])
    assert report["source"] == {"state": "CHANGED", "changedFiles": [PARAMETERS]}

    for key in await keys(store, f"{output}/"):
        await store.delete(key)
    report = (await verified(api))["integrity"]
    assert report["state"] == "INTACT"
    assert report["source"] == {"state": "GONE", "changedFiles": []}


async def test_a_source_that_does_not_answer_is_unknown(api: Api) -> None:
    await import_package(api, mxnet_package())
    await api.pool.execute("UPDATE model_version SET source_store = 'removed'")
    report = (await verified(api))["integrity"]
    assert (report["state"], report["source"]) == ("INTACT", {"state": "UNKNOWN", "changedFiles": []})


async def test_a_verification_that_cannot_read_the_store_fails_and_says_so(api: Api, data_dir: Path) -> None:
    await import_package(api, mxnet_package())
    known = (await verified(api))["integrity"]
    (data_dir / "objects").rename(data_dir / "away")
    try:
        failed = await verified(api)
    finally:
        (data_dir / "away").rename(data_dir / "objects")
    assert failed["operation"] == {
        "kind": "VERIFY_MODEL_VERSION",
        "state": "FAILED",
        "error": {"code": "STORE_UNAVAILABLE"},
    }
    assert failed["integrity"] == known
    assert (await event_kinds(api, "0.0.1"))[-4:] == [
        "VERIFICATION_REQUESTED",
        "VERIFIED",
        "VERIFICATION_REQUESTED",
        "VERIFICATION_FAILED",
    ]


async def test_a_version_without_a_copy_and_one_that_is_not_there_are_refused(api: Api) -> None:
    await import_package(api, {"model/config.json": b"no JSON"})
    before = await api.counts()
    cases: list[tuple[dict[str, Any], str]] = [
        (NAME, "INVALID_STATE"),
        ({**NAME, "version": "0.0.2"}, "NOT_FOUND"),
        ({**NAME, "modelName": "other"}, "NOT_FOUND"),
    ]
    for name, code in cases:
        (error,) = await api.refused("verifyModelVersion", modelVersion=name)
        assert (error["code"], error["path"][0]) == (code, "modelVersion")
    assert await api.counts() == before


async def asked(api: Api, **fields: Any) -> Any:
    """The id of the operation of a verification."""
    payload = await api.mutate("verifyModelVersion", "operation { id }", modelVersion=NAME, **fields)
    assert payload["errors"] == []
    return payload["operation"]["id"]


async def test_whoever_asks_again_while_it_is_under_way_gets_the_same_operation(
    pool: Pool, database_url: str, data_dir: Path
) -> None:
    async with running_server(pool, database_url, data_dir) as working:
        await import_package(working.client(), mxnet_package())
    async with running_server(pool, database_url, data_dir, worker=Placement.NONE) as idle:
        api = idle.client()
        first = await asked(api, idempotencyKey="key")
        assert await asked(api) == first
        assert (await event_kinds(api, "0.0.1")).count("VERIFICATION_REQUESTED") == 1
    async with running_server(pool, database_url, data_dir) as working:
        api = working.client()
        assert (await ended(api))["integrity"]["state"] == "INTACT"
        assert await asked(api, idempotencyKey="key") == first
        assert await asked(api) != first
        await ended(api)


async def test_a_version_that_is_deleted_while_its_verification_is_asked_for_is_not_verified(
    api: Api, pool: Pool
) -> None:
    await import_package(api, mxnet_package())
    before = await api.counts()
    waits = """SELECT true FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%FOR NO KEY UPDATE%'"""
    async with pool.acquire() as connection:
        async with connection.transaction():
            await connection.execute("UPDATE model_version SET deleted_at = now()")
            asking = asyncio.create_task(api.refused("verifyModelVersion", modelVersion=NAME))
            await wait_for(lambda: pool.fetchval(waits))
        (error,) = await asking
    assert (error["code"], error["path"]) == ("NOT_FOUND", ["modelVersion", "version"])
    assert await api.counts() == before


async def test_the_scans_of_all_files_are_summed_up_and_files_are_found_by_them(api: Api) -> None:
    pickles = {"model/labels.pkl": foreign_pickle(), "model/broken.pkl": b"\x80\x04\x95"}
    await import_package(api, {**mxnet_package(), **pickles})
    selection = """scan { state cleanCount unknownCount notScannedCount suspiciousCount }
        files(filter: {scan: [UNKNOWN, SUSPICIOUS]}) { totalCount nodes { path scan } }"""
    shown = await api.version("iris", "0.0.1", selection)
    states = [file["scan"] for file in await files_of(api, "0.0.1")]
    assert shown["scan"]["state"] == "NOT_SCANNED"
    counts = {"CLEAN": "cleanCount", "UNKNOWN": "unknownCount", "NOT_SCANNED": "notScannedCount"}
    assert {state: shown["scan"][count] for state, count in counts.items()} == {
        state: states.count(state) for state in counts
    }
    assert shown["files"] == {"totalCount": 1, "nodes": [{"path": "labels.pkl", "scan": "UNKNOWN"}]}


async def test_what_the_scans_found_is_shown_of_a_version_that_is_refused_for_it(api: Api) -> None:
    failed = await import_package(api, {**mxnet_package(), "model/labels.pkl": shell_pickle()})
    assert failed["status"] == "IMPORT_FAILED"
    shown = await api.version("iris", "0.0.1", "scan { state suspiciousCount cleanCount }")
    assert shown["scan"] == {"state": "SUSPICIOUS", "suspiciousCount": 1, "cleanCount": 3}


async def failed_deployment(api: Api, name: str) -> Any:
    error = "... on PackageProblem { file expected actual hint }"
    selection = f"details: operation {{ error {{ code message {error} }} }}"

    async def look() -> Any:
        found = await api.service(name, selection)
        return found if found["status"] == "FAILED" else None

    return await wait_for(look, within_seconds=90)


async def test_a_version_whose_stored_bytes_are_not_the_imported_ones_is_not_deployed(api: Api, data_dir: Path) -> None:
    await import_version(api, package(ECHO))
    expected = await sha256_of(api, "model.m")
    async with opened(folder_store(data_dir / "objects")) as store:
        actual = await damaged(store, expected)
        await deploy(api, "drifted", target("0.0.1"))
        failed = await failed_deployment(api, "drifted")
        error = failed["details"]["error"]
        assert (error["code"], error["file"]) == ("ARTIFACT_DRIFT", "model.m")
        assert (error["expected"], error["actual"]) == (expected, actual)
        for said in ("model.m", expected, actual):
            assert said in failed["statusMessage"]
        assert not list((data_dir / "packages").glob("*/model.m"))

        await store.put(blob_key(expected), chunks(package(ECHO)["model/model.m"]))
    await act(api, "stopService", "drifted")
    await api.service_in("drifted", "STOPPED")
    await act(api, "startService", "drifted")
    await running_again(api, "drifted")


async def test_a_laid_out_package_that_was_changed_is_laid_out_again_or_not_deployed(api: Api, data_dir: Path) -> None:
    await import_version(api, package(ECHO))
    expected = await sha256_of(api, "model.m")
    await running(api, "iris", target("0.0.1"))
    (laid_out,) = (data_dir / "packages").glob("*/model.m")

    async def started_again(tamper: Callable[[], Awaitable[object]]) -> None:
        await act(api, "stopService", "iris")
        await api.service_in("iris", "STOPPED")
        await tamper()
        await act(api, "startService", "iris")

    async def change_file() -> None:
        laid_out.write_bytes(b"changed")

    async with opened(folder_store(data_dir / "objects")) as store:

        async def change_file_and_blob() -> None:
            await change_file()
            await damaged(store, expected)

        await started_again(change_file)
        await running_again(api, "iris")
        assert laid_out.read_bytes() == package(ECHO)["model/model.m"]
        await started_again(change_file_and_blob)
        failed = await failed_deployment(api, "iris")
    assert (failed["details"]["error"]["code"], failed["details"]["error"]["expected"]) == ("ARTIFACT_DRIFT", expected)
