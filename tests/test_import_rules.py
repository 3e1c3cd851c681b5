"""The rules for what an importer types in: what each field takes and refuses, and the numbers that versions get."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from db.connection import Pool
from tests.api import Api, running_server
from tests.packages import MXNET, NOTES, upload_job

# A source that needs neither storage nor a build.
IMAGE = {"containerImage": {"image": "registry.example.com/team/iris:1"}}
URL = "https://example.com/guide"


def document(name: str = "guide", url: str = URL) -> dict[str, Any]:
    return {"documents": [{"name": name, "url": url}]}


def minimum(**amounts: float) -> dict[str, Any]:
    return {"minimumInferenceSpecification": amounts}


TAKEN: dict[str, list[dict[str, Any]]] = {
    "name": [{"name": name} for name in ("a", "7", "-", "_", "模型", "Iris_2-模型", "x" * 64, "鿿" * 64, "一")],
    "version": [{"version": version} for version in ("0.0.0", "0.0.1", "9.10.99", "99.99.98")],
    "description": [{"description": text} for text in ("", "x" * 1_000, "& ! ' \\ \" < > =", "模型\nzwei\tZeilen")],
    "labels": [{"labels": labels} for labels in ([], ["a", "b", "c", "d", "e"], ["标签_1", "A9_"], ["x" * 64])],
    "documents": [
        {"documents": []},
        {"documents": [{"name": name, "url": URL} for name in ("a", "b", "a")]},
        document("x" * 48),
        document("说明-1_a"),
        document(url="http://[::1]:8080/a?b=c#d"),
        document(url="HTTPS://例子.example/手册"),
    ],
    "deploymentTypes": [
        {"deploymentTypes": None},
        {"deploymentTypes": ["REAL_TIME"]},
        {"deploymentTypes": ["EDGE", "BATCH", "REAL_TIME"]},
    ],
    "minimumInferenceSpecification": [minimum(), minimum(cpuCount=0.01), minimum(memoryBytes=1, ascendCount=8)],
}
REFUSED: list[tuple[dict[str, Any], list[str]]] = [
    *(({"name": name}, ["name"]) for name in ("", " ", "a b", "a.b", "a/b", "é", "あ", "а", "x" * 65, "a\t", "😀")),
    *(
        ({"version": version}, ["version"])
        for version in ("", "1", "1.0", "1.0.0.0", "00.0.1", "0.01.0", "0.0.100", "100.0.0", "v1.0.0", " 1.0.0")
    ),
    *(({"version": version}, ["version"]) for version in ("1.0.0 ", "1.0.x", "1,0,0", "+1.0.0", "²0.0.1")),
    ({"description": "x" * 1_001}, ["description"]),
    ({"labels": list("abcdef")}, ["labels"]),
    *(({"labels": [label]}, ["labels", "0"]) for label in ("", "1a", "_a", "-a", "a-b", "a b", "é", "x" * 65)),
    ({"labels": ["a", "b", "a"]}, ["labels", "2"]),
    ({"documents": document()["documents"] * 4}, ["documents"]),
    *((document(name), ["documents", "0", "name"]) for name in ("", "1a", "_a", "a b", "a.b", "x" * 49)),
    *(
        (document(url=url), ["documents", "0", "url"])
        for url in (
            "",
            "example.com",
            "ftp://example.com",
            "file:///etc/passwd",
            "//example.com",
            "https://a b",
            "http:",
        )
    ),
    ({"deploymentTypes": []}, ["deploymentTypes"]),
    ({"deploymentTypes": ["EDGE", "EDGE"]}, ["deploymentTypes"]),
    *((minimum(cpuCount=count), ["minimumInferenceSpecification", "cpuCount"]) for count in (0, -0.5)),
    (minimum(memoryBytes=0), ["minimumInferenceSpecification", "memoryBytes"]),
    (minimum(gpuCount=-1), ["minimumInferenceSpecification", "gpuCount"]),
    (minimum(ascendCount=0), ["minimumInferenceSpecification", "ascendCount"]),
]
STRICT_TAKEN: list[dict[str, Any]] = [
    {"name": "模型", "labels": ["标签"]},
    {"description": "x" * 100},
    {"description": "模型, (1) #2; $3 %4 *5 +6 /7 ?8 @9"},
    document("x" * 48),
]
STRICT_REFUSED: list[tuple[dict[str, Any], list[str]]] = [
    ({"description": "x" * 101}, ["description"]),
    *(({"description": f"a{character}b"}, ["description"]) for character in "&!'\\\"<>="),
    *((document(name), ["documents", "0", "name"]) for name in ("说明", "a说明")),
]


async def taken(api: Api, fields: dict[str, Any]) -> None:
    given = {"name": "iris", "source": IMAGE, **fields}
    payload = await api.mutate("importModel", "modelVersion { version }", **given)
    assert payload["errors"] == [], fields


async def refused(api: Api, fields: dict[str, Any]) -> list[Any]:
    """The errors of a request that must store nothing. No import may be under way."""
    before = await api.counts()
    errors = await api.refused("importModel", **{"name": "iris", "source": IMAGE, **fields})
    assert await api.counts() == before, fields
    return errors


async def assert_refused(api: Api, cases: list[tuple[dict[str, Any], list[str]]]) -> None:
    for fields, path in cases:
        errors = await refused(api, fields)
        assert [(error["code"], error["path"]) for error in errors] == [("INVALID_INPUT", path)], fields
        assert errors[0]["message"].endswith("."), fields


@pytest.mark.parametrize("field", TAKEN)
async def test_values_within_the_rules_are_taken(api: Api, field: str) -> None:
    for fields in TAKEN[field]:
        await taken(api, fields)


async def test_values_beyond_the_rules_are_refused_at_their_places_and_store_nothing(api: Api) -> None:
    await assert_refused(api, REFUSED)


@pytest.fixture
async def strict_api(pool: Pool, database_url: str, data_dir: Path) -> AsyncIterator[Api]:
    async with running_server(pool, database_url, data_dir, strict_modelarts=True) as running:
        yield running.client()


async def test_modelarts_own_limits_hold_where_they_are_asked_for(strict_api: Api) -> None:
    await assert_refused(strict_api, STRICT_REFUSED)
    for fields in STRICT_TAKEN:
        await taken(strict_api, fields)


async def test_everything_that_is_wrong_with_a_request_is_told_in_one_answer(api: Api) -> None:
    errors = await refused(
        api,
        {
            "name": "a b",
            "version": "1.0",
            "description": "x" * 1_001,
            "labels": ["1", "a", "a", "b-c", "d", "e"],
            "documents": [
                {"name": "1", "url": URL},
                {"name": "a", "url": "ftp://example.com"},
                {"name": "", "url": ""},
                {"name": "b", "url": URL},
            ],
            "source": {"containerImage": {"image": "not an image", "command": ""}},
            "deploymentTypes": ["BATCH", "BATCH"],
            "minimumInferenceSpecification": {"cpuCount": 0, "ascendCount": -1},
            "runtime": "python3.6",
            "dependencies": [{"package": "-r secrets"}, {"package": "six", "version": "1"}],
        },
    )
    assert [".".join(error["path"]) for error in errors] == [
        "name",
        "version",
        "description",
        "labels",
        "labels.0",
        "labels.2",
        "labels.3",
        "documents",
        "documents.0.name",
        "documents.1.url",
        "documents.2.name",
        "documents.2.url",
        "source.containerImage.image",
        "source.containerImage.command",
        "deploymentTypes",
        "minimumInferenceSpecification.cpuCount",
        "minimumInferenceSpecification.ascendCount",
        "runtime",
        "dependencies",
        "dependencies.0.package",
        "dependencies.1.restraint",
    ]
    assert await api.count("model") == await api.count("model_version") == await api.count("operation") == 0


async def number_of(api: Api, **fields: Any) -> str:
    payload = await api.mutate("importModel", "modelVersion { version }", name="iris", source=IMAGE, **fields)
    assert payload["errors"] == [], payload
    number: str = payload["modelVersion"]["version"]
    return number


async def test_versions_are_in_the_order_of_their_numbers_and_not_of_their_letters(api: Api) -> None:
    for version in ("0.0.9", "0.10.0", "0.0.10", "10.0.0", "0.9.0", "9.0.0"):
        await number_of(api, version=version)
    document = '{ model(by: {name: "iris"}) { versions { nodes { version } } } }'
    nodes = (await api.ask(document))["model"]["versions"]["nodes"]
    assert [node["version"] for node in nodes] == ["10.0.0", "9.0.0", "0.10.0", "0.9.0", "0.0.10", "0.0.9"]


@pytest.mark.parametrize(
    ("used", "following"), [("0.0.9", "0.0.10"), ("0.0.99", "0.1.0"), ("0.99.99", "1.0.0"), ("98.99.99", "99.0.0")]
)
async def test_the_next_number_carries_at_99(api: Api, used: str, following: str) -> None:
    await number_of(api, version=used)
    assert await number_of(api) == following


async def test_the_numbers_of_failed_and_deleted_versions_are_never_given_out_again(api: Api) -> None:
    job = await upload_job(api, NOTES, algorithm=MXNET)
    failed = await api.import_version("iris", job)
    assert (await api.imported("iris", failed))["status"] == "IMPORT_FAILED"
    deleted = await number_of(api)
    await api.imported("iris", deleted)
    name = {"modelName": "iris", "version": deleted}
    assert (await api.mutate("deleteModelVersion", "__typename", modelVersion=name))["errors"] == []
    assert (failed, deleted, await number_of(api)) == ("0.0.1", "0.0.2", "0.0.3")
    for version in (failed, deleted):
        (error,) = await api.refused("importModel", name="iris", source=IMAGE, version=version)
        assert (error["code"], error["path"], error["nextVersion"]) == ("ALREADY_EXISTS", ["version"], "0.0.4")
    assert await api.count("model_version") == 3


async def number_in_a_crowd(client: httpx.AsyncClient, key: str) -> str:
    """As `number_of`, by a client that repeats what the server had too much to do for, under a key of its own."""
    document = """mutation ($input: ImportModelInput!) {
        importModel(input: $input) { modelVersion { version } errors { code } } }"""
    given = {"name": "iris", "source": IMAGE, "idempotencyKey": key}
    body = {"query": document, "variables": {"input": given}}
    while (response := await client.post("/graphql", json=body)).status_code == 503:
        pass
    answer = response.json()
    assert "errors" not in answer, answer
    assert answer["data"]["importModel"]["errors"] == []
    number: str = answer["data"]["importModel"]["modelVersion"]["version"]
    return number


async def test_two_hundred_imports_of_one_name_at_once_get_two_hundred_numbers_without_a_gap(api: Api) -> None:
    crowd = httpx.AsyncClient(
        base_url=api.http.base_url,
        headers={**api.http.headers, "accept": "application/graphql-response+json"},
        limits=httpx.Limits(max_connections=200),
        timeout=120,
    )
    async with crowd:
        numbers = await asyncio.gather(*(number_in_a_crowd(crowd, str(client)) for client in range(200)))
    assert len(set(numbers)) == 200
    assert set(numbers) == {f"0.{number // 100}.{number % 100}" for number in range(1, 201)}
    assert await api.count("model_version") == 200
    shown = (await api.ask('{ model(by: {name: "iris"}) { versionCount nextVersion } }'))["model"]
    assert shown == {"versionCount": 200, "nextVersion": "0.2.1"}
