"""The rules for single fields of a request: what is wrong with a value (modelarts_23_0054, modelarts_03_0076)."""

import re
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from resolvers.errors import Refusal, invalid

CHINESE = "\u4e00-\u9fff"
NAME = re.compile(rf"[A-Za-z0-9_\-{CHINESE}]{{1,64}}")
TRAINING_JOB_NAME = re.compile(r"[A-Za-z0-9_\-]{1,64}")
LABEL = re.compile(rf"[A-Za-z{CHINESE}][A-Za-z0-9_{CHINESE}]{{0,63}}")
DOCUMENT_NAME = re.compile(rf"[A-Za-z{CHINESE}][A-Za-z0-9_\-{CHINESE}]{{0,47}}")
STRICT_DOCUMENT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_\-]{0,47}")
ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)
LABELS = 5
DOCUMENTS = 3
DESCRIPTION_LENGTH = 1_000
STRICT_DESCRIPTION_LENGTH = 100
STRICT_DESCRIPTION_FORBIDDEN = frozenset("&!'\\\"<>=")


def name(value: str, *, path: Sequence[str]) -> Iterator[Refusal]:
    """1 to 64 letters, Chinese characters, digits, - and _ (modelarts_23_0054)."""
    if NAME.fullmatch(value) is None:
        yield invalid(
            "A name has 1 to 64 characters: letters, Chinese characters, digits, hyphens and underscores.",
            path=path,
            hint=_offending(value, NAME),
        )


def training_job_name(value: str, *, path: Sequence[str]) -> Iterator[Refusal]:
    """1 to 64 of A-Z, a-z, 0-9, - and _ (modelarts_03_0045)."""
    if TRAINING_JOB_NAME.fullmatch(value) is None:
        yield invalid(
            "A training job's name has 1 to 64 characters: letters A to Z, digits, hyphens and underscores.",
            path=path,
            hint=_offending(value, TRAINING_JOB_NAME),
        )


def description(value: str | None, *, is_strict: bool, path: Sequence[str]) -> Iterator[Refusal]:
    """Up to 1,000 characters; with the stricter limits of ModelArts up to 100, without & ! ' \\ " < > =."""
    if value is None:
        return
    limit = STRICT_DESCRIPTION_LENGTH if is_strict else DESCRIPTION_LENGTH
    if len(value) > limit:
        yield invalid(f"A description has at most {limit} characters; this one has {len(value)}.", path=path)
    if "\0" in value:
        yield invalid("A description cannot hold the character U+0000.", path=path)
    if is_strict and (found := sorted(STRICT_DESCRIPTION_FORBIDDEN & set(value))):
        yield invalid(f"A description cannot hold {' '.join(found)}.", path=path)


def labels(values: Sequence[str], *, path: Sequence[str]) -> Iterator[Refusal]:
    """At most five, each once; of more, the first five are looked at (ModelArts.3023)."""
    if len(values) > LABELS:
        yield invalid(f"A version has at most {LABELS} labels; these are {len(values)}.", path=path)
    for position, value in enumerate(values[:LABELS]):
        if LABEL.fullmatch(value) is None:
            yield invalid(
                "A label begins with a letter or a Chinese character; up to 63 more, digits or _ may follow.",
                path=[*path, str(position)],
            )
        elif value in values[:position]:
            yield invalid(f"The label {value!r} is given twice.", path=[*path, str(position)])


def document(document_name: str, url: str, *, is_strict: bool, path: Sequence[str]) -> Iterator[Refusal]:
    """A name of 1 to 48 characters and a link; the stricter names of ModelArts are not Chinese (modelarts_03_0076)."""
    if (STRICT_DOCUMENT_NAME if is_strict else DOCUMENT_NAME).fullmatch(document_name) is None:
        first = "a letter A to Z" if is_strict else "a letter or Chinese character"
        yield invalid(
            f"A document's name has 1 to 48 characters: {first}, then also digits, - and _.", path=[*path, "name"]
        )
    if not is_web_address(url):
        yield invalid("A document's URL is a link that begins with http:// or https://.", path=[*path, "url"])


def is_web_address(url: str) -> bool:
    if len(url) > 2_000 or any(character.isspace() or ord(character) < 32 for character in url):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _offending(value: str, pattern: re.Pattern[str]) -> str | None:
    found = dict.fromkeys(character for character in value if pattern.fullmatch(character) is None)
    return f"Leave out {' '.join(repr(character) for character in list(found)[:10])}." if found else None
