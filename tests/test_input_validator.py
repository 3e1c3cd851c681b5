"""Schemas that nothing can be held to, and how little it takes to find that out."""

from typing import Any

import pytest

from artifacts.input_validator import Compiler, NotCompiled
from artifacts.standard_schema import MOST_PATTERNS


def patterned(*patterns: str) -> dict[str, Any]:
    return {"properties": {str(number): {"pattern": pattern} for number, pattern in enumerate(patterns)}}


def reason(schema: dict[str, Any], compiler: Compiler | None = None) -> str:
    with pytest.raises(NotCompiled) as refused:
        (compiler or Compiler()).validator_of(schema)
    return str(refused.value)


@pytest.mark.parametrize(
    ("pattern", "matched", "other"),
    [
        (r"^\p{L}{1,20}$", "größe", "größe1"),
        (r"^[\w\s.-]{1,255}$", "a b.c-d", "a/b"),
        (r"^[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,63}$", "a@b.org", "a@b"),
        (r"(?i)^[a-z0-9._%+-]+@[a-z0-9.-]+\.[a-z]{2,63}$", "A@B.ORG", "a@b"),
        (r"^[\u4e00-\u9fa5\w-]{1,64}$", "花-1", "花 1"),
        (r"^(?<year>\d{4})-\d\d-\d\dT\d\d:\d\d:\d\dZ$", "2024-01-01T00:00:00Z", "2024"),
        (r"^[A-Za-z0-9+/]{1,1000}={0,2}$", "YQ==", "Y Q"),
        ("|".join(f"^{number}$" for number in range(100, 250)), "249", "250"),
    ],
)
def test_ordinary_patterns_are_held_to(pattern: str, matched: str, other: str) -> None:
    validator = Compiler().validator_of({"type": "string", "pattern": pattern})
    assert (validator.is_valid(matched), validator.is_valid(other)) == (True, False)


COSTLY = [
    r"\p{L}{200}",
    r"(?i)\p{L}{200}",
    r"(?i:\p{L}{200})",
    r"(?x)( ?i)\p{L}{20}",
    "(?i)[\0-\U0010ffff]",
    r"(?i)[\x00-\u{10ffff}]",
    "(?i)[[:^alpha:]]",
    r"\pL" * 30,
    r"[\pL]" * 31,
    r"\S" * 400,
    "(?:.{99}){99}",
    "a" * 1001,
]


@pytest.mark.parametrize("pattern", COSTLY)
@pytest.mark.parametrize("place", ["pattern", "patternProperties"])
def test_a_pattern_that_is_costly_to_compile_is_told(pattern: str, place: str) -> None:
    told = reason({place: pattern if place == "pattern" else {pattern: {}}})
    assert "the pattern " in told
    assert "is too large" in told or told.endswith(" has flags, and more than ASCII")
    assert len(told) < 250


def test_the_first_costly_pattern_of_many_ends_it() -> None:
    assert reason(patterned(*[r"\p{L}{200}"] * MOST_PATTERNS)).startswith("at /properties/0/pattern, the pattern ")
    assert reason(patterned("a", *[r"\S" * 400] * (MOST_PATTERNS - 1))).startswith(r'the pattern "\\S\\S')


def test_the_schemas_of_a_version_share_the_number_of_patterns() -> None:
    compiler = Compiler()
    for _ in range(2):
        compiler.validator_of(patterned(*["a"] * (MOST_PATTERNS // 2)))
    assert reason(patterned("a"), compiler) == "there are more than 50 patterns"
    assert compiler.validator_of({"type": "object"}).is_valid({})


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        (
            {"properties": {"a/b~c\nd\x00": {"minimum": "x"}}},
            'at /properties/a~1b~0c\ufffdd\ufffd/minimum, The value is not of type "number"',
        ),
        (
            {"properties": {"\n": {"pattern": "(\n"}}},
            'at /properties/\ufffd/pattern, the pattern "(\\n" is too large, ',
        ),
        ({"$ref": "#/a\nb"}, "'#/a\\nb' is no schema in it"),
    ],
)
def test_a_reason_is_one_line_whatever_a_schema_names(schema: dict[str, Any], told: str) -> None:
    assert reason(schema).startswith(told)
