"""Aliases: names that move from version to version, and what each pointed at at any moment."""

import asyncio
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

from tests.api import Api
from tests.model_lives import accepted, events_of_model, named, refused, set_alias
from tests.packages import MXNET, NOTES, import_package, mxnet_package, upload_job

HISTORY = """{ model(by: {name: "iris"}) { revision aliases { name modelVersion { version } }
    aliasHistory(first: 100) { totalCount nodes { name setAt setBy endedAt endedBy modelVersion { version } } } } }"""
POINTED = "version modelVersion { version }"
AT = """query ($name: String!, $asOf: DateTime) { model(by: {name: "iris"}) {
    alias(name: $name, asOf: $asOf) { name setAt modelVersion { version } } } }"""


@pytest.fixture
async def versions(api: Api) -> list[str]:
    """Three NORMAL versions of the model `iris`."""
    found = [await import_package(api, mxnet_package()) for _ in range(3)]
    assert {version["status"] for version in found} == {"NORMAL"}
    return [version["version"] for version in found]


async def model_of(api: Api) -> Any:
    return (await api.ask(HISTORY))["model"]


async def removed(api: Api, alias: str, /, **fields: Any) -> Any:
    selection = "change { name endedAt endedBy modelVersion { version } }"
    payload = await accepted(api, "removeModelAlias", selection, modelName="iris", alias=alias, **fields)
    return payload["change"]


async def points_at(api: Api, alias: str, as_of: str | None = None) -> str | None:
    found = (await api.ask(AT, name=alias, asOf=as_of))["model"]["alias"]
    version: str | None = found["modelVersion"]["version"] if found else None
    return version


def is_gapless(periods: list[dict[str, Any]]) -> bool:
    """Whether each period of one alias, the newest first, begins when the one before it ended."""
    return all(later["setAt"] == earlier["endedAt"] for later, earlier in pairwise(periods))


async def test_an_alias_is_shown_on_the_model_and_on_the_version_that_it_points_at(
    api: Api, versions: list[str]
) -> None:
    first, second, _ = versions
    shown = await set_alias(api, "production", first)
    assert (shown["name"], shown["setBy"], shown["modelVersion"]) == (
        "production",
        "MODELYARD_TOKEN",
        {"version": first},
    )
    await set_alias(api, "Staging-2", first)
    await set_alias(api, "canary_1", second)
    model = await model_of(api)
    assert [(alias["name"], alias["modelVersion"]["version"]) for alias in model["aliases"]] == [
        ("Staging-2", first),
        ("canary_1", second),
        ("production", first),
    ]
    found = await api.version("iris", first, "aliases { name }")
    assert found == {"aliases": [{"name": "Staging-2"}, {"name": "production"}]}
    assert (await api.version("iris", versions[2], "aliases { name }"))["aliases"] == []


async def test_an_alias_is_asked_for_as_it_is_and_as_it_was(api: Api, versions: list[str]) -> None:
    moved = [(await set_alias(api, "production", version))["setAt"] for version in versions]
    ended = (await removed(api, "production"))["endedAt"]
    moments = [*moved, ended]
    assert [await points_at(api, "production", moment) for moment in moments] == [*versions, None]
    assert await points_at(api, "production") is None
    assert await points_at(api, "production", "2001-01-01T00:00:00Z") is None
    await set_alias(api, "production", versions[1])
    assert await points_at(api, "production") == versions[1]
    assert await points_at(api, "production", "9000-01-01T00:00:00Z") == versions[1]
    assert await points_at(api, "production", moments[1]) == versions[1]
    assert await points_at(api, "production", ended) is None
    assert await points_at(api, "absent") is None


async def test_the_history_tells_each_time_that_an_alias_pointed_somewhere(api: Api, versions: list[str]) -> None:
    first, second, _ = versions
    await set_alias(api, "production", first)
    await set_alias(api, "production", second)
    await removed(api, "production")
    await set_alias(api, "production", first)
    history = (await model_of(api))["aliasHistory"]
    told = [(each["modelVersion"]["version"], each["endedAt"] is None) for each in history["nodes"]]
    assert told == [(first, True), (second, False), (first, False)]
    assert is_gapless(history["nodes"][1:])
    set_again, ended = history["nodes"][0]["setAt"], history["nodes"][1]["endedAt"]
    assert datetime.fromisoformat(set_again) > datetime.fromisoformat(ended)
    assert {each["endedBy"] for each in history["nodes"][1:]} == {"MODELYARD_TOKEN"}
    assert await events_of_model(api) == [
        ("MODEL_ALIAS_SET", {"alias": "production", "version": first, "before": None}),
        ("MODEL_ALIAS_SET", {"alias": "production", "version": second, "before": first}),
        ("MODEL_ALIAS_REMOVED", {"alias": "production", "before": second}),
        ("MODEL_ALIAS_SET", {"alias": "production", "version": first, "before": None}),
    ]


async def test_an_alias_that_points_there_already_is_left_as_it_is(api: Api, versions: list[str]) -> None:
    first = await set_alias(api, "production", versions[0])
    before = await api.counts(), await model_of(api)
    assert await set_alias(api, "production", versions[0]) == first
    assert (await api.counts(), await model_of(api)) == before


async def test_twenty_moves_at_once_leave_one_alias_and_a_history_without_gaps(api: Api, versions: list[str]) -> None:
    moves = [versions[number % 3] for number in range(20)]
    await asyncio.gather(*(set_alias(api, "production", version) for version in moves))
    model = await model_of(api)
    assert len(model["aliases"]) == 1
    nodes = model["aliasHistory"]["nodes"]
    assert [each["endedAt"] is None for each in nodes] == [True] + [False] * (len(nodes) - 1)
    assert is_gapless(nodes)
    pointed = [each["modelVersion"]["version"] for each in nodes]
    assert all(later != earlier for later, earlier in pairwise(pointed))
    assert pointed[0] == model["aliases"][0]["modelVersion"]["version"]
    overlaps = await api.pool.fetchval(
        """SELECT count(*)
        FROM model_alias AS one
        JOIN model_alias AS other ON other.model_id = one.model_id AND other.name = one.name AND other.id <> one.id
        WHERE one.set_at < coalesce(other.ended_at, 'infinity') AND other.set_at < coalesce(one.ended_at, 'infinity')"""
    )
    assert overlaps == 0


async def test_of_several_who_expect_the_same_one_moves_the_alias(api: Api, versions: list[str]) -> None:
    first, second, third = versions
    fields = {"modelName": "iris", "alias": "production"}
    payloads = await asyncio.gather(
        *(api.mutate("setModelAlias", "__typename", **fields, version=each, expectedVersion=None) for each in versions)
    )
    assert sorted(len(payload["errors"]) for payload in payloads) == [0, 1, 1]
    assert {error["code"] for payload in payloads for error in payload["errors"]} == {"ALIAS_MOVED"}
    await set_alias(api, "production", first)
    # Whoever asks again because the answer was lost is told that it is so.
    await set_alias(api, "production", first, expectedVersion=None)
    (error,) = await refused(api, "setModelAlias", **fields, version=third, expectedVersion=second)
    assert (error["__typename"], error["code"], error["path"]) == (
        "AliasMovedError",
        "ALIAS_MOVED",
        ["expectedVersion"],
    )
    assert (error["expectedVersion"], error["actualVersion"]) == (second, first)
    await set_alias(api, "production", third, expectedVersion=first)
    (error,) = await refused(api, "removeModelAlias", **fields, expectedVersion=first)
    assert (error["code"], error["expectedVersion"], error["actualVersion"]) == ("ALIAS_MOVED", first, third)
    (error,) = await refused(api, "setModelAlias", **fields, version=second, expectedVersion=None)
    assert (error["expectedVersion"], error["actualVersion"]) == (None, third)
    assert (await removed(api, "production", expectedVersion=third))["modelVersion"] == {"version": third}


async def test_a_name_that_breaks_the_rule_is_refused(api: Api, versions: list[str]) -> None:
    for name in ("", "1st", "-a", "a b", "é", "a" * 65, "a\n", "a\0", "标签", "latest", "LATEST"):
        (error,) = await refused(api, "setModelAlias", modelName="iris", alias=name, version=versions[0])
        assert (error["code"], error["path"]) == ("INVALID_INPUT", ["alias"]), name
    assert "latestVersion" in error["message"]
    assert (await set_alias(api, "a" * 64, versions[0]))["name"] == "a" * 64


async def test_an_alias_points_at_normal_versions_of_its_own_model_alone(api: Api, versions: list[str]) -> None:
    failed = await api.import_version("iris", await upload_job(api, NOTES, algorithm=MXNET))
    assert (await api.imported("iris", failed))["status"] == "IMPORT_FAILED"
    await accepted(api, "deleteModelVersion", "__typename", modelVersion=named(versions[2]))
    for version, model, code, path in (
        (failed, "iris", "MODEL_VERSION_NOT_READY", ["version"]),
        (versions[2], "iris", "NOT_FOUND", ["version"]),
        ("9.9.9", "iris", "NOT_FOUND", ["version"]),
        ("latest", "iris", "NOT_FOUND", ["version"]),
        (versions[0], "isis", "NOT_FOUND", ["modelName"]),
        (versions[0], "iris\0", "NOT_FOUND", ["modelName"]),
    ):
        (error,) = await refused(api, "setModelAlias", modelName=model, alias="production", version=version)
        assert (error["code"], error["path"]) == (code, path), version


async def test_the_name_and_the_version_are_refused_together(api: Api, versions: list[str]) -> None:
    errors = await refused(api, "setModelAlias", modelName="iris", alias="1", version="9.9.9")
    assert [(error["code"], error["path"]) for error in errors] == [
        ("INVALID_INPUT", ["alias"]),
        ("NOT_FOUND", ["version"]),
    ]


async def test_an_alias_that_is_not_there_cannot_be_removed(api: Api, versions: list[str]) -> None:
    (error,) = await refused(api, "removeModelAlias", modelName="iris", alias="production")
    assert (error["code"], error["path"]) == ("NOT_FOUND", ["alias"])
    await set_alias(api, "production", versions[0])
    await removed(api, "production")
    (error,) = await refused(api, "removeModelAlias", modelName="iris", alias="production")
    assert error["code"] == "NOT_FOUND"


async def test_a_model_has_a_hundred_aliases_at_most(api: Api, versions: list[str]) -> None:
    for number in range(100):
        await set_alias(api, f"alias-{number}", versions[0])
    (error,) = await refused(api, "setModelAlias", modelName="iris", alias="one-more", version=versions[0])
    assert (error["code"], error["path"]) == ("INVALID_INPUT", ["alias"])
    await set_alias(api, "alias-7", versions[1])
    await removed(api, "alias-8")
    await set_alias(api, "one-more", versions[0])


async def test_the_same_key_answers_again_even_after_the_alias_went_on(api: Api, versions: list[str]) -> None:
    first = await set_alias(api, "production", versions[0], idempotencyKey="k")
    await set_alias(api, "production", versions[1])
    before = await model_of(api)
    assert await set_alias(api, "production", versions[0], idempotencyKey="k") == first
    assert await model_of(api) == before


async def test_what_an_alias_pointed_at_is_known_after_the_version_is_gone_for_good(
    api: Api, versions: list[str]
) -> None:
    first, second, _ = versions
    begun = (await set_alias(api, "production", first))["setAt"]
    await set_alias(api, "production", second)
    await accepted(api, "deleteModelVersion", "__typename", modelVersion=named(first))
    await api.pool.execute("UPDATE model_version SET purged_at = now() WHERE deleted_at IS NOT NULL")
    found = await api.ask(
        f"""query ($asOf: DateTime) {{ model(by: {{name: "iris"}}) {{
            aliases {{ {POINTED} }}
            alias(name: "production", asOf: $asOf) {{ {POINTED} }}
            aliasHistory {{ nodes {{ {POINTED} }} }} }} }}""",
        asOf=begun,
    )
    now, then = {"version": second, "modelVersion": {"version": second}}, {"version": first, "modelVersion": None}
    assert found["model"] == {"aliases": [now], "alias": then, "aliasHistory": {"nodes": [now, then]}}


async def test_whoever_moves_or_removes_an_alias_is_shown_the_model_as_it_is_now(api: Api, versions: list[str]) -> None:
    fields, model = {"modelName": "iris", "alias": "production"}, "model { name revision aliases { name version } }"
    moved = await accepted(api, "setModelAlias", model, **fields, version=versions[0])
    assert moved["model"]["aliases"] == [{"name": "production", "version": versions[0]}]
    gone = await accepted(api, "removeModelAlias", model, **fields)
    revision = moved["model"]["revision"] + 1
    assert gone["model"] == {"name": "iris", "revision": revision, "aliases": []}
    refusal = await api.mutate("removeModelAlias", model, **fields)
    assert refusal["model"] is None
