"""Where below a training job's output, or a folder of object storage, the `model/` directory is."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from artifacts.json_node import printable
from artifacts.layout import CODE_FILE, CONFIG_FILE
from artifacts.problem import Problem, ProblemCode

_VERSION_NAME = re.compile(r"V\d{1,9}")
_FOLDER_LIMIT = 10_000
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class ModelDirectory:
    """`prefix` is relative to the location that was looked through and ends with `/`; "" is the location itself."""

    prefix: str


@dataclass(frozen=True, slots=True)
class ModelDirectoryReading:
    """Either a directory or a problem."""

    directory: ModelDirectory | None
    problems: tuple[Problem, ...] = ()


@dataclass(slots=True)
class _Seen:
    """What one pass over the keys leaves behind, however many there are. `folders` are those that hold a `model/`."""

    has_keys: bool = False
    has_model: bool = False
    has_config: bool = False
    has_config_in_model: bool = False
    folders: set[str] = field(default_factory=set)
    misplaced: list[str] = field(default_factory=list)

    def add(self, key: str) -> None:
        if not key or key.endswith("/"):
            return
        self.has_keys = True
        folder, _, rest = key.partition("/")
        self.has_model |= folder == "model" and bool(rest)
        self.has_config |= key == CONFIG_FILE
        self.has_config_in_model |= key == f"model/{CONFIG_FILE}"
        if rest.startswith("model/") and folder != "model" and len(self.folders) < _FOLDER_LIMIT:
            self.folders.add(folder)
        elif key.rpartition("/")[2] in (CONFIG_FILE, CODE_FILE) and len(self.misplaced) < _SHOWN:
            self.misplaced.append(printable(key))

    def prefix(self, *, is_named_model: bool) -> str | None:
        """`model/`, or "" for a location that is a model directory itself: by its config.json or by its name.

        A `model/` below that may be a module of the package; it is the directory where it has the config.json.
        """
        if self.has_config and not self.has_config_in_model:
            return ""
        if self.has_model:
            return "model/"
        return "" if is_named_model and self.has_keys else None


def locate_model_directory(
    keys: Iterable[str], version_name: str | None = None, *, key: str | None = None, needs_config: bool = True
) -> ModelDirectoryReading:
    """Finds `<version>/model/`, else `model/`, else takes a location that is itself the `model/` directory.

    `keys` are those of all objects, relative to the location. `version_name` is `V0001` of a training job (one that ran
    several times has a directory for each version, with or without leading zeros: modelarts_23_0205), None where a
    folder of object storage is imported. `key` is the location's own: one that ends with /model counts as the directory
    with or without a config.json. `needs_config` is false for packages whose config comes from elsewhere, as from a
    template.
    """
    seen = _Seen()
    for found in keys:
        seen.add(found)
    folder = None if version_name is None else _version_folder(seen.folders, version_name)
    if folder is not None:
        return ModelDirectoryReading(ModelDirectory(f"{folder}/model/"))
    is_named_model = key is not None and key.rstrip("/").rpartition("/")[2] == "model"
    prefix = seen.prefix(is_named_model=is_named_model)
    if prefix is not None:
        return ModelDirectoryReading(ModelDirectory(prefix))
    problem = (
        _missing_folder(seen, needs_config=needs_config)
        if version_name is None
        else _missing_output(seen, version_name)
    )
    return ModelDirectoryReading(None, (problem,))


def points_at_file(key: str) -> Problem:
    """The problem of a location that is a file: a package is a folder."""
    folder = key.rpartition("/")[0]
    return Problem(
        ProblemCode.MODEL_DIRECTORY_MISSING,
        f"{printable(key)} is a file; a package is a folder.",
        expected=folder or "model/",
        actual=key,
        hint=f"Name its folder: {printable(folder)}." if folder else "Move the package into a folder and name that.",
    )


def _version_folder(folders: set[str], version_name: str) -> str | None:
    """`V0001` itself, else `V001`; the shortest where there are several."""
    if version_name in folders:
        return version_name
    if not _VERSION_NAME.fullmatch(version_name):
        return None
    number = int(version_name[1:])
    same = (name for name in folders if _VERSION_NAME.fullmatch(name) and int(name[1:]) == number)
    return min(same, key=len, default=None)


def _missing_output(seen: _Seen, version_name: str) -> Problem:
    expected = f"{version_name}/model/"
    return Problem(
        ProblemCode.MODEL_DIRECTORY_MISSING,
        f"The output location holds neither {expected} nor model/.",
        expected=expected,
        hint=_output_hint(seen, expected),
    )


def _output_hint(seen: _Seen, expected: str) -> str:
    if not seen.has_keys:
        return f"The output location is empty; upload the package into {expected}."
    if seen.folders:
        return f"There is only {_listed(seen.folders)}; upload the package of this version into {expected}."
    if seen.misplaced:
        return f"{', '.join(seen.misplaced)} was found; move the whole package into {expected}."
    return f"Upload the package into {expected}."


def _missing_folder(seen: _Seen, *, needs_config: bool) -> Problem:
    reason = "it has no config.json" if needs_config else "its name is not model"
    message = f"The location holds no model/, and is no model directory itself: {reason}."
    return Problem(
        ProblemCode.MODEL_DIRECTORY_MISSING,
        message if seen.has_keys else "There is nothing at the location.",
        expected="model/",
        hint=_folder_hint(seen, needs_config=needs_config),
    )


def _folder_hint(seen: _Seen, *, needs_config: bool) -> str:
    if not seen.has_keys:
        return "Check the location for a slip of the pen, or upload the package there, into model/."
    if seen.folders:
        return f"There is {_listed(seen.folders)} below it; name the folder that holds the one you mean."
    if seen.misplaced:
        return (
            f"{', '.join(seen.misplaced)} was found; name the folder it is in, or move the whole package into model/."
        )
    return "Move the package into model/, with its config.json." if needs_config else "Move the package into model/."


def _listed(folders: Iterable[str]) -> str:
    return ", ".join(f"{printable(name)}/model/" for name in sorted(folders)[:_SHOWN])
