"""How a batch service asks: which of a version's APIs, and what of an input becomes which of its parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from artifacts.csv_mapping import read_mapping
from artifacts.csv_mapping_fit import misfits
from resolvers.batch_configuration import BatchMappingKind
from resolvers.batch_request import FileMapping, RuleMapping, of_rule
from resolvers.errors import ErrorCode, Refusal, invalid

JSON = "application/json"
DEFAULT_PATH = "/"
# As rows keep an API.
Api = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Asking:
    api_url: str
    api_method: str
    api_content_type: str
    mapping_kind: BatchMappingKind
    mapping_parameter: str | None
    mapping_rule: object
    warnings: Sequence[Refusal] = ()


def asking(apis: Sequence[Api], path: str | None, mapping: FileMapping | RuleMapping) -> Asking:
    """Raises Refusal."""
    if not any(api["inputs"] for api in apis):
        message = "The version declares no input parameters, so nothing can be mapped to them."
        hint = "Declare them in config.json or with `apis`, and import the version again."
        raise Refusal(ErrorCode.BATCH_INPUTS_MISSING, message, path=["target", "modelVersion"], hint=hint)
    api = _api(apis, path)
    content_type = api["request_content_type"] or JSON
    if isinstance(mapping, FileMapping):
        return Asking(
            api["url"], api["method"], content_type, BatchMappingKind.FILE, _parameter(api, mapping.parameter), None
        )
    if content_type != JSON:
        message = f"{api['url']} takes {content_type}; rows of CSV are sent as {JSON}."
        raise invalid(message, path=["mapping"], hint="Use a file mapping.")
    warnings = _misfits(api, mapping.rule)
    return Asking(api["url"], api["method"], content_type, BatchMappingKind.CSV, None, mapping.rule, warnings)


def _misfits(api: Api, rule: object) -> list[Refusal]:
    """Where a rule makes other requests than the API declares: a model may take them all the same."""
    faults = misfits(read_mapping(rule), api["request_schema"] or {})
    return [of_rule(fault, hint=f"{api['url']} declares its request in the version's apis.") for fault in faults]


def _api(apis: Sequence[Api], path: str | None) -> Api:
    wanted = path or (apis[0]["url"] if len(apis) == 1 else DEFAULT_PATH)
    found = next((api for api in apis if api["url"] == wanted), None)
    if found is None:
        hint = f"There are: {', '.join(api['url'] for api in apis[:20])}."
        raise Refusal(ErrorCode.NOT_FOUND, f"The version has no API at {wanted!r}.", path=["apiPath"], hint=hint)
    return found


def _parameter(api: Api, name: str | None) -> str:
    """The one that takes the file (modelarts_03_0082: exactly one, of the type file)."""
    inputs = api["inputs"]
    if len(inputs) != 1 or inputs[0]["type"] != "file":
        told = ", ".join(f"{given['name']}: {given['type']}" for given in inputs[:10])
        message = (
            f"A file mapping needs an API with one input parameter, of type file; {api['url']} has {told or 'none'}."
        )
        raise invalid(message, path=["mapping"], hint="Use a CSV mapping, or declare the parameter so.")
    known: str = inputs[0]["name"]
    if name not in (None, known):
        message = f"{api['url']} has no parameter {name!r}."
        raise invalid(message, path=["mapping", "file", "parameter"], hint=f"It has {known}.")
    return known
