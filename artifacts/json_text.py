"""From the bytes of a config.json to one JSON value: strict, bounded, and exact about where it breaks."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from artifacts.json_node import JsonNode, JsonObject, JsonValue, is_storable, printable, shown
from artifacts.problem import Findings, Problem, ProblemCode

_Repeated: TypeAlias = tuple[JsonObject, list[str]]

SIZE_LIMIT_BYTES = 1024 * 1024
DEPTH_LIMIT = 64
_SAVE_AS_UTF8 = "Save it as UTF-8."
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|-?Infinity|NaN|-?\d[\d.eE+-]*', re.DOTALL)
# By the messages of the json module that say more than the text at their place does.
_HINTS = {
    "Extra data": "The document is complete before this: delete what follows, or a closing bracket too many.",
    "Invalid control character": "A line break or a tab stands inside a string; write \\n or \\t.",
    "Invalid \\escape": "A backslash inside a string is written twice: \\\\.",
    "Invalid \\u": "\\u stands before four hexadecimal digits; a backslash by itself is written twice: \\\\.",
}
# Chinese keyboards and word processors write these in the place of JSON's own signs.
_WIDE_SIGNS = {"，": ",", "：": ":", "；": ",", "、": ",", "“": '"', "”": '"', "‘": '"', "’": '"', "｛": "{", "｝": "}"}
_CASE_SLIPS = {"True": "true", "False": "false", "None": "null", "TRUE": "true", "FALSE": "false", "NULL": "null"}


@dataclass(frozen=True, slots=True)
class JsonDocument:
    """`root` is None where the text is no JSON; `findings` say why."""

    root: JsonNode | None
    text: str
    findings: Findings


class _NumberRefused(ValueError):
    """The literal is no number that JSON or the database can hold."""

    def __init__(self, literal: str) -> None:
        super().__init__(literal)
        self.literal = literal


def parse_json(data: bytes, *, file: str, size_bytes: int | None = None) -> JsonDocument:
    """Decodes UTF-8 (with or without a byte order mark), or another encoding with a warning, and parses strictly.

    `size_bytes` is that of the whole file where `data` may be its beginning only.
    """
    findings = Findings()
    if len(data) > SIZE_LIMIT_BYTES:
        findings.refuse(_too_large(size_bytes or len(data), file))
        return JsonDocument(None, "", findings)
    text = _decode(data, file, findings)
    root = None if text is None else _parse(text, file, findings)
    return JsonDocument(root, text or "", findings)


def _too_large(size_bytes: int, file: str) -> Problem:
    return Problem(
        ProblemCode.FILE_TOO_LARGE,
        f"{file} has {size_bytes} bytes; at most {SIZE_LIMIT_BYTES} are read.",
        file,
        expected=f"at most {SIZE_LIMIT_BYTES} bytes",
        actual=f"{size_bytes} bytes",
        hint="Make it shorter; what the model needs beside its config goes into files of its own.",
    )


def _decode(data: bytes, file: str, findings: Findings) -> str | None:
    for encoding, name in _encodings(data):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if name is not None:
            message = f"{file} is written in {name}."
            findings.warn(Problem(ProblemCode.CONFIG_DOUBTFUL_VALUE, message, file, hint=_SAVE_AS_UTF8))
        return text
    message = f"{file} is not text in UTF-8."
    findings.refuse(Problem(ProblemCode.CONFIG_NOT_JSON, message, file, hint=_SAVE_AS_UTF8))
    return None


def _encodings(data: bytes) -> list[tuple[str, str | None]]:
    detected = json.detect_encoding(data)
    if not detected.startswith("utf-8"):
        return [(detected, detected[:6].upper())]
    return [("utf-8-sig", None), ("gb18030", "GBK"), ("cp1252", "Windows-1252")]


def _parse(text: str, file: str, findings: Findings) -> JsonNode | None:
    repeated: list[_Repeated] = []

    def join(pairs: list[tuple[str, JsonValue]]) -> JsonObject:
        members = dict(pairs)
        if len(members) < len(pairs):
            repeated.append((members, [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]))
        return members

    try:
        value: JsonValue = json.loads(
            text, object_pairs_hook=join, parse_int=_integer, parse_float=_real, parse_constant=_real
        )
    except json.JSONDecodeError as error:
        findings.refuse(_broken(error, file))
    except _NumberRefused as error:
        findings.refuse(_broken_number(text, error.literal, file))
    except RecursionError:
        findings.refuse(_too_deep(file))
    else:
        return _examine(JsonNode(value, file, findings), repeated)
    return None


def _integer(literal: str) -> int:
    if len(literal) > 18:
        raise _NumberRefused(literal)
    return int(literal)


def _real(literal: str) -> float:
    number = float(literal)
    if number - number != 0:
        raise _NumberRefused(literal)
    return number


def _examine(root: JsonNode, repeated: list[_Repeated]) -> JsonNode | None:
    """Refuses what is nested too deeply or cannot be stored; warns of keys given twice."""
    repeats = {id(members): keys for members, keys in repeated}
    level = [root]
    for _ in range(DEPTH_LIMIT):
        for node in level:
            _examine_node(node, repeats)
        level = [child for node in level for child in node.children()]
        if not level:
            return root
    root.findings.refuse(_too_deep(root.file))
    return None


def _examine_node(node: JsonNode, repeats: Mapping[int, Sequence[str]]) -> None:
    if isinstance(node.value, dict):
        for key in repeats.get(id(node.value), ()):
            message = f"The key {shown(key)} is given more than once; the last one counts."
            node.child(key, node.value[key]).doubt(message)
    if not is_storable(node.key) or (isinstance(node.value, str) and not is_storable(node.value)):
        message = f"The text at {node.pointer} holds a NUL or half a character, which cannot be stored."
        node.reject(message, hint="Delete it, or write the whole character.")


def _too_deep(file: str) -> Problem:
    message = f"{file} is nested deeper than {DEPTH_LIMIT} levels."
    expected, hint = f"at most {DEPTH_LIMIT} levels", "Put fewer objects and arrays into one another."
    return Problem(ProblemCode.CONFIG_INVALID, message, file, expected=expected, hint=hint)


def _broken_number(text: str, literal: str, file: str) -> Problem:
    position = next((token.start() for token in _TOKEN.finditer(text) if token.group() == literal), 0)
    hint = f"{shown(literal)[1:-1]} is no number that JSON can hold here; write a finite one of at most 18 digits."
    return _not_json(text, position, file, hint)


def _broken(error: json.JSONDecodeError, file: str) -> Problem:
    position = _comma_before(error.doc, error.pos)
    return _not_json(error.doc, position, file, _broken_hint(error.doc, position, error.msg))


def _not_json(text: str, position: int, file: str, hint: str) -> Problem:
    line = text.count("\n", 0, position) + 1
    column = position - (text.rfind("\n", 0, position) + 1) + 1
    message = f"{file} is not valid JSON at line {line}, column {column}."
    found = text[position : position + 20].splitlines()
    actual = printable(found[0]) if found else "the end of the file"
    return Problem(ProblemCode.CONFIG_NOT_JSON, message, file, actual=actual, hint=hint)


def _comma_before(text: str, position: int) -> int:
    """Python 3.13 points at a trailing comma, earlier ones at the bracket behind it."""
    before = text[:position].rstrip()
    is_trailing = text[position : position + 1] in ("}", "]") and before.endswith(",")
    return len(before) - 1 if is_trailing else position


def _broken_hint(text: str, position: int, message: str) -> str:
    rest = text[position:]
    if not text.strip():
        return "The file is empty; write the configuration as one JSON object."
    if not rest:
        return "The text ends too early: a bracket or a quote is not closed."
    by_message = next((hint for start, hint in _HINTS.items() if message.startswith(start)), None)
    if message.startswith("Expecting property name") and re.match(r"\w", rest):
        return "A key without quotes was found; JSON keys stand in double quotes."
    return _comment_hint(rest) or by_message or _token_hint(rest)


def _comment_hint(rest: str) -> str | None:
    for opener, name in (("//", "A // comment"), ("/*", "A /* comment"), ("#", "A # comment"), ("<!--", "A comment")):
        if rest.startswith(opener):
            return f"{name} was found; JSON has no comments, so delete it."
    return None


def _token_hint(rest: str) -> str:
    word = re.match(r"\w+", rest)
    if rest[0] == ",":
        return "A comma too many was found; delete it."
    if rest[0] == "'":
        return "A single quote was found; JSON strings stand in double quotes."
    if word and word.group() in _CASE_SLIPS:
        return f"{word.group()} was found; JSON writes {_CASE_SLIPS[word.group()]}."
    if rest[0] in _WIDE_SIGNS:
        return f"{rest[0]} was found; JSON writes {_WIDE_SIGNS[rest[0]]} here."
    if rest[0].isspace() or not rest[0].isprintable():
        return f"An invisible character (U+{ord(rest[0]):04X}) was found; delete it."
    if rest[0] == '"':
        return "A string was found where none may stand: look for a missing comma, colon or quote before it."
    return f"{shown(rest[:1])} was found where it may not stand: look for a missing comma, quote or bracket before it."
