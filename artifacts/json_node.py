"""A JSON value that knows where it stands, and reports what is wrong there."""

import json
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from types import MappingProxyType
from typing import Final, TypeAlias

from artifacts.problem import Findings, Problem, ProblemCode

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
JsonObject: TypeAlias = dict[str, JsonValue]

NO_SYNONYMS: Final[Mapping[str, str]] = MappingProxyType({})
SHOWN_LENGTH = 100
_POINTER_LENGTH = 1000
_UNKNOWN_KEYS_SHOWN = 20
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_NUMBER_LENGTH = 60
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def shown(value: JsonValue) -> str:
    """A short JSON text of the value, safe to store and to print."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    if isinstance(value, str):
        value = value[: SHOWN_LENGTH + 1]
    text = printable(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= SHOWN_LENGTH else text[:SHOWN_LENGTH] + "…"


def printable(text: str) -> str:
    """The text without what PostgreSQL cannot store: NUL and lone surrogates."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def is_storable(text: str) -> bool:
    return _UNSTORABLE.search(text) is None


def json_pointer(path: Iterable[str | int]) -> str:
    """The pointer (RFC 6901) of what stands at the path."""
    return "".join(f"/{str(key).replace('~', '~0').replace('/', '~1')}" for key in path)


def closest(text: str, known: Collection[str], *, cutoff: float = 0.75) -> str | None:
    """The one of `known` that was obviously meant, if any."""
    if len(text) > SHOWN_LENGTH:
        return None
    plain = {_plain(name): name for name in known}
    if _plain(text) in plain:
        return plain[_plain(text)]
    matches = get_close_matches(_plain(text), plain, n=1, cutoff=cutoff)
    return plain[matches[0]] if matches else None


def _closest_key(key: str, known: Collection[str]) -> str | None:
    """As `closest`, more careful with short keys: `export` is no misspelt `port`."""
    return closest(key, known, cutoff=0.85) or closest(key, [name for name in known if len(name) > 4])


def _plain(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())


@dataclass(frozen=True, slots=True)
class JsonNode:
    """One value of a document. Its pointer is made when it is asked for: a copy for each node costs too much."""

    value: JsonValue
    file: str
    findings: Findings
    parent: "JsonNode | None" = None
    key: str = ""

    @property
    def pointer(self) -> str:
        keys: list[str] = []
        node = self
        while node.parent is not None:
            keys.append(node.key[:_POINTER_LENGTH])
            node = node.parent
        return printable(json_pointer(reversed(keys)))[:_POINTER_LENGTH]

    def child(self, key: str, value: JsonValue) -> "JsonNode":
        return JsonNode(value, self.file, self.findings, self, key)

    def children(self) -> Iterator["JsonNode"]:
        if isinstance(self.value, dict):
            yield from (self.child(key, value) for key, value in self.value.items())
        elif isinstance(self.value, list):
            yield from (self.child(str(index), value) for index, value in enumerate(self.value))

    def refuse(self, expected: str, *, hint: str | None = None) -> None:
        """Reports that the value is not what the format allows here."""
        if self.findings.takes_problems:
            hint = hint or f"Write {expected}."
            self.findings.refuse(self._problem(ProblemCode.CONFIG_INVALID, self._contrast(expected), expected, hint))

    def doubt(self, message: str, *, expected: str | None = None, hint: str | None = None) -> None:
        """Reports a value that is understood, or left out, but is not as the format has it."""
        if self.findings.takes_warnings:
            self.findings.warn(self._problem(ProblemCode.CONFIG_DOUBTFUL_VALUE, message, expected, hint))

    def reject(self, message: str, *, hint: str, expected: str | None = None) -> None:
        """As `refuse`, with a sentence of its own."""
        if self.findings.takes_problems:
            self.findings.refuse(self._problem(ProblemCode.CONFIG_INVALID, message, expected, hint))

    def _problem(self, code: ProblemCode, message: str, expected: str | None, hint: str | None) -> Problem:
        return Problem(code, message, self.file, self.pointer, expected, shown(self.value), hint)

    def _contrast(self, expected: str) -> str:
        place = f"the value at {self.pointer}" if self.pointer else "the document"
        return f"In {self.file}, {place} must be {expected}; it is {shown(self.value)}."

    def fields(
        self, known: Sequence[str], *, unused: Collection[str] = (), synonyms: Mapping[str, str] = NO_SYNONYMS
    ) -> dict[str, "JsonNode"]:
        """The members by their right names; misspelt ones are understood and unknown ones left out, with a warning."""
        if self.is_blank:
            self.doubt_blank()
            return {}
        if not isinstance(self.value, dict):
            self.refuse("an object")
            return {}
        found = {key: self.child(key, self.value[key]) for key in known if self.value.get(key) is not None}
        strange = [key for key in self.value if key not in known]
        for key in islice(strange, _UNKNOWN_KEYS_SHOWN):
            meant = synonyms.get(key) or (None if key in unused else _closest_key(key, known))
            self._understand(self.child(key, self.value[key]), found, meant, is_unused=key in unused)
        if len(strange) > _UNKNOWN_KEYS_SHOWN:
            self.doubt(f"{len(strange) - _UNKNOWN_KEYS_SHOWN} more keys of {self.file} are not known.")
        return found

    def _understand(
        self, member: "JsonNode", found: dict[str, "JsonNode"], meant: str | None, *, is_unused: bool
    ) -> None:
        name = shown(member.key)
        if meant is not None and meant not in found:
            if member.value is not None:
                found[meant] = member
            member.warn_of_key(f"The key {name} is read as {shown(meant)}.", f"Write {shown(meant)}.")
        elif is_unused:
            member.warn_of_key(f"The key {name} is not used.", None)
        else:
            member.warn_of_key(f"The key {name} is not known and is left out.", None)

    def warn_of_key(self, message: str, hint: str | None) -> None:
        if self.findings.takes_warnings:
            self.findings.warn(Problem(ProblemCode.CONFIG_UNKNOWN_KEY, message, self.file, self.pointer, hint=hint))

    @property
    def is_blank(self) -> bool:
        return isinstance(self.value, str) and not self.value.strip()

    def doubt_blank(self) -> None:
        self.doubt(f"The string at {self.pointer} is empty and is read as if it were not there.")

    def items(self, *, at_most: int) -> list["JsonNode"]:
        """The entries. One object by itself is read as an array of it, an empty string as an empty array."""
        if self.is_blank:
            self.doubt_blank()
            return []
        if isinstance(self.value, dict):
            self.doubt(f"The object at {self.pointer} is read as an array of it.", expected="an array")
            return [self] if self.value else []
        if not isinstance(self.value, list):
            self.refuse("an array")
            return []
        if len(self.value) > at_most:
            message = f"The array at {self.pointer} has {len(self.value)} entries; at most {at_most} are allowed."
            self.reject(message, hint="Leave some of them out.")
            return []
        return list(self.children())

    def text(self, *, at_most: int = 1000) -> str | None:
        """The string, without surrounding white space; None (reported) for what is no string, and for an empty one."""
        if not isinstance(self.value, str):
            self.refuse("a string")
            return None
        if len(self.value) > at_most:
            self.reject(f"The string at {self.pointer} is longer than {at_most} characters.", hint="Make it shorter.")
            return None
        if self.is_blank:
            self.doubt_blank()
            return None
        return self.value.strip()

    def number(self) -> float | None:
        """The number, or with a warning that of a string which is plainly one ("0.93")."""
        if isinstance(self.value, str):
            return self._written_number(self.value.strip())
        if isinstance(self.value, bool) or not isinstance(self.value, (int, float)) or not math.isfinite(self.value):
            self.refuse("a number")
            return None
        return float(self.value)

    def _written_number(self, text: str) -> float | None:
        if not text:
            self.doubt_blank()
            return None
        if len(text) > _NUMBER_LENGTH or not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
            self.refuse("a number")
            return None
        self.doubt(f"The string {shown(text)} is read as a number.", expected="a number", hint=f"Write {text}.")
        return float(text)

    def whole_number(self, *, at_least: int, at_most: int) -> int | None:
        """A whole number; the specification writes some as strings."""
        value = self.value
        if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() and len(value) <= 12:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not at_least <= value <= at_most:
            self.refuse(f"a whole number from {at_least} to {at_most}")
            return None
        return value

    def choice(self, allowed: Sequence[str]) -> str | None:
        """The one of `allowed` that the string is, or was obviously meant to be (with a warning)."""
        text = self.text()
        if text is None:
            return None
        exact = next((choice for choice in allowed if choice.lower() == text.lower()), None)
        meant = exact or closest(text, allowed)
        if meant is None:
            self.refuse(" or ".join(shown(choice) for choice in allowed))
        elif exact is None:
            self.doubt(f"{shown(text)} is read as {shown(meant)}.", expected=meant, hint=f"Write {shown(meant)}.")
        return meant
