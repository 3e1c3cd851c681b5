"""The OpenAPI document of one service: what its versions declare, at the service's address."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from artifacts.standard_schema import NotStandard, standard_schema
from server.declared_api import Api
from server.prediction_refusal import STATUS_OF, RefusalCode

DOCUMENT_PATH = "/openapi.json"
PLACEHOLDER = re.compile(r"\{([^{}/]+)\}")
JSON = "application/json"
MULTIPART = "multipart/form-data"
Document = dict[str, Any]

REFUSAL: Mapping[str, Any] = {
    "type": "object",
    "description": "What the gateway answers in the stead of the model.",
    "required": ["code", "message", "requestId"],
    "properties": {
        "code": {"type": "string", "enum": [code.value for code in RefusalCode]},
        "message": {"type": "string"},
        "requestId": {"type": "string"},
        "problems": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "message"],
                "properties": {"pointer": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}


def declares_document(versions: Iterable[Sequence[Api]]) -> bool:
    """Whether a model has a document of its own at the place of ours."""
    return any(api["method"] == "GET" and api["url"] == DOCUMENT_PATH for apis in versions for api in apis)


def document_of(name: str, url: str, versions: Sequence[Sequence[Api]], *, is_public: bool) -> Document:
    """An OpenAPI 3.1 document; `versions` are the declared apis of each version. An API may be that of several."""
    paths: dict[str, dict[str, Any]] = {}
    for number, (path, method) in enumerate(_places(versions)):
        same = [api for apis in versions for api in apis if (api["url"], api["method"]) == (path, method)]
        operation = {"operationId": f"predict{number or ''}", **_operation(path, method, same)}
        paths.setdefault(path, {})[method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": name, "version": "1", "description": "Declared by the model's versions that it runs."},
        "servers": [{"url": url}],
        "security": [] if is_public else [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Refusal": REFUSAL},
        },
    }


def _places(versions: Sequence[Sequence[Api]]) -> Iterable[tuple[str, str]]:
    return dict.fromkeys((api["url"], api["method"]) for apis in versions for api in apis)


def _operation(path: str, method: str, apis: Sequence[Api]) -> Document:
    operation: Document = {
        "responses": {
            "200": {"description": "What the model answers.", **_content(apis, "response")},
            "default": {
                "description": f"What the model answers otherwise, or the gateway: {_statuses()}.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}},
            },
        },
    }
    parameters = [*_path_parameters(path), *(_query_parameters(apis) if method == "GET" else ())]
    if parameters:
        operation["parameters"] = parameters
    content = _content(apis, "request")
    return operation | {"requestBody": {"required": True, **content}} if content and method != "GET" else operation


def _path_parameters(path: str) -> Iterable[Document]:
    for name in dict.fromkeys(PLACEHOLDER.findall(path)):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _query_parameters(apis: Sequence[Api]) -> Iterable[Document]:
    """Without a body, what is declared of the request comes in the query."""
    schema = _shown(next((api["request_schema"] for api in apis if api["request_schema"]), None), JSON)
    required = schema.get("required")
    for name, member in schema.get("properties", {}).items():
        is_required = isinstance(required, list) and name in required
        yield {"name": name, "in": "query", "required": is_required, "schema": member}


def _content(apis: Sequence[Api], side: str) -> Document:
    """By media type. Where versions differ in their schemas, any of these."""
    kinds = dict.fromkeys(api[f"{side}_content_type"] for api in apis if api[f"{side}_content_type"])
    content = {}
    for kind in kinds:
        schemas = [api[f"{side}_schema"] for api in apis if api[f"{side}_content_type"] == kind]
        distinct = [schema for number, schema in enumerate(schemas) if schema not in schemas[:number]]
        shown = [_shown(schema, kind) for schema in distinct]
        content[kind] = {"schema": shown[0] if len(shown) == 1 else {"anyOf": shown}}
    return {"content": content} if content else {}


def _shown(schema: Mapping[str, Any] | None, kind: str) -> Document:
    try:
        shown = standard_schema(schema or {})
    except NotStandard as error:
        return {"description": f"The declared schema cannot be shown: {error}."}
    # A form's schema is that of its fields.
    return {"type": "object", **shown} if kind == MULTIPART else shown


def _statuses() -> str:
    return ", ".join(str(status) for status in sorted(set(STATUS_OF.values())))
