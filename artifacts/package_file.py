"""One file of a package, and what no file of a package may be."""

import unicodedata
from dataclasses import dataclass

from artifacts.json_node import printable
from artifacts.problem import Findings, Problem, ProblemCode

_PATH_LENGTH = 1024


@dataclass(frozen=True, slots=True)
class PackageFile:
    """A file of a package; `path` is relative to its `model/` directory, with `/`."""

    path: str
    size_bytes: int

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


def check_file(file: PackageFile, *, limit_bytes: int, is_strict: bool, findings: Findings) -> None:
    """Its path, its size, and that it is no Dockerfile (modelarts_23_0091). `is_strict` refuses blanks in paths."""
    path = printable(file.path)
    _check_path(file.path, path, findings, is_strict=is_strict)
    if file.size_bytes > limit_bytes:
        findings.refuse(_too_large(file, limit_bytes))
    if file.name.lower() == "dockerfile":
        message = f"The package holds {path}, which stops an image from being built."
        findings.refuse(Problem(ProblemCode.DOCKERFILE_PRESENT, message, path, hint=f"Delete {path}."))


def _check_path(path: str, shown: str, findings: Findings, *, is_strict: bool) -> None:
    if not _is_plain(path):
        message = f"The path {shown[:100]!r} of a file is not usable."
        hint = "Use relative paths without empty, . and .. parts, backslashes and control characters."
    elif is_strict and any(character.isspace() for character in path):
        message = f"The path {shown[:100]!r} of a file holds a blank, which ModelArts does not take."
        hint = "Rename it without blanks."
    else:
        return
    findings.refuse(Problem(ProblemCode.FILE_PATH_INVALID, message, shown[:_PATH_LENGTH], hint=hint))


def _is_plain(path: str) -> bool:
    if len(path) > _PATH_LENGTH or "\\" in path or not all(map(_is_visible, path)):
        return False
    return all(part not in ("", ".", "..") for part in path.split("/"))


def _is_visible(character: str) -> bool:
    """Chinese paths hold blanks of their own, which `isprintable` does not take."""
    return character.isprintable() or unicodedata.category(character) == "Zs"


def _too_large(file: PackageFile, limit_bytes: int) -> Problem:
    """ModelArts.3044 refuses the same, at 5 GB and later at 20 GB."""
    return Problem(
        ProblemCode.FILE_TOO_LARGE,
        f"{file.path} has {file.size_bytes} bytes; a file may have at most {limit_bytes}.",
        file.path,
        expected=f"at most {limit_bytes} bytes",
        actual=f"{file.size_bytes} bytes",
        hint="Make it smaller, or ask the operator to raise MODELYARD_MODEL_FILE_LIMIT_BYTES.",
    )
