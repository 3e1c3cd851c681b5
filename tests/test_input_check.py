"""Inputs that are held to what the model declares."""

import asyncio
from io import BytesIO
from typing import Any

import pytest

from server.input_check import path_pattern
from server.prediction_refusal import RefusalCode
from tests.gateway_house import House, answered
from tests.replica import MIB
from tests.routes import service, target

pytest_plugins = ("tests.gateway_fixture",)
SCHEMA = {
    "type": "object",
    "properties": {
        "a/b": {"type": "number"},
        "rows": {
            "type": "array",
            "items": [{"type": "object", "required": ["x"], "properties": {"x": {"type": "int"}}}],
        },
    },
    "required": ["rows"],
}


async def refused(home: House, data: object, **options: Any) -> tuple[int, dict[str, Any]]:
    async with home.call(options.pop("path", "/"), data=data, **options) as response:
        return response.status, await response.json()


async def test_every_violation_is_told_with_its_place(home: House) -> None:
    replica = await home.one(checks_inputs=True)
    home.apis.declare("ver_1", {"request_schema": SCHEMA})
    assert await answered(home, "/") == 400
    status, told = await refused(home, b'{"a/b": "x", "rows": [{"x": 1}, {"x": 1.5}, {}]}')
    assert (status, told["code"], set(told)) == (400, "INVALID_INPUT", {"code", "message", "requestId", "problems"})
    assert {(problem["pointer"], problem["message"]) for problem in told["problems"]} == {
        ("/a~1b", 'The value is not of type "number"'),
        ("/rows/1/x", 'The value is not of type "integer"'),
        ("/rows/2", '"x" is a required property'),
    }
    assert replica.calls == 0
    async with home.call("/", data=b'{"a/b": 1, "rows": [{"x": 1}]}') as response:
        assert response.status == 200
    assert home.apis.lookups == {"ver_1": 1}


@pytest.mark.parametrize("body", [b"", b"{", b"nope", b"\xff\xfe", b"[" * 100_000])
async def test_what_is_no_json_is_refused(home: House, body: bytes) -> None:
    await home.one(checks_inputs=True)
    home.apis.declare("ver_1", {"request_schema": {}}, {"request_schema": SCHEMA})
    status, told = await refused(home, body)
    assert (status, told["problems"]) == (400, [{"pointer": "", "message": "The body is no JSON."}])


async def test_twenty_violations_are_enough_and_none_is_long(home: House) -> None:
    await home.one(checks_inputs=True)
    home.apis.declare("ver_1", {"request_schema": {"additionalProperties": False, "items": {"type": "string"}}})
    status, told = await refused(home, b"[%s0]" % (b"0," * 100))
    assert (status, len(told["problems"])) == (400, 20)
    status, told = await refused(home, b'{"%s": 1}' % (b"k" * 100_000))
    assert (status, len(told["problems"])) == (400, 1)
    assert len(told["problems"][0]["message"]) <= 300


async def test_the_version_that_is_drawn_is_the_one_that_says(home: House) -> None:
    (_, one), (_, two) = await home.replica("a"), await home.replica("b")
    home.apis.declare("ver_1", {"request_schema": {"type": "object"}})
    home.apis.declare("ver_2", {"request_schema": {"type": "array"}})
    for weights, status in (((100, 0), 200), ((0, 100), 400)):
        targets = [target(f"ver_{number}", weights[number - 1], place) for number, place in ((1, one), (2, two))]
        await home.swap(service("svc_one", targets=targets, checks_inputs=True))
        assert await answered(home, "/") == status


@pytest.mark.parametrize(
    "api",
    [
        {"request_schema": SCHEMA, "url": "/other"},
        {"request_schema": SCHEMA, "method": "GET"},
        {"request_schema": SCHEMA, "request_content_type": "multipart/form-data"},
        {"request_schema": None},
        {"request_schema": {"$ref": "http://127.0.0.1:9/schema"}},
        {"request_schema": {"$ref": "#/definitions/a", "definitions": {"a": {"$ref": "#/definitions/a"}}}},
        {"request_schema": {"$ref": "#"}},
        {"request_schema": {"type": "array", "minItems": "many"}},
        {"request_schema": {"pattern": "(?=lookahead)"}},
        {"request_schema": {"type": "array", "items": {"pattern": r"\p{L}{200}"}}},
    ],
)
async def test_what_is_not_declared_as_json_is_not_checked(home: House, api: dict[str, Any]) -> None:
    await home.one(checks_inputs=True)
    home.apis.declare("ver_1", api)
    assert await answered(home, "/") == 200


async def test_the_schemas_of_a_version_share_the_number_of_patterns(home: House) -> None:
    await home.one(checks_inputs=True)
    schema = {"type": "array", "items": {"patternProperties": {f"^{number}": {} for number in range(30)}}}
    home.apis.declare("ver_1", {"request_schema": schema}, {"request_schema": schema, "url": "/b"})
    assert [(await refused(home, b"{}"))[0], await answered(home, "/b")] == [400, 200]


async def test_nothing_is_checked_unless_asked_for(home: House) -> None:
    await home.one()
    home.apis.declare("ver_1", {"request_schema": {"type": "array"}})
    assert await answered(home, "/") == 200
    assert not home.apis.lookups


async def test_a_body_too_long_to_check_is_refused(home: House) -> None:
    replica = await home.one(checks_inputs=True)
    home.apis.declare("ver_1", {"request_schema": {}}, {"request_schema": SCHEMA, "url": "/b"})
    for path, size, status in (("/b", 2 * MIB, 413), ("/plain", 2 * MIB, 200)):
        async with home.call(path, data=BytesIO(bytes(size))) as response:
            assert response.status == status
    assert replica.calls == 1


async def test_a_check_that_cannot_be_looked_up_lets_nothing_pass(home: House) -> None:
    replica = await home.one(checks_inputs=True)
    home.apis.declare("ver_1", {"request_schema": SCHEMA})
    home.apis.is_broken = True
    status, told = await refused(home, b"{}")
    assert (status, told["code"], replica.calls) == (503, RefusalCode.TEMPORARILY_UNAVAILABLE, 0)
    home.apis.is_broken = False
    assert await asyncio.gather(*(answered(home, "/") for _ in range(5))) == [400] * 5
    assert home.apis.lookups == {"ver_1": 2}


def test_a_declared_path_may_have_places_for_names() -> None:
    pattern = path_pattern("/models/{name}.v1/predict")
    assert pattern.fullmatch("/models/iris.v1/predict")
    for other in ("/models/iris-v1/predict", "/models/a/b.v1/predict", "/models/.v1/predict"):
        assert not pattern.fullmatch(other)
