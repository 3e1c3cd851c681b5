"""The pages of errors: each code of ours once, and for each of ModelArts' what it is here."""

import re
from pathlib import Path

import pytest

from gql.fault_code import FaultCode
from resolvers.errors import ErrorCode

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "errors.md").read_text()
FROM_MODELARTS = (DOCS / "modelarts-errors.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading of the page, without its head."""
    section = PAGE.split(f"\n{heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith(("| ", "|-"))]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if not line.startswith("|-")][1:]


CATALOGUE = [row for heading in ("## The request", "## The package", "## The import") for row in rows(heading)]
MODELARTS_CODES = (
    *(2775, 2791, 2794, 2795, 2798),
    *(3001, 3002, 3003, 3006, 3009, 3010, 3015, 3016, 3017),
    *range(3019, 3042),
    *(3043, 3044, 3045, 3047, 3048, 3049, 3050, 3052, 3053, 3063, 3064, 3065),
    *range(3070, 3081),
    *(3301, 3514, 3515, 3551, 3567, 3568, 3572, 3573, 3574, 3576, 3577, 3578, 3589, 3592, 3597, 3801, 4203, 4311, 5054),
    *(7004, 7005),
)


def test_each_code_of_ours_has_one_row_that_says_what_to_do() -> None:
    assert sorted(row[0].strip("`") for row in CATALOGUE) == sorted(ErrorCode)
    for code, modelarts, meaning, remedy in CATALOGUE:
        assert modelarts, code
        assert meaning.endswith((".", ")")), code
        assert remedy.endswith((".", ")")), code


def mentioned(text: str) -> set[int]:
    """The codes of ModelArts that a text names, those between the ends of a range too."""
    spans = re.findall(r"(?<![\d.])(\d{4})(?:-(\d{4}))?(?![\d.]*\d)", text)
    return {code for first, last in spans for code in range(int(first), int(last or first) + 1)}


@pytest.mark.parametrize("code", MODELARTS_CODES)
def test_every_code_of_modelarts_has_its_counterpart_or_a_reason_for_having_none(code: int) -> None:
    assert code in mentioned(FROM_MODELARTS)


def test_the_codes_of_modelarts_beside_ours_are_those_of_the_catalogue() -> None:
    assert mentioned(" ".join(row[1] for row in CATALOGUE)) <= mentioned(FROM_MODELARTS)


def test_every_code_of_ours_that_the_catalogue_names_exists() -> None:
    named = set(re.findall(r"`([A-Z][A-Z_]+[A-Z])`", FROM_MODELARTS))
    settings = {name for name in named if name.startswith("MODELYARD_")}
    assert named - settings <= {*ErrorCode, *FaultCode}


@pytest.mark.parametrize("code", ErrorCode)
def test_every_code_is_met_in_a_test(code: str) -> None:
    tests = [path.read_text() for path in Path(__file__).parent.glob("test_*.py")]
    assert any(re.search(rf"\b{code}\b", text) for text in tests)
