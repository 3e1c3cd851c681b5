"""Training jobs that ran elsewhere: recorded as versions, numbered, and placed in storage."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from artifacts.built_in_algorithm import built_in_algorithms
from resolvers.errors import Refusal
from resolvers.workspace import grant_prefix
from tests.api import Api
from tests.training_jobs import FRAMEWORK, record, refused, refused_values, report


async def test_a_version_is_recorded_with_everything_that_its_job_did(api: Api) -> None:
    given = {
        "status": "COMPLETED",
        "architecture": "AARCH64",
        "region": "elsewhere",
        "parameters": [{"name": "lr", "value": "0.1"}, {"name": "空", "value": ""}],
        "metrics": [{"name": "accuracy", "value": 1}, {"name": "loss", "value": -1.5e300}],
    }
    times = {"startedAt": "2026-01-31T14:00:00+02:00", "finishedAt": "2026-01-31T12:00:01.500Z"}
    shown = await record(api, description="flowers", **times, **given)
    assert {name: shown[name] for name in given} == given
    assert (shown["name"], shown["revision"], shown["durationSeconds"]) == ("V0001", 1, 1.5)
    assert (shown["startedAt"], shown["finishedAt"]) == ("2026-01-31T12:00:00Z", "2026-01-31T12:00:01.5Z")
    assert shown["algorithm"] == {"__typename": "FrameworkRun", "aiEngine": "SCIKIT_LEARN", "version": None}
    assert shown["trainingJob"] == {
        "name": "iris",
        "description": "flowers",
        "revision": 1,
        "latestVersion": {"name": "V0001"},
    }


async def test_a_version_without_more_than_its_algorithm_completed_here(api: Api) -> None:
    shown = await record(api)
    assert (shown["status"], shown["region"], shown["isImportable"], shown["importBlockers"]) == (
        "COMPLETED",
        "local",
        False,
        [{"code": "OUTPUT_EMPTY"}],
    )
    unknown = ("statusMessage", "architecture", "durationSeconds", "startedAt", "finishedAt")
    assert [shown[name] for name in unknown] == [None] * len(unknown)
    assert (shown["parameters"], shown["metrics"]) == ([], [])


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (
            {"builtIn": {"name": "ResNet_v1_50"}},
            {
                "__typename": "BuiltInAlgorithmRun",
                "name": "ResNet_v1_50",
                "algorithm": {"name": "ResNet_v1_50", "aiEngine": "TENSORFLOW"},
            },
        ),
        (
            {"framework": {"aiEngine": "PYTORCH", "version": "2.1"}},
            {"__typename": "FrameworkRun", "aiEngine": "PYTORCH", "version": "2.1"},
        ),
        (
            {"customImage": {"image": "registry.example/own:1"}},
            {"__typename": "CustomImageRun", "image": "registry.example/own:1"},
        ),
    ],
)
async def test_an_algorithm_is_a_built_in_one_a_framework_or_an_image(
    api: Api, given: dict[str, Any], shown: dict[str, Any]
) -> None:
    assert (await record(api, algorithm=given))["algorithm"] == shown


async def test_an_algorithm_is_exactly_one_of_the_three(api: Api) -> None:
    before = await api.counts()
    for algorithm in ({}, {**FRAMEWORK, "builtIn": {"name": "ResNet_v1_50"}}, {"framework": None}):
        answer = await api.send(
            "mutation ($input: RecordTrainingJobVersionInput!) {"
            " recordTrainingJobVersion(input: $input) { __typename } }",
            input={"trainingJobName": "iris", "algorithm": algorithm},
        )
        assert answer["errors"][0]["extensions"]["code"] != "INTERNAL_SERVER_ERROR", algorithm
    assert await api.counts() == before


async def test_an_unknown_built_in_algorithm_is_refused_with_those_that_there_are(api: Api) -> None:
    for name in ("resnet", "", "half\0"):
        (error,) = await refused(
            api, "recordTrainingJobVersion", trainingJobName="iris", algorithm={"builtIn": {"name": name}}
        )
        assert (error["code"], error["path"]) == ("NOT_FOUND", ["algorithm", "builtIn", "name"])
        assert all(entry.name in error["hint"] for entry in built_in_algorithms())


RECORD_REFUSALS: list[tuple[dict[str, Any], list[str]]] = [
    ({"trainingJobName": ""}, ["trainingJobName"]),
    ({"trainingJobName": "a b"}, ["trainingJobName"]),
    ({"trainingJobName": "模型"}, ["trainingJobName"]),
    ({"trainingJobName": "iris\n"}, ["trainingJobName"]),
    ({"trainingJobName": "iris\0"}, ["trainingJobName"]),
    ({"trainingJobName": "x" * 65}, ["trainingJobName"]),
    ({"description": "x" * 1_001}, ["description"]),
    ({"description": "half\0"}, ["description"]),
    ({"algorithm": {"customImage": {"image": ""}}}, ["algorithm", "customImage", "image"]),
    ({"algorithm": {"customImage": {"image": "x" * 513}}}, ["algorithm", "customImage", "image"]),
    ({"algorithm": {"customImage": {"image": "half\0"}}}, ["algorithm", "customImage", "image"]),
    ({"algorithm": {"framework": {"aiEngine": "ONNX", "version": ""}}}, ["algorithm", "framework", "version"]),
    ({"algorithm": {"framework": {"aiEngine": "ONNX", "version": "x" * 65}}}, ["algorithm", "framework", "version"]),
    ({"algorithm": {"framework": {"aiEngine": "ONNX", "version": "1\0"}}}, ["algorithm", "framework", "version"]),
    ({"parameters": [{"name": "", "value": "1"}]}, ["parameters", "0", "name"]),
    ({"parameters": [{"name": "a\0", "value": "1"}]}, ["parameters", "0", "name"]),
    ({"parameters": [{"name": "a", "value": "1"}, {"name": "a", "value": "2"}]}, ["parameters", "1", "name"]),
    ({"parameters": [{"name": "a", "value": "x" * 4_001}]}, ["parameters", "0", "value"]),
    ({"parameters": [{"name": "a", "value": "\0"}]}, ["parameters", "0", "value"]),
    ({"parameters": [{"name": f"a{n}", "value": ""} for n in range(201)]}, ["parameters"]),
    ({"metrics": [{"name": "x" * 257, "value": 1.0}]}, ["metrics", "0", "name"]),
    ({"metrics": [{"name": "f1", "value": 1.0}, {"name": "f1", "value": 1.0}]}, ["metrics", "1", "name"]),
    ({"metrics": [{"name": f"a{n}", "value": 1.0} for n in range(201)]}, ["metrics"]),
    ({"region": ""}, ["region"]),
    ({"region": "x" * 65}, ["region"]),
    ({"region": "a\0"}, ["region"]),
    ({"startedAt": "2026-01-31T12:00:00Z", "finishedAt": "2026-01-31T12:59:59+01:00"}, ["finishedAt"]),
    ({"idempotencyKey": ""}, ["idempotencyKey"]),
    ({"idempotencyKey": "x" * 201}, ["idempotencyKey"]),
    ({"idempotencyKey": "half\0"}, ["idempotencyKey"]),
]


async def test_a_value_that_breaks_its_rule_is_refused_at_its_place_and_stores_nothing(api: Api) -> None:
    fields = {"trainingJobName": "iris", "algorithm": FRAMEWORK}
    await refused_values(api, "recordTrainingJobVersion", fields, RECORD_REFUSALS)


async def test_everything_that_is_wrong_is_told_at_once(api: Api) -> None:
    errors = await refused(
        api,
        "recordTrainingJobVersion",
        trainingJobName="a b",
        algorithm={"customImage": {"image": ""}},
        parameters=[{"name": "", "value": "\0"}],
        region="",
    )
    assert [error["path"] for error in errors] == [
        ["trainingJobName"],
        ["algorithm", "customImage", "image"],
        ["parameters", "0", "name"],
        ["parameters", "0", "value"],
        ["region"],
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("startedAt", "0001-01-01T00:00:00+14:00"),
        ("finishedAt", "9999-12-31T23:59:59-14:00"),
        ("startedAt", "2026-01-31T12:00:00"),
        ("startedAt", "yesterday"),
        ("startedAt", ""),
        ("startedAt", 0),
        ("metrics", [{"name": "loss", "value": "1"}]),
        ("status", "DONE"),
    ],
)
async def test_a_value_of_another_type_is_the_callers_mistake(api: Api, field: str, value: Any) -> None:
    before = await api.counts()
    answer = await api.send(
        "mutation ($input: RecordTrainingJobVersionInput!) { recordTrainingJobVersion(input: $input) { __typename } }",
        input={"trainingJobName": "iris", "algorithm": FRAMEWORK, field: value},
    )
    assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT", answer
    assert await api.counts() == before


async def test_a_metric_that_json_cannot_hold_is_refused(api: Api) -> None:
    before = await api.counts()
    for number in ("1e999", "-1e999", "1" + "0" * 400):
        answer = await api.send(
            f"""mutation {{ recordTrainingJobVersion(input: {{trainingJobName: "iris",
                algorithm: {{framework: {{aiEngine: ONNX}}}}, metrics: [{{name: "loss", value: {number}}}]}}) {{
                errors {{ code path }} }} }}"""
        )
        assert "INTERNAL_SERVER_ERROR" not in json.dumps(answer), answer
    assert await api.counts() == before


async def test_text_that_is_not_unicode_is_the_callers_mistake(api: Api) -> None:
    before = await api.counts()
    for field in ("description", "region", "trainingJobName", "idempotencyKey"):
        values = {"trainingJobName": "iris", "algorithm": FRAMEWORK, field: "\ud800"}
        document = """mutation ($input: RecordTrainingJobVersionInput!) {
            recordTrainingJobVersion(input: $input) { errors { code path } } }"""
        body = json.dumps({"query": document, "variables": {"input": values}}).encode()
        response = await api.http.post("/graphql", content=body, headers={"content-type": "application/json"})
        assert "INTERNAL_SERVER_ERROR" not in response.text, field
        assert '"data":{"recordTrainingJobVersion":{"errors":[]' not in response.text, field
    assert await api.counts() == before


async def test_versions_are_numbered_one_after_another_without_gaps(api: Api) -> None:
    names = await asyncio.gather(*(api.record_job() for _ in range(12)), api.record_job("other"))
    assert sorted(names[:-1]) == [f"V{number:04d}" for number in range(1, 13)]
    assert names[-1] == "V0001"
    assert await api.count("training_job") == 2


async def test_a_refused_version_uses_no_number(api: Api) -> None:
    await refused(
        api, "recordTrainingJobVersion", trainingJobName="iris", algorithm=FRAMEWORK, output={"key": "not/granted"}
    )
    assert await api.record_job() == "V0001"


async def test_names_go_on_beyond_four_digits(api: Api) -> None:
    await api.record_job()
    await api.pool.execute("UPDATE training_job SET last_version_number = 9998")
    assert [await api.record_job() for _ in range(2)] == ["V9999", "V10000"]
    assert (await report(api, "V10000", statusMessage="late"))["statusMessage"] == "late"


async def test_a_new_description_takes_the_place_of_the_jobs_own_and_none_leaves_it(api: Api) -> None:
    assert (await record(api, description="first"))["trainingJob"]["description"] == "first"
    assert (await record(api))["trainingJob"]["description"] == "first"
    shown = (await record(api, description="third"))["trainingJob"]
    assert (shown["description"], shown["revision"], shown["latestVersion"]) == ("third", 3, {"name": "V0003"})


async def test_an_output_is_assigned_below_the_workspace_and_to_each_version_its_own(api: Api) -> None:
    workspace_id = await api.pool.fetchval("SELECT id FROM workspace WHERE name = 'default'")
    outputs = [(await record(api))["output"] for _ in range(2)] + [(await record(api, "other"))["output"]]
    assert len({output["key"] for output in outputs}) == 3
    for output in outputs:
        assert output["store"] == "default"
        assert output["key"].startswith(f"workspaces/{workspace_id}/training-jobs/")
    shown = await record(api)
    assert shown["modelDirectory"] == {"store": "default", "key": f"{shown['output']['key']}/model"}


async def test_an_output_may_lie_in_a_granted_prefix(api: Api) -> None:
    await grant_prefix(api.pool, name="default", store="default", prefix="shared/training")
    for given, kept in (
        ({"key": "shared/training/job-7"}, "shared/training/job-7"),
        ({"key": "/shared/training/job-7/", "store": "default"}, "shared/training/job-7"),
        ({"key": "shared/training"}, "shared/training"),
    ):
        shown = await record(api, output=given)
        assert shown["output"] == {"store": "default", "key": kept}
        assert shown["modelDirectory"] is None


async def test_an_output_anywhere_else_is_refused(api: Api) -> None:
    await grant_prefix(api.pool, name="default", store="default", prefix="shared/training")
    with pytest.raises(Refusal, match="no store named 'gone'"):
        await grant_prefix(api.pool, name="default", store="gone", prefix="shared")
    # A store that was configured once may still be granted.
    await api.pool.execute("INSERT INTO granted_prefix SELECT id, 'gone', 'shared/' FROM workspace")
    own = (await record(api))["output"]["key"]
    elsewhere: list[dict[str, Any]] = [
        {"key": "elsewhere"},
        {"key": "shared"},
        {"key": "shared/training-2"},
        {"key": "shared/training/../secret"},
        {"key": "shared/training/./a"},
        {"key": "shared//training"},
        {"key": "shared\\training"},
        {"key": "shared/training/half\0"},
        {"key": "shared/training/line\n"},
        {"key": "shared/training/" + "x" * 1_024},
        {"key": ""},
        {"key": "/"},
        {"key": "blobs"},
        {"key": own},
        {"key": "shared/training", "store": "other"},
        {"key": "shared/training", "store": "half\0"},
        {"key": "shared/training", "store": "gone"},
    ]
    for output in elsewhere:
        (error,) = await refused(
            api, "recordTrainingJobVersion", trainingJobName="iris", algorithm=FRAMEWORK, output=output
        )
        assert (error["code"], error["path"]) == ("LOCATION_REFUSED", ["output"]), output
        assert error["hint"]


async def test_a_repeated_key_gets_the_first_answer_and_stores_nothing_more(api: Api) -> None:
    fields: dict[str, Any] = {
        "status": "RUNNING",
        "idempotencyKey": "k" * 200,
        "startedAt": "2026-01-31T12:00:00Z",
        "metrics": [{"name": "f1", "value": 0.5}],
    }
    shown = await asyncio.gather(*(record(api, **fields) for _ in range(5)))
    assert [version["name"] for version in shown] == ["V0001"] * 5
    before = await api.counts()
    assert (await record(api, **fields))["name"] == "V0001"
    same_moment = {**fields, "startedAt": "2026-01-31T13:00:00+01:00"}
    assert (await record(api, **same_moment))["name"] == "V0001"
    reported = {"status": "COMPLETED", "expectedRevision": 1, "idempotencyKey": "report"}
    assert [(await report(api, "V0001", **reported))["revision"] for _ in range(2)] == [2, 2]
    after = await api.counts()
    assert {table for table in after if after[table] != before[table]} == {"event", "idempotency_key"}
    assert after["event"] == before["event"] + 1


async def test_a_key_of_another_request_is_refused(api: Api) -> None:
    await record(api, idempotencyKey="key")
    for mutation, fields in (
        ("recordTrainingJobVersion", {"algorithm": FRAMEWORK, "description": "other"}),
        ("recordTrainingJobVersion", {"algorithm": {"framework": {"aiEngine": "ONNX"}}}),
        ("reportTrainingJobVersion", {"versionName": "V0001"}),
    ):
        (error,) = await refused(api, mutation, trainingJobName="iris", idempotencyKey="key", **fields)
        assert (error["code"], error["path"]) == ("IDEMPOTENCY_KEY_REUSED", ["idempotencyKey"])


async def test_a_refused_request_leaves_its_key_free(api: Api) -> None:
    fields = {"trainingJobName": "iris", "algorithm": FRAMEWORK, "idempotencyKey": "key"}
    await refused(api, "recordTrainingJobVersion", output={"key": "elsewhere"}, **fields)
    assert (await record(api, idempotencyKey="key"))["name"] == "V0001"


async def test_what_happened_to_a_version_can_be_read(api: Api) -> None:
    await record(api, status="RUNNING")
    await report(api, "V0001", status="COMPLETED")
    await record(api)
    document = """{ modelyard { viewer { name } } trainingJob(by: {name: "iris"}) { versions(last: 1) { nodes { name
        auditEvents { totalCount nodes { number kind actor data } } } } } }"""
    data = await api.ask(document)
    actor = data["modelyard"]["viewer"]["name"]
    (version,) = data["trainingJob"]["versions"]["nodes"]
    assert version["name"] == "V0001"
    assert version["auditEvents"] == {
        "totalCount": 2,
        "nodes": [
            {
                "number": 2,
                "kind": "TRAINING_JOB_VERSION_REPORTED",
                "actor": actor,
                "data": {"status": "COMPLETED"},
            },
            {
                "number": 1,
                "kind": "TRAINING_JOB_VERSION_RECORDED",
                "actor": actor,
                "data": {"trainingJob": "iris", "version": "V0001"},
            },
        ],
    }


async def test_nothing_is_recorded_for_who_is_not_signed_in(api: Api) -> None:
    before = await api.counts()
    document = 'mutation { recordTrainingJobVersion(input: {trainingJobName: "iris", algorithm: {}}) { __typename } }'
    async with httpx.AsyncClient(base_url=api.http.base_url) as stranger:
        assert (await stranger.post("/graphql", json={"query": document})).status_code == 401
    assert await api.counts() == before
