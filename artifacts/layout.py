"""Whether the files of a package are those that its AI engine needs."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from artifacts.ai_engine import AiEngine
from artifacts.config_use import ConfigUse
from artifacts.engine_layout import ENGINE_LAYOUTS, EngineLayout, RequiredFile
from artifacts.json_node import closest, printable
from artifacts.package_file import PackageFile, check_file
from artifacts.problem import Findings, Problem, ProblemCode

CONFIG_FILE = "config.json"
CODE_FILE = "customize_service.py"
_KERAS_SUFFIXES = (".h5", ".hdf5", ".keras")
_SAVED_MODEL = "saved_model.pb"
_VERSION_FOLDER = re.compile(r"[0-9]{1,18}")
_KEEP_ONE = "Keep only the one directly in model/."


@dataclass(frozen=True, slots=True)
class LayoutReading:
    """What the package holds. `model_path` is the model's file, or its directory ("" is `model/` itself)."""

    model_files: tuple[str, ...]
    model_path: str
    inference_code: str | None
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def check_layout(
    files: Sequence[PackageFile],
    *,
    ai_engine: AiEngine | None,
    needs_code: bool | None,
    file_size_limit_bytes: int,
    config_use: ConfigUse = ConfigUse.REQUIRED,
    is_strict: bool = False,
) -> LayoutReading:
    """Checks a package by modelarts_23_0091 and reports every problem at once.

    `ai_engine` None (a config that cannot be read) leaves the engine's own files unchecked. `needs_code` None takes the
    engine's rule. `is_strict` holds paths to ModelArts' own rule: no blanks.
    """
    findings = Findings()
    layout = EngineLayout() if ai_engine is None else ENGINE_LAYOUTS[ai_engine]
    for file in files:
        check_file(file, limit_bytes=file_size_limit_bytes, is_strict=is_strict, findings=findings)
    _check_config(files, findings, config_use)
    code = _check_code(files, findings, is_required=layout.needs_code if needs_code is None else needs_code)
    folder = _version_folder(files, findings) if ai_engine is AiEngine.TENSORFLOW else ""
    found = [_check_model(files, part.below(folder), ai_engine, findings) for part in layout.required]
    _check_keras(files, ai_engine, findings, has_model=bool(found) and all(found))
    model_files = tuple(path for paths in found for path in paths)
    model_path = folder or _model_path(layout, model_files)
    return LayoutReading(model_files, model_path, code, tuple(findings.problems), tuple(findings.warnings))


def check_wheels(wheels: Iterable[str], files: Sequence[PackageFile]) -> tuple[Problem, ...]:
    """A wheel that a dependency names must lie beside the model file, directly in `model/` (ma_drawer_028)."""
    paths = {file.path for file in files}
    return tuple(
        Problem(
            ProblemCode.WHEEL_MISSING,
            f"The wheel {wheel} that a dependency names is not in model/.",
            wheel,
            expected=f"model/{wheel}",
            hint="Upload the wheel beside the model file.",
        )
        for wheel in wheels
        if wheel not in paths
    )


def _version_folder(files: Sequence[PackageFile], findings: Findings) -> str:
    """`1` where the one SavedModel lies in `model/1/`, as TensorFlow Serving has it; "" where it lies in `model/`."""
    folders = {file.path.rpartition("/")[0] for file in files if file.name == _SAVED_MODEL}
    if len(folders) != 1:
        return ""
    (folder,) = folders
    if not _VERSION_FOLDER.fullmatch(folder):
        return ""
    path = f"{folder}/{_SAVED_MODEL}"
    message = f"The SavedModel lies in model/{folder}/ and is served from there; ModelArts has it directly in model/."
    hint = f"Move what is in model/{folder}/ into model/ if ModelArts is to take it too."
    findings.warn(
        Problem(ProblemCode.MODEL_FILE_MISPLACED, message, path, expected=_SAVED_MODEL, actual=path, hint=hint)
    )
    return folder


def _model_path(layout: EngineLayout, model_files: Sequence[str]) -> str:
    if layout.model_path is not None:
        return layout.model_path
    return model_files[0] if len(model_files) == 1 else ""


def _check_keras(
    files: Sequence[PackageFile], ai_engine: AiEngine | None, findings: Findings, *, has_model: bool
) -> None:
    """A Keras file is no model here: not directly in `model/`, and nowhere where a SavedModel is looked for in vain."""
    for file in files:
        is_meant = "/" not in file.path or (ai_engine is AiEngine.TENSORFLOW and not has_model)
        if is_meant and file.name.lower().endswith(_KERAS_SUFFIXES):
            path = printable(file.path)
            message = f"{path} is in Keras' HDF5 format, which cannot be imported."
            hint = "Save the model as a TensorFlow SavedModel (saved_model.pb and variables/); put data into a folder."
            findings.refuse(Problem(ProblemCode.UNSUPPORTED_FORMAT, message, path, hint=hint))


def _check_config(files: Sequence[PackageFile], findings: Findings, config_use: ConfigUse) -> None:
    """Exactly one config.json in the whole package, directly in `model/` (modelarts_23_0091)."""
    paths = [file.path for file in files if file.name == CONFIG_FILE]
    is_there = CONFIG_FILE in paths
    if config_use is ConfigUse.LEFT_OUT:
        if is_there:
            message = f"model/{CONFIG_FILE} is left out: a template brings its own."
            hint = "Delete it, or import the package as it is, without a template."
            findings.warn(Problem(ProblemCode.CONFIG_LEFT_OUT, message, CONFIG_FILE, hint=hint))
        return
    for path in paths:
        if path != CONFIG_FILE and is_there:
            message = f"The package holds a second {CONFIG_FILE}: {path}."
            findings.refuse(Problem(ProblemCode.CONFIG_NOT_UNIQUE, message, path, expected=CONFIG_FILE, hint=_KEEP_ONE))
    if not is_there and config_use is ConfigUse.REQUIRED:
        message = f"model/{CONFIG_FILE} is missing."
        hint = _misplaced_hint(files, CONFIG_FILE) or f"Upload {CONFIG_FILE} into the model/ directory."
        findings.refuse(
            Problem(ProblemCode.CONFIG_MISSING, message, CONFIG_FILE, expected=f"model/{CONFIG_FILE}", hint=hint)
        )


def _check_code(files: Sequence[PackageFile], findings: Findings, *, is_required: bool) -> str | None:
    """The inference code lies directly in `model/`, and there is at most one (modelarts_23_0091)."""
    paths = [file.path for file in files if file.name == CODE_FILE]
    is_there = CODE_FILE in paths
    for path in paths:
        if path != CODE_FILE and is_there:
            message = f"The package holds a second {CODE_FILE}: {path}."
            problem = Problem(ProblemCode.INFERENCE_CODE_NOT_UNIQUE, message, path, expected=CODE_FILE, hint=_KEEP_ONE)
            findings.refuse(problem)
    if is_there:
        return CODE_FILE
    _report_no_code(files, findings, is_required=is_required)
    return None


def _report_no_code(files: Sequence[PackageFile], findings: Findings, *, is_required: bool) -> None:
    misplaced = _misplaced_hint(files, CODE_FILE)
    problem = Problem(
        ProblemCode.INFERENCE_CODE_MISSING,
        f"model/{CODE_FILE} is missing.",
        CODE_FILE,
        expected=f"model/{CODE_FILE}",
        hint=misplaced or f"Upload {CODE_FILE} into model/: the engine cannot load a model without it.",
    )
    if is_required:
        findings.refuse(problem)
    elif misplaced is not None:
        findings.warn(problem)


def _misplaced_hint(files: Sequence[PackageFile], name: str) -> str | None:
    """Where the file seems to be instead: deeper down, or under a name that is nearly right."""
    deeper = next((file.path for file in files if file.name == name), None)
    if deeper is not None:
        return f"It was found at model/{deeper}; move it directly into model/."
    suffix = name.rpartition(".")[2]
    near = (file.path for file in files if "/" not in file.path and file.name.lower().endswith(suffix))
    similar = next((path for path in near if closest(path, (name,)) is not None), None)
    return None if similar is None else f"Rename model/{similar} to {name}."


def _check_model(
    files: Sequence[PackageFile], part: RequiredFile, ai_engine: AiEngine | None, findings: Findings
) -> tuple[str, ...]:
    found = part.find([file.path for file in files])
    if not found:
        findings.refuse(_model_missing(files, part, ai_engine))
    if part.is_single and len(found) > 1:
        findings.refuse(_model_not_unique(part, found))
    sizes = {file.path: file.size_bytes for file in files}
    for path in found:
        if part.is_single and sizes[path] == 0:
            message, hint = f"The model file {path} is empty.", "Save the model and upload it again."
            findings.refuse(Problem(ProblemCode.MODEL_FILE_EMPTY, message, path, hint=hint))
    return found


def _model_missing(files: Sequence[PackageFile], part: RequiredFile, ai_engine: AiEngine | None) -> Problem:
    return Problem(
        ProblemCode.MODEL_FILE_MISSING,
        f"The file of the {part.name} ({part.expected}) is missing from model/.",
        expected=part.expected,
        hint=_missing_hint(files, part, ai_engine),
    )


def _missing_hint(files: Sequence[PackageFile], part: RequiredFile, ai_engine: AiEngine | None) -> str:
    """Where the file is instead, or whose files these are."""
    deeper = next((file.path for file in files if "/" in file.path and part.find([file.name])), None)
    if deeper is not None:
        return f"It was found at model/{printable(deeper)}; move it directly into model/."
    paths = [file.path for file in files]
    for engine, layout in ENGINE_LAYOUTS.items():
        is_whole = bool(layout.required) and all(other.find(paths) for other in layout.required)
        # XGBoost takes any *.json, which says nothing.
        if is_whole and engine not in (ai_engine, AiEngine.XGBOOST):
            return f"The files are those of the engine {engine.model_type}; is model_type in config.json right?"
    return "Upload what training saved into model/, under a name of this form."


def _model_not_unique(part: RequiredFile, found: Sequence[str]) -> Problem:
    names = ", ".join(found[:5]) + (", …" if len(found) > 5 else "")
    return Problem(
        ProblemCode.MODEL_FILE_NOT_UNIQUE,
        f"model/ holds {len(found)} files that could be the {part.name}: {names}.",
        found[0],
        expected=f"one {part.expected}",
        actual=names,
        hint=f"Keep one; or name the model {part.choices[0][0]} and put the others into a folder below model/.",
    )
