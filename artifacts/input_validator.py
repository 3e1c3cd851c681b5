"""What requests can be held to: the declared schemas of JSON bodies, compiled."""

from collections.abc import Mapping
from typing import Any

from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError

from artifacts.standard_schema import NotStandard, standard_schema

JSON = "application/json"


class NotCompiled(Exception):
    """A schema that nothing can be held to; `str()` says why, in one line."""


def body_schema(api: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The schema that an API, in the form of its row, declares for JSON bodies; None where it declares none."""
    return api["request_schema"] or None if api["request_content_type"] == JSON else None


def validator_of(schema: Mapping[str, Any]) -> Draft202012Validator:
    """Nothing is fetched, and no pattern takes more than linear time. Raises NotCompiled."""
    try:
        standard = standard_schema(schema)
        return Draft202012Validator(standard, mask="The value", offline=True, pattern_options=RegexOptions())
    except NotStandard as error:
        raise NotCompiled(str(error)) from error
    except ValidationError as error:
        place = "".join(f"/{part}" for part in error.instance_path)
        raise NotCompiled(f"at {place}, {error.message}" if place else error.message) from error
