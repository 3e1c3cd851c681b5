"""GraphQL over HTTP: status codes, media types, who is let in, and what a broken request gets."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from gql.limits import Limits
from server.graphql_view import REQUEST_ID_FORM
from tests.api import TOKEN as REAL_TOKEN
from tests.api import RunningServer
from tests.npm import have_packages, required_node
from tests.stand_in import CHECKOUT, StandIn

JSON = "application/json"
GRAPHQL_RESPONSE = "application/graphql-response+json"
HELLO = {"query": "{ echo }"}
REMEMBER = {"query": "mutation { remember(value: 1) }"}


@pytest.fixture(params=[True, False], ids=["known", "new"])
def stand_in(request: pytest.FixtureRequest) -> StandIn:
    """Somebody who was let in a moment ago is answered on a shorter way: what is told has to be the same."""
    return StandIn(knows_who_asks=request.param)


@pytest.fixture
async def client(stand_in: StandIn) -> AsyncIterator[httpx.AsyncClient]:
    async with stand_in.client() as client:
        yield client


def code_of(response: httpx.Response) -> str:
    """The code of the one error in the response, which holds nothing else."""
    body = response.json()
    assert set(body) - {"extensions"} == {"errors"}, body
    (error,) = body["errors"]
    return str(error["extensions"]["code"])


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (JSON, JSON),
        ("*/*", JSON),
        (GRAPHQL_RESPONSE, GRAPHQL_RESPONSE),
        (f"{GRAPHQL_RESPONSE}, {JSON};q=0.9", GRAPHQL_RESPONSE),
        (f"{GRAPHQL_RESPONSE};q=0.5, {JSON}", JSON),
        (f"{GRAPHQL_RESPONSE};q=0", JSON),
        (f"{GRAPHQL_RESPONSE};q=high", GRAPHQL_RESPONSE),
    ],
)
async def test_the_accept_header_decides_the_media_type(
    client: httpx.AsyncClient, accept: str, media_type: str
) -> None:
    response = await client.post("/graphql", json=HELLO, headers={"accept": accept})
    assert response.status_code == 200
    assert response.headers["content-type"] == f"{media_type}; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    assert response.json()["data"] == {"echo": "hello"}


async def test_planned_bytes_are_passed_through(client: httpx.AsyncClient) -> None:
    response = await client.post("/graphql", json={"query": "{ planned }"})
    assert response.content == b'{"data":{"planned":"bytes"}}'


@pytest.mark.parametrize(
    ("query", "variables", "code"),
    [
        ("{", {}, "GRAPHQL_PARSE_FAILED"),
        ("{ }", {}, "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", {}, "GRAPHQL_VALIDATION_FAILED"),
        ('{ echo(at: "yesterday") }', {}, "GRAPHQL_VALIDATION_FAILED"),
        ("query A { echo } query B { echo }", {}, "GRAPHQL_VALIDATION_FAILED"),
        ("query ($at: DateTime!) { echo(at: $at) }", {"at": "yesterday"}, "BAD_USER_INPUT"),
        ("query ($number: Int!) { echo(number: $number) }", {}, "BAD_USER_INPUT"),
        ("{ " + "a: echo " * 50 + "}", {}, "OPERATION_TOO_LARGE"),
    ],
)
async def test_an_operation_that_cannot_run_has_no_data_and_says_why(
    client: httpx.AsyncClient, query: str, variables: dict[str, object], code: str
) -> None:
    request = {"query": query, "variables": variables}
    strict = await client.post("/graphql", json=request, headers={"accept": GRAPHQL_RESPONSE})
    lenient = await client.post("/graphql", json=request, headers={"accept": JSON})
    assert (strict.status_code, lenient.status_code) == (400, 200)
    assert strict.json() == lenient.json()
    assert {error["extensions"]["code"] for error in strict.json()["errors"]} == {code}
    assert "data" not in strict.json()


async def test_a_fault_of_ours_is_masked_and_can_be_found_by_its_request_id(client: httpx.AsyncClient) -> None:
    response = await client.post("/graphql", json={"query": "{ fault echo }"})
    assert "hunter2" not in response.text
    body = response.json()
    assert body["data"] == {"fault": None, "echo": "hello"}
    (error,) = body["errors"]
    assert error["message"] == "Internal server error."
    assert error["path"] == ["fault"]
    assert error["extensions"] == {
        "code": "INTERNAL_SERVER_ERROR",
        "requestId": response.headers["x-request-id"],
    }


async def test_a_value_of_ours_that_a_scalar_refuses_is_our_fault(client: httpx.AsyncClient) -> None:
    response = await client.post("/graphql", json={"query": "{ tooBig }"})
    assert response.json()["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"


async def test_a_mistake_of_the_caller_is_told_with_its_code(client: httpx.AsyncClient) -> None:
    response = await client.post("/graphql", json={"query": "{ mistake }"})
    (error,) = response.json()["errors"]
    assert (error["message"], error["extensions"]) == ("The name is taken.", {"code": "BAD_NAME"})


async def test_an_operation_that_takes_too_long_is_stopped() -> None:
    async with StandIn(limits=Limits(execution_seconds=0.05)).client() as client:
        response = await client.post("/graphql", json={"query": "{ stuck }"}, headers={"accept": GRAPHQL_RESPONSE})
    assert (response.status_code, code_of(response)) == (503, "OPERATION_TIMEOUT")


@pytest.mark.parametrize("knows_who_asks", [True, False], ids=["known", "new"])
@pytest.mark.parametrize("waiting", [0, 1])
async def test_what_is_more_than_may_run_and_wait_is_refused_for_a_while(knows_who_asks: bool, waiting: int) -> None:
    stand_in = StandIn(running=1, waiting=waiting, knows_who_asks=knows_who_asks)
    async with stand_in.client() as client:
        stuck = [asyncio.create_task(client.post("/graphql", json={"query": "{ stuck }"})) for _ in range(1 + waiting)]
        await asyncio.wait(stuck, timeout=0.05)
        refused = await asyncio.gather(*(client.post("/graphql", json=REMEMBER) for _ in range(3)))
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)
        served = await client.post("/graphql", json=REMEMBER)
    for response in refused:
        assert (response.status_code, code_of(response)) == (503, "OVERLOADED")
        assert response.headers["retry-after"] == "1"
        assert response.json()["errors"][0]["extensions"]["requestId"] == response.headers["x-request-id"]
    assert served.json()["data"] == {"remember": True}
    assert len(stand_in.remembered) == 1


@pytest.mark.parametrize(
    ("given", "is_kept"), [("job-42.a_B", True), ("", False), ("a b", False), ("x" * 65, False), ("é", False)]
)
async def test_a_request_keeps_a_plain_id_and_gets_one_otherwise(
    client: httpx.AsyncClient, given: str, is_kept: bool
) -> None:
    response = await client.post("/graphql", json=HELLO, headers={b"x-request-id": given.encode()})
    answered = response.headers["x-request-id"]
    assert REQUEST_ID_FORM.fullmatch(answered.encode())
    assert (answered == given) is is_kept


@pytest.mark.parametrize("accept", [JSON, GRAPHQL_RESPONSE, "*/*"])
async def test_nobody_is_let_in_without_a_good_token(stand_in: StandIn, accept: str) -> None:
    async with stand_in.client() as client:
        response = await client.post(
            "/graphql",
            json={"query": "mutation { remember(value: 1) }"},
            headers={"authorization": "Bearer other", "accept": accept},
        )
    assert (response.status_code, code_of(response)) == (401, "UNAUTHENTICATED")
    assert response.json()["errors"][0]["message"] == "This token is unknown."
    assert response.headers["www-authenticate"] == 'Bearer realm="modelyard"'
    assert stand_in.remembered == []


async def test_another_workspace_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.post("/graphql", json=HELLO, headers={"x-workspace": "theirs"})
    assert (response.status_code, code_of(response)) == (403, "WORKSPACE_REFUSED")


async def test_a_fault_before_the_operation_is_masked_too(client: httpx.AsyncClient) -> None:
    response = await client.post("/graphql", json=HELLO, headers={"x-workspace": "broken"})
    assert (response.status_code, code_of(response)) == (500, "INTERNAL_SERVER_ERROR")
    assert "10.0.0.1" not in response.text
    assert response.json()["errors"][0]["extensions"]["requestId"] == response.headers["x-request-id"]


async def test_a_query_may_be_got_but_not_by_a_page_of_another_site(client: httpx.AsyncClient) -> None:
    address = '/graphql?query=query($t:String!){echo(text:$t)}&variables={"t":"got"}'
    got = await client.get(address, headers={"accept": JSON})
    assert (got.status_code, got.json()["data"]) == (200, {"echo": "got"})
    del client.headers["authorization"]
    unasked = await client.get(address, headers={"accept": "image/avif,*/*;q=0.8"})
    assert (unasked.status_code, code_of(unasked)) == (400, "BAD_REQUEST")


async def test_a_mutation_cannot_be_got(stand_in: StandIn, client: httpx.AsyncClient) -> None:
    response = await client.get("/graphql?query=mutation{remember(value:1)}", headers={"accept": JSON})
    assert (response.status_code, code_of(response)) == (405, "METHOD_NOT_ALLOWED")
    assert response.headers["allow"] == "POST"
    assert stand_in.remembered == []


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
async def test_other_methods_are_refused(client: httpx.AsyncClient, method: str) -> None:
    response = await client.request(method, "/graphql")
    assert (response.status_code, response.headers["allow"]) == (405, "GET, POST")


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain; application/json",
        "",
        f"{JSON}; charset=latin1",
        f"{JSON};charset=utf-16",
        f'{JSON}; charset="iso-8859-1"',
        f"{JSON}; charset=utf-8; charset=latin1",
        f"{JSON}; charset=",
    ],
)
async def test_what_is_not_json_in_utf_8_is_refused(
    stand_in: StandIn, client: httpx.AsyncClient, content_type: str
) -> None:
    body = json.dumps({"query": "mutation { remember(value: 1) }"}).encode()
    response = await client.post("/graphql", content=body, headers={"content-type": content_type})
    assert (response.status_code, code_of(response)) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert stand_in.remembered == []


@pytest.mark.parametrize(
    "content_type",
    [
        JSON,
        f"{JSON}; charset=utf-8",
        f"{JSON};charset=utf-8",
        f"{JSON}; charset=UTF-8",
        f"{JSON}; Charset=UTF8",
        f'{JSON} ; charset="utf-8"',
        f"{JSON}; version=1; charset=utf-8",
        f"{JSON};",
    ],
)
async def test_json_in_utf_8_is_read_however_that_is_spelled(client: httpx.AsyncClient, content_type: str) -> None:
    body = json.dumps({"query": "query ($t: String!) { echo(text: $t) }", "variables": {"t": "é"}}, ensure_ascii=False)
    response = await client.post("/graphql", content=body.encode(), headers={"content-type": content_type})
    assert (response.status_code, response.json()["data"]) == (200, {"echo": "é"})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"5",
        b"null",
        b'"{ echo }"',
        b"[5]",
        b"[]",
        b'[{"query":"{ echo }"}]',
        b"{}",
        b'{"query":5}',
        b'{"query":"{ echo }","variables":[1]}',
        b'{"query":"{ echo }","variables":"{}"}',
        b'{"query":"{ echo }","extensions":7}',
        b'{"query":"{ echo }","operationName":"Other"}',
        b'{"query":"{ echo }","operationName":5}',
        b'{"query":"{ echo }","variables":{"a":"\\ud800"}}',
        b'{"query":"{ echo }","variables":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
        b"\xff\xfe",
    ],
)
async def test_what_is_no_graphql_request_is_a_bad_request(client: httpx.AsyncClient, body: bytes) -> None:
    response = await client.post("/graphql", content=body, headers={"content-type": JSON})
    assert (response.status_code, code_of(response)) == (400, "BAD_REQUEST")


@pytest.mark.parametrize("variables", ["{", "5", "[1]"])
async def test_bad_variables_of_a_get_are_a_bad_request(client: httpx.AsyncClient, variables: str) -> None:
    response = await client.get("/graphql", params={"query": "{ echo }", "variables": variables})
    assert (response.status_code, code_of(response)) == (400, "BAD_REQUEST")


async def test_a_body_may_not_be_larger_than_the_limit() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 50

    async with StandIn(body_limit_bytes=1_000).client() as client:
        declared = await client.post("/graphql", content=b" " * 1_001, headers={"content-type": JSON})
        streamed = await client.post("/graphql", content=chunks(), headers={"content-type": JSON})
        fitting = await client.post("/graphql", json={"query": "{ echo }" + " " * 900})
    assert (declared.status_code, code_of(declared)) == (413, "REQUEST_TOO_LARGE")
    assert (streamed.status_code, code_of(streamed)) == (413, "REQUEST_TOO_LARGE")
    assert fitting.status_code == 200


async def test_a_body_that_does_not_arrive_is_not_waited_for() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async with StandIn(body_timeout_seconds=0.05).client() as client:
        response = await client.post("/graphql", content=chunks(), headers={"content-type": JSON})
    assert (response.status_code, code_of(response)) == (408, "REQUEST_TIMEOUT")


async def test_a_visit_gets_the_page_without_a_token_and_runs_nothing(stand_in: StandIn) -> None:
    async with stand_in.client() as client:
        del client.headers["authorization"]
        response = await client.get("/graphql?query={echo}", headers={"accept": "text/html,*/*;q=0.8"})
    assert response.text == "the page"


@pytest.mark.slow
async def test_all_audits_of_the_specification_pass(
    server: RunningServer, tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> None:
    node = required_node()
    base = tmp_path_factory.getbasetemp()
    packages = (base if worker_id == "master" else base.parent) / "npm"
    await asyncio.to_thread(have_packages, node, packages)
    shutil.copyfile(CHECKOUT / "tests" / "audit.mjs", packages / "audit.mjs")
    address, authorization = f"{server.url}/graphql", f"Bearer {REAL_TOKEN}"
    told = json.loads(await output_of(*node.node, "audit.mjs", address, authorization, cwd=packages))
    assert [audit for audit in told if audit["status"] != "ok"] == []
    assert len(told) == 61


async def output_of(*command: str, cwd: Path) -> bytes:
    """What a command that succeeds writes."""
    process = await asyncio.create_subprocess_exec(*command, cwd=cwd, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(300):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, output
    return output


@pytest.mark.parametrize("accept", ["text/event-stream", "multipart/mixed;subscriptionSpec=1.0,application/json"])
async def test_who_accepts_a_stream_is_held_to_the_limits_too(accept: str) -> None:
    async with StandIn(limits=Limits(depth=2)).client() as client:
        document = {"query": "{ models { siblings { siblings { id } } } }"}
        response = await client.post("/graphql", json=document, headers={"accept": accept})
    assert code_of(response) == "OPERATION_TOO_LARGE"
