"""Changing what people say of a version: what is left out stays, null clears, and nothing is half done."""

from typing import Any

import pytest

from tests.api import Api
from tests.model_lives import accepted, named, refused
from tests.packages import MXNET, NOTES, import_package, mxnet_package, upload_job

SHOWN = """modelVersion { revision description labels documents { name url }
    minimumInferenceSpecification { cpuCount memoryBytes gpuCount ascendCount } }"""
DOCUMENT = {"name": "guide", "url": "https://example.com/guide"}
MINIMUM = {"cpuCount": 2.5, "memoryBytes": 2**40, "gpuCount": None, "ascendCount": 1}
SAID: dict[str, Any] = {
    "description": "first",
    "labels": ["a", "b"],
    "documents": [DOCUMENT],
    "minimumInferenceSpecification": MINIMUM,
}
CLEARED: dict[str, Any] = {"description": None, "labels": [], "documents": [], "minimumInferenceSpecification": None}
REFUSED_VALUES: list[tuple[dict[str, Any], list[str]]] = [
    ({"description": "x" * 1_001}, ["description"]),
    ({"description": "half\0"}, ["description"]),
    ({"labels": ["a", "b", "c", "d", "e", "f"]}, ["labels"]),
    ({"labels": ["a", "a"]}, ["labels", "1"]),
    ({"labels": ["1a"]}, ["labels", "0"]),
    ({"documents": [DOCUMENT] * 4}, ["documents"]),
    ({"documents": [DOCUMENT, {**DOCUMENT, "url": "javascript:alert(1)"}]}, ["documents", "1", "url"]),
    ({"minimumInferenceSpecification": {"cpuCount": 0}}, ["minimumInferenceSpecification", "cpuCount"]),
]


@pytest.fixture
async def version(api: Api) -> str:
    """A NORMAL version of which everything is said."""
    found = await import_package(api, mxnet_package(), **SAID)
    assert found["status"] == "NORMAL", found
    number: str = found["version"]
    return number


async def updated(api: Api, version: str, /, **fields: Any) -> Any:
    payload = await accepted(api, "updateModelVersion", SHOWN, modelVersion=named(version), **fields)
    return payload["modelVersion"]


async def revision_of(api: Api, version: str) -> int:
    revision: int = (await api.version("iris", version, "revision"))["revision"]
    return revision


@pytest.mark.parametrize(
    "change",
    [
        {"description": "second"},
        {"labels": ["标签"]},
        {"documents": []},
        {"minimumInferenceSpecification": {**MINIMUM, "cpuCount": None}},
        {"description": "é", "labels": []},
    ],
    ids="+".join,
)
async def test_what_is_left_out_stays(api: Api, version: str, change: dict[str, Any]) -> None:
    before = await revision_of(api, version)
    shown = await updated(api, version, expectedRevision=before, **change)
    assert shown == {**SAID, **change, "revision": before + 1}
    found = await api.version("iris", version, "description labels documents { name url }")
    assert found == {name: shown[name] for name in found}


async def test_null_clears(api: Api, version: str) -> None:
    before = await revision_of(api, version)
    shown = await updated(api, version, **dict.fromkeys(SAID))
    assert shown == {**CLEARED, "revision": before + 1}


async def test_a_change_is_an_event_and_the_same_again_is_none(api: Api, version: str) -> None:
    for _ in range(2):
        revision = (await updated(api, version, labels=["c"], description="first"))["revision"]
    rows = await api.pool.fetch("SELECT data FROM event WHERE kind = 'MODEL_VERSION_UPDATED'")
    assert [row["data"] for row in rows] == [{"fields": ["description", "labels"]}]
    assert await revision_of(api, version) == revision
    before = await api.counts()
    await updated(api, version)
    assert await api.counts() == before


async def test_labels_that_were_changed_are_found(api: Api, version: str) -> None:
    await updated(api, version, labels=["production"])
    document = "query ($label: String!) { modelVersions(filter: {label: $label}) { totalCount } }"
    assert (await api.ask(document, label="production"))["modelVersions"]["totalCount"] == 1
    assert (await api.ask(document, label="a"))["modelVersions"]["totalCount"] == 0


async def test_a_value_that_breaks_its_rule_is_refused_at_its_place(api: Api, version: str) -> None:
    for fields, path in REFUSED_VALUES:
        errors = await refused(api, "updateModelVersion", modelVersion=named(version), **fields)
        assert [(error["code"], error["path"]) for error in errors] == [("INVALID_INPUT", path)], fields


async def test_everything_that_is_wrong_is_told_at_once(api: Api, version: str) -> None:
    errors = await refused(
        api,
        "updateModelVersion",
        modelVersion=named(version),
        description="x" * 1_001,
        labels=["1"],
        expectedRevision=999,
    )
    assert [(error["code"], error["path"]) for error in errors] == [
        ("INVALID_INPUT", ["description"]),
        ("INVALID_INPUT", ["labels", "0"]),
        ("CONFLICT", ["expectedRevision"]),
    ]


async def test_a_version_that_is_not_there_is_not_changed(api: Api, version: str) -> None:
    for name, field in ((named("0.0.9"), "version"), (named(version, "isis"), "modelName")):
        (error,) = await refused(api, "updateModelVersion", modelVersion=name, description="x")
        assert (error["code"], error["path"]) == ("NOT_FOUND", ["modelVersion", field])


async def test_a_subscribed_version_is_its_publishers_to_describe(api: Api, version: str) -> None:
    await api.pool.execute("UPDATE model_version SET origin = 'MARKET'")
    (error,) = await refused(api, "updateModelVersion", modelVersion=named(version), description="mine")
    assert (error["code"], error["path"]) == ("MODEL_SUBSCRIBED", ["modelVersion"])


async def test_a_version_that_is_still_imported_can_be_described(api: Api) -> None:
    job = await upload_job(api, NOTES, algorithm=MXNET)
    number = await api.import_version("iris", job)
    shown = await updated(api, number, description="in the meantime")
    await api.imported("iris", number)
    assert shown["description"] == (await api.version("iris", number, "description"))["description"]


async def test_the_same_key_answers_again_and_never_another_request(api: Api, version: str) -> None:
    first = await updated(api, version, labels=["c"], idempotencyKey="k")
    assert await updated(api, version, labels=["c"], idempotencyKey="k") == first
    for fields in ({"labels": None}, {}, {"labels": ["c"], "description": None}):
        (error,) = await refused(api, "updateModelVersion", modelVersion=named(version), idempotencyKey="k", **fields)
        assert error["code"] == "IDEMPOTENCY_KEY_REUSED", fields
