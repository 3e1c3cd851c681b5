"""Requirements that an importer names in the place of the package's own."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType

from artifacts.dependency import PACKAGE_LIMIT, Dependency, read_dependencies
from artifacts.json_node import JsonNode, JsonValue
from artifacts.problem import Findings
from resolvers.errors import Refusal, invalid

# The fields of a requirement as config.json and as the API have them.
CONFIG_FIELDS: Mapping[str, str] = MappingProxyType({
    "installer": "installer", "package_name": "package", "package_version": "version", "restraint": "restraint",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class DependencyChoice:
    installer: str
    package: str
    version: str | None
    restraint: str | None


def dependency_violations(choices: Sequence[DependencyChoice] | None) -> list[Refusal]:
    if len(choices or ()) > PACKAGE_LIMIT:
        return [invalid(f"A version has at most {PACKAGE_LIMIT} dependencies.", path=["dependencies"])]
    return [
        refusal
        for position, choice in enumerate(choices or ())
        for refusal in _violations(choice, ["dependencies", str(position)])
    ]


def _violations(choice: DependencyChoice, path: Sequence[str]) -> Iterator[Refusal]:
    """The rules of config.json's dependencies (modelarts_23_0092), by the code that reads them there.

    What is understood there with a warning is refused here: whoever asks can say what is meant.
    """
    if choice.version is not None and choice.package.endswith(".whl"):
        yield invalid("A wheel's version is the one in its file name.", path=[*path, "version"], hint="Leave it out.")
        return
    if bool(choice.version) != bool(choice.restraint):
        field = "restraint" if choice.version else "version"
        yield invalid("A dependency has both a version and a restraint, or neither.", path=[*path, field])
        return
    findings = Findings()
    _read(asdict(choice), findings)
    told = set()
    for problem in (*findings.problems, *findings.warnings):
        field = CONFIG_FIELDS.get((problem.pointer or "").rpartition("/")[2], "package")
        if field in told:
            continue
        told.add(field)
        wanted = f" must be {problem.expected}" if problem.expected else " is not valid"
        message = f"A dependency's {field}{wanted}; it is {problem.actual}."
        yield invalid(message, path=[*path, field], hint=problem.hint)


def stored_dependencies(choices: Sequence[DependencyChoice] | None) -> list[dict[str, object]] | None:
    """Choices as rows keep them."""
    return None if choices is None else [asdict(choice) for choice in choices]


def read_dependency_choices(stored: Sequence[Mapping[str, object]] | None) -> tuple[Dependency, ...] | None:
    """Stored choices as config.json's own."""
    if stored is None:
        return None
    return tuple(dependency for choice in stored for dependency in _read(choice, Findings()))


def _read(choice: Mapping[str, object], findings: Findings) -> tuple[Dependency, ...]:
    package: JsonValue = {
        name: str(choice[field])
        for name, field in CONFIG_FIELDS.items()
        if field != "installer" and choice[field] is not None
    }
    group: JsonValue = {"installer": str(choice["installer"]), "packages": [package]}
    return read_dependencies(JsonNode([group], "dependencies", findings))
