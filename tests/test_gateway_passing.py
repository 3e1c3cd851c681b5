"""The gateway, over real HTTP: what it passes on and back."""

import pytest

from server.client_address import TrustedProxies
from server.prediction_header import answered_headers
from server.prediction_refusal import RefusalCode
from tests.gateway_house import SIGNED_IN, House, house, refusal

pytest_plugins = ("tests.gateway_fixture",)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_method_path_query_and_body_arrive_unchanged(home: House, method: str) -> None:
    await home.one()
    async with home.call("/a%2Fb/%E4%B8%AD//c?x=%20+1&x=2", method=method, data=b"hello") as response:
        told = await response.json()
        assert response.headers["x-modelyard-model-version"] == "ver_1"
        assert response.headers["x-instance"] == "ins_a"
    assert (told["method"], told["target"], told["body"]) == (method, "/a%2Fb/%E4%B8%AD//c?x=%20+1&x=2", "hello")


@pytest.mark.parametrize(("path", "target_path"), [("", "/"), ("/", "/"), ("?x=1", "/?x=1"), ("/v1?x", "/v1?x")])
async def test_the_services_root_is_the_instances_root(home: House, path: str, target_path: str) -> None:
    await home.one()
    async with home.call(path) as response:
        assert (await response.json())["target"] == target_path


@pytest.mark.parametrize("path", ["/../other", "/a/%2e%2e/b", "/a/..%2fb", "/./a", "/a/.."])
async def test_dot_segments_are_refused(home: House, path: str) -> None:
    replica = await home.one()
    async with home.call(path) as response:
        assert await refusal(response) == (400, RefusalCode.PATH_REFUSED)
    assert replica.calls == 0


async def test_secrets_and_hop_by_hop_headers_stay_behind(home: House) -> None:
    await home.one()
    sent = SIGNED_IN | {
        "cookie": "session=1", "x-auth-token": "t", "proxy-authorization": "Basic eA==", "te": "trailers",
        "connection": "keep-alive, x-mine", "x-mine": "1", "x-forwarded-for": "6.6.6.6", "forwarded": "for=6.6.6.6",
        "x-forwarded-host": "evil", "x-request-id": "req-1", "x-kept": "1", "content-type": "text/x",
        "accept-encoding": "br",
    }  # fmt: skip
    async with home.call("/", headers=sent) as response:
        told = await response.json()
        assert response.headers["x-request-id"] == "req-1"
    headers = dict(told["headers"])
    assert len(headers) == len(told["headers"])
    assert set(headers).isdisjoint(
        [
            "authorization",
            "cookie",
            "x-auth-token",
            "proxy-authorization",
            "te",
            "x-mine",
            "forwarded",
            "x-forwarded-host",
        ]
    )
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["x-forwarded-proto"] == "http"
    expected = {"x-request-id": "req-1", "x-kept": "1", "content-type": "text/x", "accept-encoding": "br"}
    assert expected.items() <= headers.items()


async def test_nothing_is_added_that_the_caller_did_not_say(home: House) -> None:
    await home.one()
    skipped = ["user-agent", "accept", "accept-encoding", "content-type"]
    async with home.call("/", skip_auto_headers=skipped) as response:
        names = {name for name, _ in (await response.json())["headers"]}
    assert names == {"host", "content-length", "x-request-id", "x-forwarded-for", "x-forwarded-proto"}


async def test_an_unusable_request_id_is_replaced(home: House) -> None:
    await home.one()
    async with home.call("/", headers=SIGNED_IN | {"x-request-id": "a b" * 40}) as response:
        made = response.headers["x-request-id"]
        assert dict((await response.json())["headers"])["x-request-id"] == made
    assert len(made) == 32


async def test_answers_keep_their_own_headers_and_lose_what_is_the_servers(home: House) -> None:
    await home.one()
    async with home.call("/headers") as response:
        assert (response.status, await response.read()) == (201, b"ok")
        assert response.headers.getall("x-kept") == ["1", "2"]
        dropped = ["set-cookie", "keep-alive", "x-dropped", "server", "access-control-allow-origin"]
        assert not [name for name in dropped if name in response.headers]
        assert len(response.headers.getall("date")) == 1
        assert response.headers.getall("x-request-id") != ["theirs"]


@pytest.mark.parametrize("path", ["/headers", "/page", "/fail", "/openapi.json", "/../x"])
async def test_no_answer_acts_as_a_page_of_ours(home: House, path: str) -> None:
    await home.one(is_public=True)
    async with home.call(path, method="GET", headers={}) as response:
        assert response.headers.getall("content-security-policy") == ["sandbox; default-src 'none'"]
        assert response.headers.getall("x-content-type-options") == ["nosniff"]


async def test_answers_speak_for_themselves_and_not_for_the_origin(home: House) -> None:
    await home.one()
    async with home.call("/page", method="GET") as response:
        assert response.headers["content-type"] == "text/html"
        assert response.headers["inference-header-content-length"] == "2"
        assert {name.lower() for name in response.headers} == {
            "content-type", "content-length", "inference-header-content-length", "content-security-policy",
            "x-content-type-options", "x-request-id", "x-modelyard-model-version", "x-instance", "date",
        }  # fmt: skip


@pytest.mark.parametrize(
    ("location", "is_passed"),
    [
        (b"/v1/next?a=b:c", True),
        (b"next/one", True),
        (b"?page=2", True),
        (b"HTTPS://store.example/a?b#c", True),
        (b"javascript:alert(1)", False),
        (b"java\tscript:alert(1)", False),
        (b" data:text/html,x", False),
        (b"intent://x", False),
    ],
)
def test_only_to_the_web_is_anybody_sent(location: bytes, is_passed: bool) -> None:
    assert answered_headers([(b"location", location)]) == ([(b"location", location)] if is_passed else [])


async def test_answers_without_a_body(home: House) -> None:
    await home.one()
    async with home.call("/empty") as response:
        assert (response.status, await response.read()) == (204, b"")
    async with home.call("/", method="HEAD", data=None) as response:
        assert (response.status, await response.read()) == (200, b"")
        assert int(response.headers["content-length"]) > 0


async def test_an_instances_error_is_its_own(home: House) -> None:
    await home.one()
    async with home.call("/fail") as response:
        assert (response.status, (await response.json())["code"]) == (500, "PREDICTION_FAILED")


async def test_connections_to_an_instance_are_used_again(home: House) -> None:
    replica = await home.one()
    for _ in range(20):
        async with home.call("/") as response:
            assert response.status == 200
    assert replica.server is not None
    assert len(replica.server.server_state.connections) == 1


async def test_a_trusted_proxys_word_is_passed_on() -> None:
    async with house(trusted_proxies=TrustedProxies(["127.0.0.0/8"])) as home:
        await home.one()
        said = SIGNED_IN | {"x-forwarded-for": "9.9.9.9", "x-forwarded-proto": "https"}
        async with home.call("/", headers=said) as response:
            headers = dict((await response.json())["headers"])
    assert (headers["x-forwarded-for"], headers["x-forwarded-proto"]) == ("9.9.9.9, 127.0.0.1", "https")
