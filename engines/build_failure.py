"""What uv and pip say when they fail, as one sentence that names the package and the line that asked for it."""

import re
import sys
import sysconfig
from collections.abc import Sequence

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from engines.engine import BuildFailed

NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
PINNED = rf"(?P<package>{NAME})(?P<version>[=<>!~]=?[^\s,]+)?"
NO_RESOLUTION = "No solution found when resolving"
UNKNOWN_PACKAGE = (
    re.compile(rf"Because (?P<package>{NAME}) was not found in the package registry"),
    re.compile(rf"(?P<package>{NAME}) was not found in the (?:package registry|provided package locations)"),
)
NO_WHEEL = (
    re.compile(rf"{PINNED} has no (?:usable wheels|wheels with a matching)"),
    re.compile(rf"versions of {PINNED} have no (?:usable wheels|wheels with a matching)"),
    re.compile(rf"Failed to read .*?`{PINNED}`.*no compatible wheel"),
    re.compile(rf"(?P<package>{NAME}-[^-\s]+-[^\s]+\.whl) is not a supported wheel on this platform"),
    re.compile(rf"wheel .*?`?(?P<package>{NAME}-[^-\s]+-[^\s`]+\.whl)`? .*(?:not compatible|incompatible)"),
)
NO_VERSION = (
    re.compile(rf"there (?:is|are) no versions? of {PINNED}"),
    re.compile(rf"requirement (?P<package>{NAME})(?P<version>[^\s(;]+)? \(from versions: (?P<known>[^)]*)\)"),
    re.compile(rf"No matching distribution found for (?P<package>{NAME})(?P<version>[^\s;]+)?"),
)
SOURCE_BUILD = (
    re.compile(rf"Failed to (?:download and )?build `{PINNED}`"),
    re.compile(rf"Failed (?:building wheel|to build) for (?P<package>{NAME})"),
)
UNREACHABLE = re.compile(
    r"(?:Failed to fetch:? `?(?P<url>https?://[^\s`]+)|error sending request|Could not connect|ConnectionError"
    r"|NewConnectionError|NameResolutionError|Failed to establish a new connection|dns error|timed out)"
)
REFUSED = re.compile(r"HTTP status (?:client|server) error \((?P<status>[^)]+)\)(?: for url \((?P<url>[^)\s]+)\))?")
DISK_FULL = re.compile(r"No space left on device|\[Errno 28\]|os error 28")
INSTALLING = (
    re.compile(rf"Failed to (?:download|extract|install|unpack) `{PINNED}`"),
    re.compile(rf"Failed to install: \S+ \({PINNED}\)"),
)
DOWNLOADING = re.compile(rf"^\s*Downloading (?P<package>{NAME}) \(")
DOWNLOADED = re.compile(rf"^\s*Downloaded (?P<package>{NAME})$")
BECAUSE = re.compile(r"Because .*", re.DOTALL)


FIND_PACKAGE = "Check its name, or have the operator name an index that has it (MODELYARD_PACKAGE_EXTRA_INDEX_URLS)."
FIND_WHEEL = (
    "Name a version that has one, put a wheel beside the model file, or have the operator allow building from source "
    "(MODELYARD_ALLOW_SOURCE_DISTRIBUTIONS)."
)
READ_LOG = "The build's log has the compiler's words; a version that comes as a wheel needs no compiler."


def is_resolution_failure(errors: str) -> bool:
    """Whether uv understood what was asked and found that there is no such thing."""
    return NO_RESOLUTION in errors


def build_failure(errors: str, requirements: Sequence[str]) -> BuildFailed:
    """The failure that an installer's standard error tells of; `requirements` are the lines that were asked for."""
    text = " ".join(line.strip() for line in errors.splitlines() if line.strip())
    if is_disk_full(text):
        installing = _first(INSTALLING, text)
        return disk_full(installing.group("package") if installing else None, requirements)
    refused, unreachable = REFUSED.search(text), UNREACHABLE.search(text)
    if refused is not None:
        return _index_failure(f"answered {refused.group('status')}", refused.group("url"))
    if unreachable is not None:
        return _index_failure("did not answer", unreachable.group("url"))
    for patterns, sentence, advice in (
        (UNKNOWN_PACKAGE, "No package index or folder configured here has {package}.", FIND_PACKAGE),
        (NO_WHEEL, "{package}{version} has no wheel for " + _platform() + ".", FIND_WHEEL),
        (NO_VERSION, "There is no {package}{version}{known}.", "Name a version that there is."),
        (SOURCE_BUILD, "{package}{version} could not be built from its source.", READ_LOG),
    ):
        match = _first(patterns, text)
        if match is not None:
            return _named(match, sentence, advice, requirements)
    return _unnamed(text, requirements)


def is_disk_full(errors: str) -> bool:
    """Whether an installer found no room for what it wrote."""
    return DISK_FULL.search(errors) is not None


def disk_full(package: str | None, requirements: Sequence[str]) -> BuildFailed:
    """`package` is the one that was being installed, where that is known."""
    during = f" while {package} was installed" if package else ""
    return BuildFailed(
        f"The disk of the environments became full{during}. Free space in the data directory, or move it "
        "to a larger disk (MODELYARD_DATA_DIR), and try again.",
        package,
        requirement_of(package, requirements) if package else None,
    )


def out_of_time(timeout_seconds: float, lines: Sequence[str], requirements: Sequence[str]) -> BuildFailed:
    """`lines` are what the installer said until its time was over: they tell what it was still downloading."""
    unfinished = dict.fromkeys(found.group("package") for line in lines if (found := DOWNLOADING.search(line)))
    for line in lines:
        if found := DOWNLOADED.search(line):
            unfinished.pop(found.group("package"), None)
    package = next(iter(unfinished), None)
    during = f"; {', '.join(unfinished)} was still being downloaded" if unfinished else ""
    return BuildFailed(
        f"The environment was not built within {timeout_seconds:g} s{during}. Try again: what was downloaded is kept. "
        "The operator can allow more time (MODELYARD_BUILD_TIMEOUT_SECONDS).",
        package,
        requirement_of(package, requirements) if package else None,
    )


def requirement_of(package: str, requirements: Sequence[str]) -> str | None:
    """The line that asks for the package by name."""
    wanted = canonicalize_name(package)
    return next((line for line in requirements if _name(line) == wanted), None)


def _first(patterns: Sequence[re.Pattern[str]], text: str) -> re.Match[str] | None:
    return next((found for pattern in patterns if (found := pattern.search(text))), None)


def _index_failure(what: str, url: str | None) -> BuildFailed:
    place = f" ({url})" if url else ""
    return BuildFailed(
        f"The package index {what}{place}. Try again later; where it stays so, have the operator check the index "
        "(MODELYARD_PACKAGE_INDEX_URL, MODELYARD_PACKAGE_EXTRA_INDEX_URLS)."
    )


def _named(match: re.Match[str], sentence: str, advice: str, requirements: Sequence[str]) -> BuildFailed:
    found = match.groupdict()
    package = found["package"]
    known = found.get("known")
    requirement = requirement_of(package, requirements)
    message = sentence.format(
        package=package,
        version=(found.get("version") or "").replace("==", " ", 1),
        known=f"; there are {known}" if known and known != "none" else "",
    )
    asked = f" It was asked for as {requirement}." if requirement else " A requirement of the others asks for it."
    return BuildFailed(f"{message}{asked} {advice}", package, requirement)


def _unnamed(text: str, requirements: Sequence[str]) -> BuildFailed:
    because = BECAUSE.search(text)
    if is_resolution_failure(text) and because is not None:
        mentioned = (line for line in requirements if (name := _name(line)) and re.search(rf"\b{name}\b", text))
        requirement = next(mentioned, None)
        package = _name(requirement) if requirement else None
        return BuildFailed(
            f"The requirements contradict each other: loosen one of them. {because.group()}", package, requirement
        )
    said = text[-500:] or "the installer said nothing"
    return BuildFailed(f"The environment could not be built; the build's log has the whole story. {said}")


def _name(line: str) -> str | None:
    try:
        return canonicalize_name(Requirement(line).name)
    except InvalidRequirement:
        return None


def _platform() -> str:
    return f"Python {sys.version_info.major}.{sys.version_info.minor} on {sysconfig.get_platform()}"
