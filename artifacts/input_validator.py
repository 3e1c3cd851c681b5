"""What requests can be held to: the declared schemas of JSON bodies, compiled."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError, ValidationErrorKind

from artifacts.json_node import json_pointer, shown
from artifacts.standard_schema import NotStandard, standard_schema

JSON = "application/json"
# While a pattern is compiled nothing else runs. What it becomes is bounded so that `^\p{L}{1,20}$` still compiles;
# what comes before that, by how much is written: without all of these bounds one pattern takes seconds.
LARGEST_BYTES: Final = 1 << 20
LONGEST_PATTERN: Final = 1000
MOST_CLASSES: Final = 30
CLASS: Final = re.compile(r"\\[dDpPsSwW]")
FLAGS: Final = re.compile(r"\(\?(?!P<)[A-Za-z-]")
# Classes that may have more than ASCII in them: ignoring their case takes 10 ms for each.
WIDE: Final = re.compile(r"\\[^\Wdw]|\[:?\^|[^\x00-\x7f]")


class NotCompiled(Exception):
    """A schema that nothing can be held to; `str()` says why, in one line."""

    def __init__(self, reason: str) -> None:
        super().__init__("".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in reason))


def body_schema(api: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The schema that an API, in the form of its row, declares for JSON bodies; None where it declares none."""
    return api["request_schema"] or None if api["request_content_type"] == JSON else None


@dataclass(frozen=True, slots=True)
class Compiler:
    """Compiles the schemas of one version's APIs, which may have so many patterns together."""

    patterns: list[str] = field(default_factory=list)

    def validator_of(self, schema: Mapping[str, Any]) -> Draft202012Validator:
        """Nothing is fetched, and no pattern takes more than linear time. Raises NotCompiled."""
        before = len(self.patterns)
        try:
            standard = standard_schema(schema, patterns=self.patterns)
        except NotStandard as error:
            raise NotCompiled(str(error)) from error
        for pattern in self.patterns[before:]:
            if (flaw := _flaw(pattern)) is not None:
                raise NotCompiled(f"the pattern {shown(pattern)} {flaw}")
        return _compiled(standard)


def _flaw(pattern: str) -> str | None:
    if len(pattern) > LONGEST_PATTERN:
        return f"is too large: it is longer than {LONGEST_PATTERN} characters"
    if len(CLASS.findall(pattern)) > MOST_CLASSES:
        return f"is too large: it has more than {MOST_CLASSES} classes of characters"
    if FLAGS.search(pattern) and WIDE.search(pattern):
        return "has flags, and more than ASCII"
    return None


def _compiled(standard: dict[str, Any]) -> Draft202012Validator:
    options = RegexOptions(size_limit=LARGEST_BYTES, dfa_size_limit=LARGEST_BYTES)
    try:
        return Draft202012Validator(standard, mask="The value", offline=True, pattern_options=options)
    except ValidationError as error:
        raise NotCompiled(_reason(error)) from error


def _reason(error: ValidationError) -> str:
    kind, value, path, reason = error.kind, error.instance, error.instance_path, error.message
    if isinstance(kind, ValidationErrorKind.Format) and kind.format == "regex" and isinstance(value, str):
        reason = f"the pattern {shown(value)} is too large, looks around, refers back or is no regular expression"
        # Of `patternProperties` the pattern is the last key, and may be long.
        path = [key for key in path if key != value]
    return f"at {json_pointer(path)}, {reason}" if path else reason
