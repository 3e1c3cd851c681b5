"""The OpenAPI document of a service."""

from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from server.openapi import document_of
from tests.gateway_house import SIGNED_IN, House, refusal
from tests.routes import Apis, service, target

pytest_plugins = ("tests.gateway_fixture",)
NUMBER = {"type": "object", "properties": {"x": {"type": "float"}}, "required": ["x"]}
FORM = {"type": "object", "properties": {"image": {"type": "file"}, "size": {"type": "int"}}}
SAMPLES = {"type": "object", "properties": {"boxes": {"type": "array", "items": [{"type": "box"}]}}}


def document(*versions: list[dict[str, Any]], is_public: bool = False) -> dict[str, Any]:
    apis = Apis()
    for number, declared in enumerate(versions):
        apis.declare(str(number), *declared)
    made = document_of("iris", "https://x/v1/infers/svc_1", list(apis.stored.values()), is_public=is_public)
    OpenAPIV31SpecValidator(made).validate()
    return made


@pytest.mark.parametrize(
    "api",
    [
        {},
        {"request_schema": NUMBER, "response_schema": SAMPLES},
        {"request_schema": FORM, "request_content_type": "multipart/form-data", "url": "/images"},
        {"request_content_type": None, "response_content_type": None},
        {"response_content_type": "image/png"},
        {"url": "/{name}/{name}/{other}"},
        {"method": "GET", "request_schema": NUMBER},
        {"method": "GET", "request_schema": {"items": [], "properties": {"a": {"$ref": "#"}}}},
        {"request_schema": {"$ref": "#/definitions/a", "definitions": {"a": NUMBER}}},
        {"request_schema": {"$ref": "#"}},
        {"request_schema": {"properties": {"a": {"exclusiveMinimum": True, "minimum": 1, "required": True}}}},
    ],
)
def test_whatever_is_declared_the_document_is_valid(api: dict[str, Any]) -> None:
    document([api])
    document([api, {"url": "/a-b"}, {"url": "/a/b"}, {"method": "GET"}], [api])


def test_forms_have_files_and_queries_have_parameters() -> None:
    form = {"request_schema": FORM, "request_content_type": "multipart/form-data", "url": "/images"}
    made = document([form, {"method": "GET", "request_schema": NUMBER}])
    schema = made["paths"]["/images"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert schema["properties"]["image"] == {"type": "string", "format": "binary"}
    assert made["paths"]["/"]["get"]["parameters"] == [
        {"name": "x", "in": "query", "required": True, "schema": {"type": "number"}}
    ]
    assert "requestBody" not in made["paths"]["/"]["get"]


def test_versions_that_declare_different_schemas_are_both_shown() -> None:
    made = document([{"request_schema": NUMBER}], [{"request_schema": NUMBER}], [{"request_schema": FORM}])
    content = made["paths"]["/"]["post"]["requestBody"]["content"]
    assert [schema["properties"].keys() for schema in content["application/json"]["schema"]["anyOf"]] == [
        {"x"},
        {"image", "size"},
    ]


async def test_a_service_answers_with_its_document(home: House) -> None:
    replica = await home.one(requests_per_second=0.1, request_burst=1)
    home.apis.declare("ver_1", {"request_schema": NUMBER})
    for _ in range(2):
        async with home.call("/openapi.json", method="GET", data=None) as response:
            assert (response.status, response.headers["content-type"]) == (200, "application/json")
            told = await response.json()
    OpenAPIV31SpecValidator(told).validate()
    assert told["servers"] == [{"url": "https://models.example/v1/infers/svc_one"}]
    assert (told["info"]["title"], told["security"]) == ("one", [{"token": []}])
    assert replica.calls == 0


async def test_the_document_is_as_open_as_the_service(home: House) -> None:
    _, instance = await home.replica("a")
    async with home.call("/openapi.json", method="GET", headers={}, data=None) as response:
        assert (await refusal(response))[0] == 401
    await home.swap(service("svc_one", targets=[target("ver_1", 100, instance)], is_public=True))
    async with home.call("/openapi.json", method="GET", headers={}, data=None) as response:
        assert (response.status, (await response.json())["security"]) == (200, [])
    async with home.call("/openapi.json", method="GET", headers=SIGNED_IN, data=None) as response:
        assert response.status == 200


async def test_a_model_may_have_a_document_of_its_own(home: House) -> None:
    replica = await home.one()
    home.apis.declare("ver_1", {}, {"method": "GET", "url": "/openapi.json"})
    async with home.call("/openapi.json", method="GET", data=None) as response:
        assert (await response.json())["name"] == "a"
    async with home.call("/openapi.json", method="POST") as response:
        assert (await response.json())["name"] == "a"
    assert replica.calls == 2
