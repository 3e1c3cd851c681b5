"""What is odd about the libraries that a version is to have, taken together."""

from collections.abc import Sequence

from packaging.requirements import Requirement
from packaging.specifiers import Specifier
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from artifacts.dependency import Dependency, Restraint
from artifacts.module_name import PACKAGES
from artifacts.problem import Findings, Problem, ProblemCode

ONCE = "Name it once."


def check_dependencies(dependencies: Sequence[Dependency], *, file: str | None) -> Findings:
    """Packages that are named twice, as a problem where no version could be both, and names that are a module's.

    `file` is where the dependencies stand, None where the importer named them.
    """
    findings = Findings()
    first: dict[str, tuple[int, Dependency]] = {}
    for position, dependency in enumerate(dependencies):
        name = canonicalize_name(Requirement(dependency.requirement).name)
        _check_name(name, dependency, findings, file)
        if name in first:
            _check_repeat(name, first[name], (position, dependency), findings, file)
        else:
            first[name] = position, dependency
    return findings


def _check_name(name: str, dependency: Dependency, findings: Findings, file: str | None) -> None:
    meant = PACKAGES.get(name) if dependency.wheel is None else None
    if meant is not None:
        message = f"{dependency.package} is the name of a module; the package that brings it is {meant}."
        findings.warn(_problem(ProblemCode.CONFIG_DOUBTFUL_VALUE, message, file, meant, dependency, f"Write {meant}."))


def _check_repeat(
    name: str, first: tuple[int, Dependency], second: tuple[int, Dependency], findings: Findings, file: str | None
) -> None:
    places = " and ".join(f"{found.requirement} (dependency {position + 1})" for position, found in (first, second))
    if _exclude(first[1], second[1]) or _exclude(second[1], first[1]):
        message = f"No version of {name} is both of what is asked for: {places}."
        findings.refuse(_problem(ProblemCode.CONFIG_INVALID, message, file, None, second[1], ONCE))
    elif first[1].restraint is None or second[1].restraint in (None, first[1].restraint):
        message = f"The package {name} is asked for twice: {places}."
        findings.warn(_problem(ProblemCode.CONFIG_DOUBTFUL_VALUE, message, file, None, second[1], ONCE))


def _exclude(pinned: Dependency, other: Dependency) -> bool:
    """Whether the one names a version that the other does not take."""
    if pinned.restraint is not Restraint.EXACT or pinned.version is None:
        return False
    if other.restraint is None or other.version is None:
        return False
    try:
        version = Version(pinned.version)
    except InvalidVersion:
        return False
    return not Specifier(other.restraint.operator + other.version).contains(version, prereleases=True)


def _problem(
    code: ProblemCode, message: str, file: str | None, expected: str | None, dependency: Dependency, hint: str
) -> Problem:
    pointer = "/dependencies" if file is not None else None
    return Problem(code, message, file, pointer, expected, dependency.requirement, hint)
