import asyncio
from pathlib import Path

import httpx

from db.connection import Pool
from tests.api import Api, RunningServer, running_server, wait_for
from tests.services import ask, import_version, package, running, running_again, target

# Does what the request says.
OBEDIENT = """
kind, value = (data if isinstance(data, list) and len(data) == 2 else ("return", data))
if kind == "raise":
    raise ValueError(value)
if kind == "refuse":
    from model_service.model_service import InvalidInput
    raise InvalidInput(value)
if kind == "exit":
    os._exit(value)
if kind == "leave":
    raise SystemExit(value)
if kind == "sleep":
    import time
    time.sleep(value)
if kind == "bytes":
    return b"\\xff\\xfe"
if kind == "text":
    return "plain"
if kind == "unwritable":
    return object()
if kind == "nan":
    return float("nan")
return value
"""
MULTIPART = """
return {
    field: {name: len(file.read()) for name, file in value.items()} if isinstance(value, dict) else value
    for field, value in data.items()
}
"""
PREDICT = "json modelVersion { version }"


async def test_the_predict_mutation_answers_as_the_package_does(api: Api) -> None:
    version = await import_version(api, package(OBEDIENT))
    await running(api, "iris", target(version))
    bodies: list[object] = [
        True,
        1,
        -1.5,
        "text",
        [],
        [1, [2], 3],
        {},
        {"a": {"b": [None]}},
        2**62,
        "\u4e2d\U0001f600",
    ]
    for body in bodies:
        payload = await api.mutate("predict", PREDICT, serviceName="iris", json=body)
        assert payload == {"json": body, "modelVersion": {"version": version}, "errors": []}, body
    for asked, answer in ((["text", 0], "plain"), (["nan", 0], None), (["bytes", 0], "\ufffd\ufffd")):
        payload = await api.mutate("predict", PREDICT, serviceName="iris", json=asked)
        assert (payload["json"], payload["errors"]) == (answer, [])
    for refused, messages in (
        (["raise", "no such column"], ("answered 500", "ValueError: no such column")),
        (["leave", "goodbye"], ("answered 500", "SystemExit: goodbye")),
        (["refuse", "three columns are wanted"], ("answered 400", "three columns are wanted")),
        (["unwritable", 0], ("answered 500", "cannot be written as JSON")),
    ):
        before = await api.counts()
        (error,) = await api.refused("predict", serviceName="iris", json=refused)
        assert (error["code"], error["path"]) == ("PREDICTION_FAILED", ["json"])
        assert all(message in error["message"] for message in messages), error
        assert await api.counts() == before
    assert (await api.service("iris"))["status"] == "RUNNING"


async def test_what_cannot_be_sent_is_refused(server: RunningServer, api: Api) -> None:
    (error,) = await api.refused("predict", serviceName="nobody", json={})
    assert (error["code"], error["path"]) == ("NOT_FOUND", ["serviceName"])
    await running(api, "iris", target(await import_version(api, package(OBEDIENT))))
    for path in ("", "score", "/a?b=c", "/a b", "/a#b", "/a\n"):
        (error,) = await api.refused("predict", serviceName="iris", json={}, path=path)
        assert (error["code"], error["path"]) == ("INVALID_INPUT", ["path"]), path
    for path, status in (("/nowhere", 404), ("/../health", 400), ("/%2e%2e/health", 400)):
        (error,) = await api.refused("predict", serviceName="iris", json={}, path=path)
        assert error["code"] == "PREDICTION_FAILED"
        assert f"answered {status}" in error["message"]
    huge = 'mutation { predict(input: {serviceName: "iris", json: %s}) { json errors { code path } } }' % (10**30)
    (error,) = (await api.ask(huge))["predict"]["errors"]
    assert error == {"code": "INVALID_INPUT", "path": ["json"]}
    other = await server.client_of_new_workspace("other")
    (error,) = await other.refused("predict", serviceName="iris", json={})
    assert error["code"] == "NOT_FOUND"


async def test_predictions_of_programs_pass_through_the_gateway(server: RunningServer, api: Api) -> None:
    service = await running(api, "iris", target(await import_version(api, package(OBEDIENT))))
    url = service["predictionUrl"]
    assert url == f"{server.url}/v1/infers/{service['id']}"
    for path in ("", "/"):
        response = await api.http.post(f"{url}{path}", json={"a": 1})
        assert (response.status_code, response.json()) == (200, {"a": 1}), path
    assert response.headers["x-modelyard-model-version"].startswith("ver_")
    for path, status in (("/elsewhere", 404), ("/../../graphql", 404)):
        assert (await api.http.post(f"{url}{path}", json={})).status_code == status, path
    assert (await api.http.get(url)).status_code == 405
    answer = await api.http.post(url, content=b"{", headers={"content-type": "application/json"})
    assert answer.status_code == 400
    answer = await api.http.post(url, content=b"a", headers={"content-type": "image/png"})
    assert answer.status_code == 415
    answer = await api.http.post(url, json=["raise", "no such column"])
    assert answer.status_code == 500
    assert "no such column" in answer.json()["message"]


async def test_predictions_need_a_token_of_the_services_workspace(server: RunningServer, api: Api) -> None:
    service = await running(api, "iris", target(await import_version(api, package(OBEDIENT))))
    url = service["predictionUrl"]
    async with httpx.AsyncClient() as stranger:
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic eDp5"}):
            answer = await stranger.post(url, json={}, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHENTICATED")
    other = await server.client_of_new_workspace("other")
    unknown = service["id"][:-4] + "AAAA"
    for client, name in ((other, service["id"]), (api, unknown), (api, "svc_x"), (api, "x" * 65)):
        answer = await client.http.post(f"/v1/infers/{name}", json={})
        assert (answer.status_code, answer.json()["code"]) == (404, "SERVICE_NOT_FOUND"), name


async def test_forms_with_files_reach_the_package_as_modelarts_gave_them(api: Api) -> None:
    service = await running(api, "pictures", target(await import_version(api, package(MULTIPART))))
    sent = {"images": ("cat.jpg", b"\xff\xd8" * 1000, "image/jpeg")}
    answer = await api.http.post(service["predictionUrl"], files=sent, data={"size": "large"})
    assert (answer.status_code, answer.json()) == (200, {"images": {"cat.jpg": 2000}, "size": "large"})
    long = {"images": ("large.jpg", b"x" * (3 << 20), "image/jpeg")}
    answer = await api.http.post(service["predictionUrl"], files=long)
    assert answer.json() == {"images": {"large.jpg": 3 << 20}}


async def test_bodies_and_predictions_have_their_limits(pool: Pool, database_url: str, data_dir: Path) -> None:
    limits = {"prediction_max_body_bytes": 4096, "prediction_timeout_seconds": 1.5}
    async with running_server(pool, database_url, data_dir, **limits) as server:
        api = server.client()
        service = await running(api, "iris", target(await import_version(api, package(OBEDIENT))))
        url = service["predictionUrl"]
        answer = await api.http.post(url, json="x" * 4096)
        assert (answer.status_code, answer.json()["code"]) == (413, "BODY_TOO_LARGE")
        (error,) = await api.refused("predict", serviceName="iris", json="x" * 4096)
        assert "answered 413" in error["message"]
        answer = await api.http.post(url, json=["sleep", 3])
        assert answer.status_code == 504
        # Busy with what nobody waits for any more, it says so; then it answers again.
        await wait_for(lambda: is_answering(api, url))
        assert (await api.service("iris"))["status"] == "RUNNING"


async def is_answering(api: Api, url: str) -> bool:
    answer = await api.http.post(url, json=1)
    assert answer.status_code in (200, 503, 504), answer.text
    return answer.status_code == 200


async def test_an_instance_that_dies_of_a_prediction_is_told_and_started_again(api: Api) -> None:
    service = await running(api, "iris", target(await import_version(api, package(OBEDIENT))))
    answer = await api.http.post(service["predictionUrl"], json=["exit", 9])
    assert (answer.status_code, answer.json()["code"]) == (502, "INSTANCE_FAILED")
    failed = await api.service_in("iris", "FAILED")
    assert failed["statusMessage"].startswith("The process ended with exit code 9.\nIts last lines:\n")
    await running_again(api, "iris")
    assert await ask(api, service, 1) == 1


async def test_predictions_at_the_same_time_are_all_answered(api: Api) -> None:
    service = await running(api, "iris", target(await import_version(api, package(OBEDIENT)), instanceCount=2))
    answers = await asyncio.gather(*[ask(api, service, number) for number in range(60)])
    assert answers == list(range(60))


async def test_stopping_lets_a_prediction_that_is_under_way_finish(api: Api) -> None:
    slow = "print('begun', flush=True)\nimport time\ntime.sleep(2)\nreturn 'done'"
    service = await running(api, "iris", target(await import_version(api, package(slow))))
    asked = asyncio.create_task(ask(api, service, {}))
    await wait_for(lambda: has_begun(api))
    payload = await api.mutate("stopService", "__typename", serviceName="iris")
    assert payload["errors"] == []
    assert await asked == "done"
    await api.service_in("iris", "STOPPED")


async def has_begun(api: Api) -> bool:
    found = await api.service("iris", "logs { nodes { text } }")
    return "begun" in [line["text"] for line in found["logs"]["nodes"]]
