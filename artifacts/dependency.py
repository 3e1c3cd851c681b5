"""The libraries a package asks for: `dependencies` of config.json."""

import re
from dataclasses import dataclass
from enum import StrEnum

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, Specifier
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from artifacts.json_node import JsonNode, JsonObject, closest, shown

GROUP_LIMIT = 100
PACKAGE_LIMIT = 500
_INSTALLER = "pip"
# The format leaves no room for Chinese characters and these (modelarts_23_0092, table 7).
_FORBIDDEN = re.compile("[&!'\"<>=\u4e00-\u9fff]")
_VERSION_LENGTH = 64
_ANY_VERSION = ("*", "any", "latest", "newest")
_SYNONYMS = {"name": "package_name", "package": "package_name", "version": "package_version"}
_OPERATORS = {"==": "EXACT", "=": "EXACT", ">=": "ATLEAST", "<=": "ATMOST"}
# Known to ModelArts by its errors 3040 and 3041 only: neither it nor this installation runs them.
_OTHER_INSTALLERS = {
    "conda": "Name the package as pip knows it, with the installer pip.",
    "yum": "Ask for a library that brings what is needed as a wheel, or import the model as an image.",
    "apt-get": "Ask for a library that brings what is needed as a wheel, or import the model as an image.",
}


class Restraint(StrEnum):
    EXACT = "EXACT"
    ATLEAST = "ATLEAST"
    ATMOST = "ATMOST"

    @property
    def operator(self) -> str:
        return {"EXACT": "==", "ATLEAST": ">=", "ATMOST": "<="}[self.value]


@dataclass(frozen=True, slots=True)
class Dependency:
    """One package. The order of a config's dependencies is the order of installation (modelarts_23_0092)."""

    installer: str
    package: str
    version: str | None = None
    restraint: Restraint | None = None

    @property
    def wheel(self) -> str | None:
        """The name of the wheel file that lies beside the model file, where the package is given as one."""
        return self.package if self.package.endswith(".whl") else None

    @property
    def requirement(self) -> str:
        """A line for pip: `scikit-learn==1.7.2`. For a wheel, the name and version that its file name says."""
        if self.wheel is not None:
            name, version, _, _ = parse_wheel_filename(self.wheel)
            return f"{name}=={version}"
        if self.restraint is None or self.version is None:
            return self.package
        return f"{self.package}{self.restraint.operator}{self.version}"

    def to_json(self) -> JsonObject:
        package: JsonObject = {"package_name": self.package}
        if self.version is not None and self.restraint is not None:
            package |= {"package_version": self.version, "restraint": self.restraint.value}
        return {"installer": self.installer, "packages": [package]}


def read_dependencies(node: JsonNode) -> tuple[Dependency, ...]:
    """Reads the whole array; each package becomes a Dependency, in the order given."""
    return tuple(dependency for group in node.items(at_most=GROUP_LIMIT) for dependency in _read_group(group))


def _read_group(node: JsonNode) -> list[Dependency]:
    if isinstance(node.value, str):
        dependency = _read_package(node)
        return [] if dependency is None else [dependency]
    fields = node.fields(("installer", "packages"))
    _require(node, fields, "packages")
    if isinstance(node.value, dict) and "installer" not in fields:
        node.doubt(f"The entry at {node.pointer} has no installer; pip is meant.", hint='Add "installer": "pip".')
    if "installer" in fields and not _is_pip(fields["installer"]):
        return []
    if "packages" not in fields:
        return []
    read = [_read_package(package) for package in fields["packages"].items(at_most=PACKAGE_LIMIT)]
    return [dependency for dependency in read if dependency is not None]


def _is_pip(node: JsonNode) -> bool:
    """Whether pip installs it. Never reports twice, and takes an empty string for pip."""
    name = closest(node.value, _OTHER_INSTALLERS, cutoff=0.9) if isinstance(node.value, str) else None
    if name is None:
        return node.choice((_INSTALLER,)) is not None or node.value == ""
    hint = _OTHER_INSTALLERS[name]
    node.reject(f"Packages are installed with pip; {name} is not available.", expected=f'"{_INSTALLER}"', hint=hint)
    return False


def _require(node: JsonNode, fields: dict[str, JsonNode], *keys: str) -> None:
    for key in keys:
        if key not in fields and isinstance(node.value, dict):
            message = f"The entry at {node.pointer} must have the key {shown(key)}."
            node.reject(message, expected=key, hint=f"Add {shown(key)}.")


def _read_package(node: JsonNode) -> Dependency | None:
    fields = _package_fields(node)
    _require(node, fields, "package_name")
    written = fields["package_name"].text(at_most=256) if "package_name" in fields else None
    version = _read_version(fields["package_version"]) if "package_version" in fields else None
    restraint = _read_restraint(fields["restraint"]) if "restraint" in fields else None
    if written is None:
        _refuse_blank_name(fields)
        return None
    if version is None and restraint is None and (split := _split_name(fields["package_name"], written)) is not None:
        return split
    if not _is_package_name(written):
        _refuse_name(fields["package_name"])
        return None
    if version is None:
        return _without_version(fields, written, restraint)
    return _with_version(fields, written, version, restraint)


def _refuse_blank_name(fields: dict[str, JsonNode]) -> None:
    node = fields.get("package_name")
    if node is not None and isinstance(node.value, str) and not node.value.strip():
        _refuse_name(node)


def _package_fields(node: JsonNode) -> dict[str, JsonNode]:
    """The members of an entry; an entry that is a string is the name."""
    if isinstance(node.value, str):
        node.doubt(f"{shown(node.value)} is read as a package_name.", expected="an object")
        return {"package_name": node}
    fields = node.fields(("package_name", "package_version", "restraint"), synonyms=_SYNONYMS)
    # The official samples write "" for no version and no restraint.
    return {key: field for key, field in fields.items() if key == "package_name" or field.value != ""}


def _read_version(node: JsonNode) -> str | None:
    if isinstance(node.value, int) and not isinstance(node.value, bool):
        node.doubt(f"The version {node.value} is read as a string.", expected="a string", hint=f'Write "{node.value}".')
        return str(node.value)
    if isinstance(node.value, float):
        node.refuse("a string", hint="As a number a version loses its last zeros: 1.10 would be 1.1.")
        return None
    text = node.text(at_most=_VERSION_LENGTH)
    if text is not None and text.lower() in _ANY_VERSION:
        node.doubt(f"{shown(text)} is read as no version: the newest one is taken.", hint="Leave package_version out.")
        return None
    return text


def _read_restraint(node: JsonNode) -> Restraint | None:
    operator = _OPERATORS.get(node.value.strip()) if isinstance(node.value, str) else None
    if operator is not None:
        node.doubt(f"{shown(node.value)} is read as {operator}.", expected=operator, hint=f'Write "{operator}".')
        return Restraint(operator)
    choice = node.choice([restraint.value for restraint in Restraint])
    return None if choice is None else Restraint(choice)


def _split_name(node: JsonNode, written: str) -> Dependency | None:
    """`torch==1.8` in package_name: the name, the version and the restraint that are plainly meant, with a warning."""
    try:
        requirement = Requirement(written)
    except InvalidRequirement:
        return None
    specifiers = list(requirement.specifier)
    if len(specifiers) != 1 or requirement.url or requirement.marker or specifiers[0].operator not in _OPERATORS:
        return None
    name = written.partition(specifiers[0].operator)[0].strip()
    restraint, version = Restraint(_OPERATORS[specifiers[0].operator]), specifiers[0].version
    if not _is_package_name(name) or not _is_version(version, restraint):
        return None
    expected = f'package_name "{name}", package_version "{version}", restraint "{restraint}"'
    node.doubt(f"{shown(written)} is read as the package {name} in version {version}.", expected=expected)
    return Dependency(_INSTALLER, name, version, restraint)


def _without_version(fields: dict[str, JsonNode], name: str, restraint: Restraint | None) -> Dependency:
    if restraint is not None:
        fields["restraint"].doubt(f"The restraint {restraint} means nothing without a package_version and is left out.")
    return Dependency(_INSTALLER, name)


def _with_version(
    fields: dict[str, JsonNode], name: str, version: str, restraint: Restraint | None
) -> Dependency | None:
    node = fields["package_version"]
    if name.endswith(".whl"):
        node.doubt("A wheel's version is the one in its file name; package_version is left out.")
        return Dependency(_INSTALLER, name)
    version, restraint = _without_operator(node, version, restraint)
    if restraint is None:
        if "restraint" not in fields:
            node.reject(
                f"The package {shown(name)} has a version but no restraint.",
                expected="restraint: EXACT, ATLEAST or ATMOST",
                hint='Add "restraint": "EXACT".',
            )
        return None
    if not _is_version(version, restraint):
        node.refuse(f"a version that {restraint.operator} can take (PEP 440)")
        return None
    return Dependency(_INSTALLER, name, version, restraint)


def _without_operator(node: JsonNode, version: str, restraint: Restraint | None) -> tuple[str, Restraint | None]:
    """`==1.8` as a version says the restraint as well, where that says nothing else."""
    for operator, name in _OPERATORS.items():
        rest = version.removeprefix(operator).strip()
        if rest != version and restraint in (None, Restraint(name)) and _is_version(rest, Restraint(name)):
            node.doubt(f"{shown(version)} is read as the version {rest} with the restraint {name}.", expected=rest)
            return rest, Restraint(name)
    return version, restraint


def _is_version(version: str, restraint: Restraint) -> bool:
    """Whether the version stands behind the operator and nothing else does: no second clause, no marker, no `===`."""
    try:
        specifier = Specifier(restraint.operator + version)
    except InvalidSpecifier:
        return False
    return specifier.operator == restraint.operator and specifier.version == version and not _FORBIDDEN.search(version)


def _is_package_name(name: str) -> bool:
    """Whether it is a name of PEP 508, with extras at most, or a wheel's file name; pip would obey anything else."""
    try:
        if name.endswith(".whl"):
            parse_wheel_filename(name)
            return "/" not in name and "\\" not in name
        requirement = Requirement(name)
    except (InvalidRequirement, InvalidWheelFilename):
        return False
    return not (requirement.url or requirement.marker or requirement.specifier or _FORBIDDEN.search(name))


def _refuse_name(node: JsonNode) -> None:
    node.refuse(
        "the name of a package, or of a wheel file beside the model file",
        hint="Give the name alone; a version goes into package_version. Options and URLs are not allowed.",
    )
