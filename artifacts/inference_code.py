"""customize_service.py, read without running it: is it Python, and does it fit the engine (modelarts_23_0093)."""

import ast
import io
import re
import threading
import tokenize
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from artifacts.ai_engine import AiEngine
from artifacts.json_node import printable
from artifacts.problem import Findings, Problem, ProblemCode

# To parse it takes seconds and hundreds of megabytes for each megabyte, and nothing else runs meanwhile.
SIZE_LIMIT_BYTES = 128 * 1024
_NAMES_SHOWN = 10
_SHOWN_LENGTH = 100
_READ_LENGTH = 500
_HINT = "docs/packages.md has the base class of each engine; ModelArts tells of a wrong one only at deployment."


@dataclass(frozen=True, slots=True)
class BaseClass:
    """A class that inference code derives from; `engines` is empty where it is for any."""

    name: str
    module: str
    engines: tuple[AiEngine, ...] = ()


BASE_CLASSES: Final = (
    BaseClass("TfServingBaseService", "model_service.tfserving_model_service", (AiEngine.TENSORFLOW,)),
    BaseClass("MXNetBaseService", "mms.model_service.mxnet_model_service", (AiEngine.MXNET,)),
    BaseClass("PTServingBaseService", "model_service.pytorch_model_service", (AiEngine.PYTORCH,)),
    BaseClass("SparkServingBaseService", "model_service.spark_model_service", (AiEngine.SPARK_MLLIB,)),
    BaseClass("CaffeBaseService", "model_service.caffe_model_service", (AiEngine.CAFFE,)),
    BaseClass(
        "XgSklServingBaseService", "model_service.python_model_service", (AiEngine.XGBOOST, AiEngine.SCIKIT_LEARN)
    ),
    BaseClass("OnnxServingBaseService", "model_service.onnx_model_service", (AiEngine.ONNX,)),
    BaseClass("SingleNodeService", "model_service.model_service"),
)
_BY_NAME: Final = MappingProxyType({base.name: base for base in BASE_CLASSES})
_MODULES: Final = frozenset(base.module for base in BASE_CLASSES)
# What Python 3 says of Python 2, and what such a line looks like where it says only "invalid syntax".
_PYTHON_2_MESSAGES = (
    "Missing parentheses in call to",
    "multiple exception types must be parenthesized",
    "leading zeros in decimal integer literals",
)
_PYTHON_2_LINE = re.compile(
    r"^\s*print\s+[^\s(=]|^\s*exec\s+[^\s(=]|\bexcept\s+[\w.()\s,]+,\s*\w+\s*:|^\s*raise\s+[\w.]+\s*,|`[^`]+`|<>|\b\d+[lL]\b"
    r"|\b[uU][rR]['\"]"
)
# `catch_warnings` changes what the whole process has: two readings at once would leave it changed.
_WARNINGS_LOCK = threading.Lock()


def check_inference_code(source: bytes, *, file: str, ai_engine: AiEngine) -> Findings:
    """A problem for what is no Python; a warning for Python 2 and for a service class that the engine would not take.

    The code is parsed and never run. What is larger than 128 KiB is not looked at. Never raises. Blocks for a moment.
    """
    findings = Findings()
    if len(source) > SIZE_LIMIT_BYTES:
        findings.warn(_doubt(file, f"{file} is larger than {SIZE_LIMIT_BYTES} bytes and was not looked at."))
        return findings
    try:
        tree = _parse(source, file, findings)
        if tree is not None and ai_engine not in (AiEngine.IMAGE, AiEngine.CUSTOM):
            for problem in _doubts(tree, file, ai_engine):
                findings.warn(problem)
    except (RecursionError, MemoryError):
        findings.warn(_doubt(file, f"{file} is nested too deeply to be read."))
    return findings


def _parse(source: bytes, file: str, findings: Findings) -> ast.Module | None:
    try:
        with _WARNINGS_LOCK, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
            return ast.parse(source.decode(encoding))
    except SyntaxError as error:
        _report_syntax(error, source, file, findings)
    except UnicodeDecodeError as error:
        number = source.count(b"\n", 0, error.start) + 1
        findings.refuse(_invalid(file, f"{file} is not text in {error.encoding} at line {number}."))
    except ValueError:
        findings.refuse(_invalid(file, f"{file} holds a NUL and is not Python."))
    return None


def _report_syntax(error: SyntaxError, source: bytes, file: str, findings: Findings) -> None:
    lines = source.decode(errors="replace").split("\n")
    number = error.lineno or 1
    line = lines[number - 1] if number <= len(lines) else ""
    if error.msg.startswith(_PYTHON_2_MESSAGES) or _PYTHON_2_LINE.search(line[:_READ_LENGTH]):
        message = f"{file} is written for Python 2 (line {number}) and will not run here."
        findings.warn(_doubt(file, message, actual=line, hint="Rewrite it for Python 3, for example with 2to3."))
        return
    message = f"{file} is not Python at line {number}, column {error.offset or 1}: {_shown(error.msg)}."
    findings.refuse(_invalid(file, message, actual=line))


def _invalid(file: str, message: str, *, actual: str = "") -> Problem:
    hint = "Mend it, and save it as UTF-8."
    return Problem(ProblemCode.INFERENCE_CODE_INVALID, message, file, actual=_shown(actual), hint=hint)


def _doubt(
    file: str, message: str, *, expected: str | None = None, actual: str = "", hint: str | None = None
) -> Problem:
    code = ProblemCode.INFERENCE_CODE_DOUBTFUL
    return Problem(code, message, file, expected=expected, actual=_shown(actual), hint=hint)


def _shown(text: str) -> str | None:
    return printable(text.strip())[:_SHOWN_LENGTH] or None


def _doubts(tree: ast.Module, file: str, ai_engine: AiEngine) -> Iterator[Problem]:
    imports = _imported_names(tree)
    yield from _doubts_of_imports(imports, file)
    services = _services(tree, imports)
    expected = " or ".join(base.name for base in BASE_CLASSES if not base.engines or ai_engine in base.engines)
    if not services and not any(module.startswith(".") for module, _ in imports.values()):
        message = f"No class of {file} derives from a base class of inference code."
        yield _doubt(file, message, expected=expected, hint=_HINT)
    if len(services) > 1:
        names = ", ".join(sorted(services)[:_NAMES_SHOWN]) + (", …" if len(services) > _NAMES_SHOWN else "")
        message = f"{file} defines several services: {names}."
        yield _doubt(file, message, expected="one class", actual=names, hint="Keep one, or derive one from the others.")
    for name, base in services.items():
        if base.engines and ai_engine not in base.engines:
            message = f"{name} derives from {base.name}, which is not for {ai_engine.model_type} models."
            yield _doubt(file, message, expected=expected, actual=base.name, hint=_HINT)


def _imported_names(tree: ast.Module) -> Mapping[str, tuple[str, str]]:
    """The module and the name there of each `from module import name`; a relative module begins with a dot."""
    found: dict[str, tuple[str, str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            found |= {alias.asname or alias.name: (module, alias.name) for alias in node.names}
    return found


def _doubts_of_imports(imports: Mapping[str, tuple[str, str]], file: str) -> Iterator[Problem]:
    for module, name in imports.values():
        base = _BY_NAME.get(name)
        if base is not None and module != base.module and module in _MODULES:
            message = f"{file} imports {name} from {module}, which does not have it."
            yield _doubt(file, message, expected=f"from {base.module} import {name}", actual=module, hint=_HINT)


def _services(tree: ast.Module, imports: Mapping[str, tuple[str, str]]) -> dict[str, BaseClass]:
    """The classes that derive from a base class, themselves or by others, and that no other one derives from."""
    derived: dict[str, BaseClass] = {}
    inherited: set[str] = set()
    # A class stands behind those that it derives from, so one pass is enough.
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            names = _base_names(node, imports)
            if (base := _first_base(names, derived)) is not None:
                derived[node.name] = base
                inherited.update(names)
    return {name: base for name, base in derived.items() if name not in inherited}


def _first_base(names: list[str], derived: Mapping[str, BaseClass]) -> BaseClass | None:
    return next((found for name in names if (found := derived.get(name) or _BY_NAME.get(name)) is not None), None)


def _base_names(node: ast.ClassDef, imports: Mapping[str, tuple[str, str]]) -> list[str]:
    """The names of the classes it derives from, as the modules that define them have them."""
    names = []
    for base in node.bases:
        if isinstance(base, ast.Attribute):
            names.append(base.attr)
        elif isinstance(base, ast.Name):
            names.append(imports[base.id][1] if base.id in imports else base.id)
    return names
