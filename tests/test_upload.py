"""Uploads: a training job version's files go straight to storage, part by part, and are there once completed."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from resolvers.workspace import grant_prefix
from tests.api import Api, RunningServer
from tests.plain_http import NO_TLS
from tests.training_jobs import refused

PART_BYTES = 32 << 20
SHOWN = """upload { id completedAt trainingJobVersion { name }
    files { path sizeBytes parts { number offsetBytes sizeBytes url } } }"""


async def announce(api: Api, files: dict[str, int], version: str = "V0001", **fields: Any) -> Any:
    """A new upload for the job `iris`."""
    announced = [{"path": path, "sizeBytes": size} for path, size in files.items()]
    payload = await api.mutate(
        "createUpload", SHOWN, trainingJobName="iris", versionName=version, files=announced, **fields
    )
    assert payload["errors"] == [], payload
    return payload["upload"]


async def put(url: str, data: bytes) -> int:
    async with httpx.AsyncClient(timeout=60, verify=NO_TLS) as storage:
        return (await storage.put(url, content=data)).status_code


def urls(upload: Any) -> list[str]:
    """The addresses of the files' parts, in order."""
    return [part["url"] for file in upload["files"] for part in file["parts"]]


async def complete(api: Api, upload: Any) -> Any:
    """The payload of completeUpload."""
    return await api.mutate("completeUpload", SHOWN, uploadId=upload["id"])


async def stored(server: RunningServer, path: str) -> Path:
    """Where a file of the first version's output lies on disk, if it does."""
    key = await server.pool.fetchval("SELECT output_key FROM training_job_version WHERE number = 1")
    found = [folder for folder in server.settings.data_dir.rglob(key) if folder.is_dir()]
    return (found[0] if found else server.settings.data_dir / "nowhere") / path


@pytest.fixture
async def job(api: Api) -> str:
    return await api.record_job()


async def test_files_are_in_place_once_completed_and_not_before(server: RunningServer, api: Api, job: str) -> None:
    files = {"model/config.json": b"{}", "model/空/a b.txt": b"", "model/model.m": b"x" * 100_000}
    upload = await announce(api, {path: len(data) for path, data in files.items()})
    assert (upload["completedAt"], upload["trainingJobVersion"]) == (None, {"name": job})
    assert [(file["path"], file["sizeBytes"]) for file in upload["files"]] == [
        (path, len(data)) for path, data in files.items()
    ]
    for url, data in zip(urls(upload), files.values(), strict=True):
        assert await put(url, data) == 200
    assert not (await stored(server, "model/config.json")).exists()
    payload = await complete(api, upload)
    assert payload["errors"] == []
    assert payload["upload"]["completedAt"] is not None
    assert urls(payload["upload"]) == []
    for path, data in files.items():
        assert (await stored(server, path)).read_bytes() == data


async def test_a_file_is_cut_into_parts_that_cover_it(api: Api, job: str) -> None:
    size = 2 * PART_BYTES + 1
    (file,) = (await announce(api, {"model/model.m": size}))["files"]
    assert [(part["number"], part["offsetBytes"], part["sizeBytes"]) for part in file["parts"]] == [
        (1, 0, PART_BYTES),
        (2, PART_BYTES, PART_BYTES),
        (3, 2 * PART_BYTES, 1),
    ]


async def test_parts_arrive_in_any_order_and_again(server: RunningServer, api: Api, job: str) -> None:
    data = b"a" * PART_BYTES + b"b"
    upload = await announce(api, {"model/model.m": len(data)})
    first, last = urls(upload)
    assert await put(last, b"c") == 200
    assert await put(first, data[:PART_BYTES]) == 200
    assert await put(last, b"b") == 200
    assert (await complete(api, upload))["errors"] == []
    assert (await stored(server, "model/model.m")).read_bytes() == data


async def test_addresses_need_no_token_and_stay_the_same_upload(api: Api, job: str) -> None:
    upload = await announce(api, {"model/a": 1})
    document = f"query ($id: ID!) {{ node(id: $id) {{ ... on Upload {{ {SHOWN.removeprefix('upload { ')} }} }}"
    again = (await api.ask(document, id=upload["id"]))["node"]
    assert again["id"] == upload["id"]
    assert await put(urls(again)[0], b"x") == 200
    assert (await complete(api, upload))["errors"] == []


async def test_two_who_ask_for_the_addresses_at_once_get_those_of_one_upload(api: Api, job: str) -> None:
    payload = await api.mutate(
        "createUpload",
        "upload { id }",
        trainingJobName="iris",
        versionName=job,
        files=[{"path": "model/a", "sizeBytes": 1}],
    )
    document = "query ($id: ID!) { node(id: $id) { ... on Upload { files { parts { url } } } } }"
    answers = await asyncio.gather(*(api.ask(document, id=payload["upload"]["id"]) for _ in range(6)))
    paths = {httpx.URL(url).path for answer in answers for url in urls(answer["node"])}
    assert len(paths) == 1


async def test_what_is_missing_is_told_for_every_file_and_can_be_sent_later(
    server: RunningServer, api: Api, job: str
) -> None:
    upload = await announce(api, {"model/a": 1, "model/b": PART_BYTES + 1, "model/c": 0})
    first = urls(upload)
    assert await put(first[0], b"a") == 200
    assert await put(first[2], b"b") == 200
    before = await api.counts()
    payload = await complete(api, upload)
    assert payload["upload"] is None
    assert [(error["code"], error["path"]) for error in payload["errors"]] == [
        ("UPLOAD_INCOMPLETE", ["uploadId"]),
        ("UPLOAD_INCOMPLETE", ["uploadId"]),
    ]
    assert [error["message"].partition(":")[0] for error in payload["errors"]] == [
        "model/b is not complete",
        "model/c is not complete",
    ]
    assert "part 1 " in payload["errors"][0]["message"]
    assert await api.counts() == before

    assert await put(first[1], b"b" * PART_BYTES) == 200
    assert await put(first[3], b"") == 200
    assert (await complete(api, upload))["errors"] == []
    assert (await stored(server, "model/b")).stat().st_size == PART_BYTES + 1


async def test_addresses_nobody_asked_for_leave_every_part_missing(api: Api, job: str) -> None:
    payload = await api.mutate(
        "createUpload",
        "upload { id }",
        trainingJobName="iris",
        versionName=job,
        files=[{"path": "model/a", "sizeBytes": 40 * PART_BYTES}],
    )
    (error,) = (await complete(api, payload["upload"]))["errors"]
    assert error["code"] == "UPLOAD_INCOMPLETE"
    assert "part 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, … is" in error["message"]


@pytest.mark.parametrize("data", [b"", b"x", b"xxx"])
async def test_a_part_of_another_size_is_refused(api: Api, job: str, data: bytes) -> None:
    upload = await announce(api, {"model/a": 2})
    assert await put(urls(upload)[0], data) in (400, 413)
    (error,) = (await complete(api, upload))["errors"]
    assert error["code"] == "UPLOAD_INCOMPLETE"


async def test_completing_again_answers_the_same_and_changes_nothing_more(api: Api, job: str) -> None:
    upload = await announce(api, {"model/a": 1})
    assert await put(urls(upload)[0], b"x") == 200
    payloads = [await complete(api, upload) for _ in range(3)]
    assert [payload["errors"] for payload in payloads] == [[]] * 3
    assert len({payload["upload"]["completedAt"] for payload in payloads}) == 1
    rows = await api.pool.fetch("SELECT kind FROM event ORDER BY number")
    assert [row["kind"] for row in rows] == [
        "TRAINING_JOB_VERSION_RECORDED",
        "UPLOAD_CREATED",
        "UPLOAD_COMPLETED",
        "TRAINING_JOB_OUTPUT_UPLOADED",
    ]


async def test_who_completes_at_once_is_answered_alike(server: RunningServer, api: Api, job: str) -> None:
    upload = await announce(api, {f"model/{number}": 1 for number in range(20)})
    for url in urls(upload):
        assert await put(url, b"x") == 200
    payloads = await asyncio.gather(*(complete(api, upload) for _ in range(6)))
    assert [payload["errors"] for payload in payloads] == [[]] * 6
    assert await api.count("event") == 4


async def test_a_later_upload_takes_the_place_of_an_earlier_file(server: RunningServer, api: Api, job: str) -> None:
    await api.upload("iris", job, {"model/a": b"first", "model/b": b"b"})
    await api.upload("iris", job, {"model/a": b"second"})
    assert (await stored(server, "model/a")).read_bytes() == b"second"
    assert (await stored(server, "model/b")).read_bytes() == b"b"


async def test_a_file_cannot_take_the_place_of_a_folder_that_is_there(api: Api, job: str) -> None:
    await api.upload("iris", job, {"model/a/b": b"x"})
    upload = await announce(api, {"model/a": 1})
    for url in urls(upload):
        await put(url, b"x")
    before = await api.counts()
    payload = await complete(api, upload)
    assert [(error["code"], error["path"]) for error in payload["errors"]] == [("INVALID_INPUT", ["uploadId"])]
    assert "another path" in payload["errors"][0]["hint"]
    assert await api.counts() == before


async def test_an_upload_that_has_expired_gives_no_addresses_and_cannot_be_completed(api: Api, job: str) -> None:
    upload = await announce(api, {"model/a": 1})
    assert await put(urls(upload)[0], b"x") == 200
    await api.pool.execute("UPDATE upload SET expires_at = now() - interval '1 second'")
    (error,) = await refused(api, "completeUpload", uploadId=upload["id"])
    assert (error["code"], error["path"]) == ("UPLOAD_EXPIRED", ["uploadId"])
    document = "query ($id: ID!) { node(id: $id) { ... on Upload { completedAt files { path parts { url } } } } }"
    shown = (await api.ask(document, id=upload["id"]))["node"]
    assert shown == {"completedAt": None, "files": [{"path": "model/a", "parts": []}]}


async def test_uploads_into_a_granted_output_are_refused(api: Api) -> None:
    await grant_prefix(api.pool, name="default", store="default", prefix="shared")
    version = await api.record_job(output={"key": "shared/job-7"})
    (error,) = await refused(
        api,
        "createUpload",
        trainingJobName="iris",
        versionName=version,
        files=[{"path": "model/a", "sizeBytes": 1}],
    )
    assert (error["code"], error["path"]) == ("LOCATION_READ_ONLY", ["versionName"])


FILE = {"path": "model/a", "sizeBytes": 1}
REFUSED_VALUES: list[tuple[dict[str, Any], list[str]]] = [
    ({"files": []}, ["files"]),
    ({"files": [{"path": f"model/{number}", "sizeBytes": 1} for number in range(1_001)]}, ["files"]),
    ({"files": [FILE, FILE]}, ["files", "1", "path"]),
    ({"files": [FILE, {"path": "model/a/b", "sizeBytes": 1}]}, ["files", "0", "path"]),
    ({"files": [{"path": "model/a/b/c", "sizeBytes": 1}, FILE]}, ["files", "1", "path"]),
    ({"files": [{**FILE, "sizeBytes": -1}]}, ["files", "0", "sizeBytes"]),
    ({"files": [{**FILE, "sizeBytes": 5 * 2**40 + 1}]}, ["files", "0", "sizeBytes"]),
    ({"idempotencyKey": "half\0"}, ["idempotencyKey"]),
    *(
        ({"files": [{"path": path, "sizeBytes": 1}]}, ["files", "0", "path"])
        for path in (
            "",
            "/",
            "/model/a",
            "model/",
            "model//a",
            "./a",
            "model/../../a",
            "..",
            "model\\a",
            "half\0",
            "line\n",
            "delete\x7f",
            "x" * 201,
            "é" * 101,
            "/".join(["x" * 100] * 8),
        )
    ),
]


async def test_a_value_that_breaks_its_rule_is_refused_at_its_place_and_stores_nothing(api: Api, job: str) -> None:
    fields = {"trainingJobName": "iris", "versionName": job, "files": [FILE]}
    for changes, path in REFUSED_VALUES:
        errors = await refused(api, "createUpload", **{**fields, **changes})
        assert [(error["code"], error["path"]) for error in errors] == [("INVALID_INPUT", path)], changes


@pytest.mark.parametrize("size", [1.5, "1", 2**53, None, True])
async def test_a_size_is_a_whole_number(api: Api, job: str, size: Any) -> None:
    before = await api.counts()
    answer = await api.send(
        "mutation ($input: CreateUploadInput!) { createUpload(input: $input) { __typename } }",
        input={"trainingJobName": "iris", "versionName": job, "files": [{**FILE, "sizeBytes": size}]},
    )
    assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT", answer
    assert await api.counts() == before


async def test_files_at_the_edge_of_the_rules_are_taken(server: RunningServer, api: Api, job: str) -> None:
    names = ["x" * 200, "model/.hidden", "model/a-b", "model/a", "model/a.b", "model/...", "/".join(["y" * 88] * 9)]
    await api.upload("iris", job, {name: name.encode() for name in names})
    for name in names:
        assert (await stored(server, name)).read_text() == name


async def test_a_thousand_files_are_announced_at_once(api: Api, job: str) -> None:
    upload = await announce(api, {f"model/{number}": 0 for number in range(1_000)})
    assert len(set(urls(upload))) == 1_000


async def test_an_upload_for_what_is_not_there_is_refused(api: Api, job: str) -> None:
    for name, version, path in (("other", "V0001", ["trainingJobName"]), ("iris", "V0002", ["versionName"])):
        (error,) = await refused(api, "createUpload", trainingJobName=name, versionName=version, files=[FILE])
        assert (error["code"], error["path"]) == ("NOT_FOUND", path)
    (error,) = await refused(api, "completeUpload", uploadId="upl_" + "0" * 32)
    assert (error["code"], error["path"]) == ("NOT_FOUND", ["uploadId"])


@pytest.mark.parametrize("identifier", ["", "upl_", "upl_" + "x" * 32, "job_" + "0" * 32, "0" * 32])
async def test_what_is_no_id_of_an_upload_is_the_callers_mistake(api: Api, identifier: str) -> None:
    answer = await api.send(
        "mutation ($id: ID!) { completeUpload(input: {uploadId: $id}) { __typename } }", id=identifier
    )
    assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_a_repeated_key_gets_the_first_upload_again(api: Api, job: str) -> None:
    uploads = await asyncio.gather(*(announce(api, {"model/a": 1}, idempotencyKey="key") for _ in range(4)))
    assert len({upload["id"] for upload in uploads}) == 1
    assert await api.count("upload") == 1
    (error,) = await refused(
        api,
        "createUpload",
        trainingJobName="iris",
        versionName=job,
        files=[{**FILE, "sizeBytes": 2}],
        idempotencyKey="key",
    )
    assert error["code"] == "IDEMPOTENCY_KEY_REUSED"
