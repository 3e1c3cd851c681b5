"""What a model is asked and what it answers: `apis` of config.json."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from artifacts.ai_engine import AiEngine
from artifacts.config_schema import read_schema
from artifacts.json_node import JsonNode, JsonObject, JsonValue, closest, shown
from artifacts.json_text import parse_json
from artifacts.problem import Findings

API_LIMIT = 100
JSON = "application/json"
MULTIPART = "multipart/form-data"
_REQUEST_TYPES = (JSON, MULTIPART)
_METHODS = ("POST", "GET")
PROTOCOLS = ("http", "https")
# Recommended at most by modelarts_03_0076, table 3.
_NAME_LENGTH = 64
_DESCRIPTION_LENGTH = 100
# What modelarts_03_0078 calls the `data` of request and response.
_PARAMS = ("input_params", "output_params")
_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/{}-]*")
_MEDIA_TYPE = re.compile(r"[a-z0-9.+-]+/[a-z0-9.+*-]+")


@dataclass(frozen=True, slots=True)
class ApiParameter:
    """One top-level property of a schema; `type` is the property's own ("any" where it has none)."""

    name: str
    type: str
    description: str | None
    schema: JsonObject


@dataclass(frozen=True, slots=True)
class Api:
    """One path. A content type is None where the config says nothing of that side; schemas are as in config.json."""

    url: str = "/"
    method: str = "POST"
    protocol: str = "http"
    request_content_type: str | None = JSON
    response_content_type: str | None = JSON
    request_schema: JsonObject | None = None
    response_schema: JsonObject | None = None

    @property
    def inputs(self) -> tuple[ApiParameter, ...]:
        """The request's top-level properties (`input_params` of modelarts_03_0078)."""
        return _parameters(self.request_schema)

    @property
    def outputs(self) -> tuple[ApiParameter, ...]:
        return _parameters(self.response_schema)

    def to_json(self) -> JsonObject:
        """One entry of `apis`."""
        return {
            "url": self.url,
            "method": self.method.lower(),
            "protocol": self.protocol,
            "request": _side(self.request_content_type, self.request_schema),
            "response": _side(self.response_content_type, self.response_schema),
        }


def _side(content_type: str | None, schema: JsonObject | None) -> JsonObject:
    side: JsonObject = {}
    if content_type is not None:
        side["Content-type"] = content_type
    if schema is not None:
        side["data"] = schema
    return side


def _parameters(schema: JsonObject | None) -> tuple[ApiParameter, ...]:
    properties = (schema or {}).get("properties")
    if not isinstance(properties, dict):
        return ()
    return tuple(_parameter(name, value) for name, value in properties.items() if isinstance(value, dict))


def _parameter(name: str, schema: JsonObject) -> ApiParameter:
    description = schema.get("description")
    text = description if isinstance(description, str) else None
    return ApiParameter(name, _type_name(schema.get("type")), text, schema)


def _type_name(value: JsonValue) -> str:
    if isinstance(value, list):
        return " | ".join(str(name) for name in value) or "any"
    return value if isinstance(value, str) else "any"


def read_api_choices(
    choices: Sequence[Mapping[str, object]], *, ai_engine: AiEngine | None
) -> tuple[tuple[Api, ...], Findings]:
    """Reads apis that a request names, in the form and by the rules of config.json; pointers are as `/0/url`."""
    document = parse_json(json.dumps(list(choices)).encode(), file="apis")
    apis = read_apis(document.root, ai_engine=ai_engine) if document.root is not None else ()
    return apis, document.findings


def read_apis(node: JsonNode, *, ai_engine: AiEngine | None, default_protocol: str = "http") -> tuple[Api, ...]:
    """Reads the array. A model that is no image answers at one place, `/` (modelarts_23_0092)."""
    entries = node.items(at_most=API_LIMIT)
    if ai_engine is not AiEngine.IMAGE and len(entries) > 1:
        node.reject(
            f"The config declares {len(entries)} APIs; only a model of type Image may have more than one.",
            expected="one api with the url /",
            hint="Keep one, or import the model as a container image.",
        )
        entries = entries[:1]
    apis = [_read_api(entry, ai_engine, default_protocol) for entry in entries]
    _refuse_repeats(entries, apis)
    return tuple(apis)


def _refuse_repeats(entries: list[JsonNode], apis: list[Api]) -> None:
    seen: set[tuple[str, str]] = set()
    for entry, api in zip(entries, apis, strict=True):
        if (api.method, api.url) in seen:
            entry.reject(f"{api.method} {api.url} is declared twice.", hint="Keep one of the two.")
        seen.add((api.method, api.url))


def _read_api(node: JsonNode, ai_engine: AiEngine | None, default_protocol: str) -> Api:
    fields = _with_response(node.fields(("url", "method", "protocol", "request", "response", *_PARAMS)))
    method = fields["method"].choice(_METHODS) if "method" in fields else None
    protocol = fields["protocol"].choice(PROTOCOLS) if "protocol" in fields else None
    input_params, output_params = (fields.get(name) for name in _PARAMS)
    request_type, request_schema = _read_side(fields.get("request"), input_params, ai_engine, is_request=True)
    response_type, response_schema = _read_side(fields.get("response"), output_params, ai_engine, is_request=False)
    return Api(
        url=_read_url(fields["url"], ai_engine) if "url" in fields else "/",
        method=method or "POST",
        protocol=protocol or default_protocol,
        request_content_type=request_type,
        response_content_type=response_type,
        request_schema=request_schema,
        response_schema=response_schema,
    )


def _with_response(fields: dict[str, JsonNode]) -> dict[str, JsonNode]:
    """A bracket closed too late puts `response` into `request`; what is meant is plain."""
    request = fields.get("request")
    if request is None or not isinstance(request.value, dict):
        return fields
    if "response" in fields or "response" not in request.value:
        return fields
    response = request.child("response", request.value["response"])
    response.warn_of_key("The response stands inside the request and is read as if it stood beside it.", "Move it out.")
    rest: JsonObject = {key: value for key, value in request.value.items() if key != "response"}
    outside = JsonNode(rest, request.file, request.findings, request.parent, request.key)
    return fields | {"request": outside, "response": response}


def _read_url(node: JsonNode, ai_engine: AiEngine | None) -> str:
    url = node.text()
    if url is None:
        return "/"
    if ai_engine is not AiEngine.IMAGE and url != "/":
        node.refuse('"/"', hint="Only a model of type Image may declare other paths.")
    elif not _PATH.fullmatch(url) or ".." in url.split("/"):
        node.refuse("an absolute path without a query")
    return url


def _read_side(
    node: JsonNode | None, params: JsonNode | None, ai_engine: AiEngine | None, *, is_request: bool
) -> tuple[str | None, JsonObject | None]:
    """The content type and the schema of a request or a response; `params` is the schema outside of it."""
    fields = {} if node is None else node.fields(("Content-type", "data"))
    content_type = (
        _read_content_type(fields["Content-type"], is_request=is_request) if "Content-type" in fields else JSON
    )
    if ai_engine is not None and ai_engine.is_machine_learning and content_type not in (JSON, None):
        fields["Content-type"].refuse(f'"{JSON}"', hint=f"{ai_engine.model_type} models speak only {JSON}.")
    if params is not None and "data" not in fields:
        side = "request" if is_request else "response"
        params.warn_of_key(f"{shown(params.key)} is read as the data of the {side}.", None)
    return content_type, _read_data(fields.get("data", params))


def _read_data(node: JsonNode | None) -> JsonObject | None:
    schema = None if node is None else read_schema(node)
    if node is not None and schema is not None:
        _warn_of_long_names(node, schema)
    return schema


def _warn_of_long_names(node: JsonNode, schema: JsonObject) -> None:
    properties = node.child("properties", schema.get("properties"))
    for parameter in _parameters(schema):
        place = properties.child(parameter.name, parameter.schema)
        if len(parameter.name) > _NAME_LENGTH:
            place.warn_of_key(
                f"The name of a parameter has {len(parameter.name)} characters.",
                f"ModelArts recommends at most {_NAME_LENGTH}.",
            )
        if parameter.description is not None and len(parameter.description) > _DESCRIPTION_LENGTH:
            place.child("description", parameter.description).doubt(
                f"The description of a parameter has {len(parameter.description)} characters.",
                expected=f"at most {_DESCRIPTION_LENGTH} characters, as ModelArts recommends",
            )


def _read_content_type(node: JsonNode, *, is_request: bool) -> str | None:
    text = node.text(at_most=256)
    if text is None:
        return JSON
    media_type, _, parameters = text.lower().partition(";")
    media_type = media_type.strip()
    if parameters:
        node.doubt(f"The parameters of the content type {shown(text)} are left out.", expected=media_type)
    if is_request or closest(media_type, _REQUEST_TYPES) is not None:
        return replace(node, value=media_type).choice(_REQUEST_TYPES)
    if not _MEDIA_TYPE.fullmatch(media_type):
        node.refuse("a content type such as application/json")
    return media_type
