"""What is odd about dependencies, taken together."""

import pytest

from artifacts.dependency import Dependency, Restraint
from artifacts.dependency_check import check_dependencies
from artifacts.problem import FINDING_LIMIT


def asked(*lines: str) -> list[Dependency]:
    """Dependencies of lines such as `six==1.17.0`."""
    found = []
    for line in lines:
        restraint = next((each for each in Restraint if each.operator in line), None)
        name, _, version = line.partition(restraint.operator) if restraint else (line, "", "")
        found.append(Dependency("pip", name, version or None, restraint))
    return found


@pytest.mark.parametrize(
    ("lines", "problems", "warnings"),
    [
        (("six==1.16.0", "Six==1.17.0"), 1, 0),
        (("six==1.16.0", "six>=1.17"), 1, 0),
        (("six<=1.16.0", "six==1.17"), 1, 0),
        (("six-1.16.0-py2.py3-none-any.whl", "six==1.17"), 0, 1),
        (("six==1.17", "six==1.17.0"), 0, 1),
        (("six==1.*", "six==1.17.0"), 0, 1),
        (("six", "six==1.17.0"), 0, 1),
        (("six>=1.16", "six>=1.17"), 0, 1),
        (("six>=1.16", "six<=1.17"), 0, 0),
        (("six==1.16.0", "seven==1.17.0"), 0, 0),
        (("uvicorn[standard]==0.30", "uvicorn==0.29"), 1, 0),
        (("sklearn", "PIL", "PyYAML"), 0, 2),
        (("sklearn-1.0-py3-none-any.whl",), 0, 0),
        ((), 0, 0),
    ],
)
def test_repeats_and_modules_names_are_found(lines: tuple[str, ...], problems: int, warnings: int) -> None:
    findings = check_dependencies(asked(*lines), file=None)
    assert (len(findings.problems), len(findings.warnings)) == (problems, warnings)


def test_a_great_many_repeats_are_told_a_hundred_times() -> None:
    findings = check_dependencies(asked(*["six"] * 50_000), file="config.json")
    assert len(findings.warnings) == FINDING_LIMIT
