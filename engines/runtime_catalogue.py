"""Which runtimes packages may ask for, per AI engine, and which of them this installation has."""

import platform
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

INSTALLED = f"python{sys.version_info.major}.{sys.version_info.minor}"
NUMPY = "numpy==2.4.6"
# There are builds of tensorflow-cpu for Intel and AMD only; elsewhere tensorflow itself has no GPU packages.
TENSORFLOW = "tensorflow-cpu" if platform.machine() in ("x86_64", "AMD64") else "tensorflow"
MINDSPORE = ("mindspore==2.10.0", NUMPY)
MINDSPORE_INTERPRETERS = ("python3.10", "python3.11", "python3.12")

SERVED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "SCIKIT_LEARN": ("scikit-learn==1.7.2", "joblib==1.6.0", NUMPY),
        "XGBOOST": ("xgboost-cpu==3.2.0", "scikit-learn==1.7.2", NUMPY),
        "PYTORCH": ("torch==2.13.0", NUMPY),
        "TENSORFLOW": (f"{TENSORFLOW}==2.21.0", NUMPY),
        "ONNX": ("onnxruntime==1.32.0", NUMPY),
        **({"MINDSPORE": MINDSPORE} if INSTALLED in MINDSPORE_INTERPRETERS else {}),
    }
)

# modelarts_23_0207 Table 1: what ModelArts itself offered in May 2022, and what its documents of 2025 name.
HISTORICAL: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "TENSORFLOW": (
            "python3.6",
            "python2.7",
            "tf1.13-python2.7-gpu",
            "tf1.13-python2.7-cpu",
            "tf1.13-python3.6-gpu",
            "tf1.13-python3.6-cpu",
            "tf1.13-python3.7-cpu",
            "tf1.13-python3.7-gpu",
            "tf2.1-python3.7",
            "tf1.15-aarch64-c76-d910",
            "tensorflow_1.15.0-cann_6.3.0-py_3.7-euler_2.8.3-aarch64",
        ),
        "MXNET": ("python3.7", "python3.6"),
        "CAFFE": (
            "python3.6",
            "python3.7",
            "python3.6-gpu",
            "python3.7-gpu",
            "python3.6-cpu",
            "python3.7-cpu",
        ),
        "SPARK_MLLIB": ("python3.6",),
        "SCIKIT_LEARN": ("python3.6",),
        "XGBOOST": ("python3.6",),
        "PYTORCH": ("python3.6", "python3.7", "pytorch1.4-python3.7"),
        "MINDSPORE": ("ms1.1-python3.7-c76",),
    }
)
# <engine version>-<cpu|cuda|cann>-<py>-<os>-<arch>, as ai-engine-runtimes of the documents of 2025 spells them.
IMAGE_NAME = re.compile(
    r"(?P<engine>tensorflow|pytorch|mindspore)_[\w.]+-(?:cpu|cuda_[\w.]+|cann_[\w.]+)-py_[\d.]+-[a-z]+_[\w.]+-"
    r"(?:x86_64|aarch64)"
)
UNSERVED: Mapping[str, str] = MappingProxyType(
    {
        "MXNET": "MXNet is retired and has no release for the interpreters of this installation.",
        "CAFFE": "Caffe is in no package index.",
        "SPARK_MLLIB": "Spark needs a Java runtime, which the environments here do not have.",
        "MINDSPORE": f"MindSpore has no release for {INSTALLED}.",
    }
)

# Distributions that provide the same modules: a package that declares one must not get the other beside it.
SAME_LIBRARY = {
    "xgboost-cpu": "xgboost",
    "tensorflow-cpu": "tensorflow",
    "tensorflow-gpu": "tensorflow",
    "onnxruntime-gpu": "onnxruntime",
}
NOTHING_MAPPED: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Runtime:
    """An interpreter with an engine's libraries; `reason` says why it is not available, where it is not.

    `interpreter` and `requirements` are what packages get that ask for it: None and () where they get nothing.
    `nearest` is the available runtime that an importer could name in its place, `maps_to` the one that the operator
    has such packages get.
    """

    ai_engine: str
    name: str
    is_default: bool
    is_available: bool
    requirements: tuple[str, ...]
    interpreter: str | None = None
    reason: str | None = None
    nearest: str | None = None
    maps_to: str | None = None


def runtimes(ai_engine: str | None = None, runtime_map: Mapping[str, str] = NOTHING_MAPPED) -> tuple[Runtime, ...]:
    """Every runtime known, or those of one engine (by its name, as SCIKIT_LEARN); available ones first.

    `runtime_map` is the operator's: what packages ask for, as `python3.6` or `PYTORCH:python3.6`, and what they get.
    """
    engines = sorted(SERVED.keys() | HISTORICAL.keys()) if ai_engine is None else [ai_engine]
    return tuple(runtime for engine in engines for runtime in _of_engine(engine, runtime_map))


def default_runtime(ai_engine: str) -> Runtime | None:
    """The runtime for a package that asks for none; None for an engine that is not served here."""
    served = SERVED.get(ai_engine)
    if served is None:
        return None
    return Runtime(ai_engine, INSTALLED, is_default=True, is_available=True, requirements=served, interpreter=INSTALLED)


def resolve(ai_engine: str, requested: str | None, runtime_map: Mapping[str, str] = NOTHING_MAPPED) -> Runtime | None:
    """The runtime that a package gets which asks for this one: another one where the operator maps it.

    It may be one that is not available; None when nobody knows the name.
    """
    if not requested:
        return default_runtime(ai_engine)
    target = mapped(ai_engine, requested, runtime_map)
    if target is None and IMAGE_NAME.fullmatch(requested):
        return _image(ai_engine, requested)
    return next((runtime for runtime in runtimes(ai_engine) if runtime.name == (target or requested)), None)


def spelt(ai_engine: str, requested: str, runtime_map: Mapping[str, str] = NOTHING_MAPPED) -> str:
    """The name of the known runtime that this one differs from in case and blanks only, else the name itself."""
    known = {_plain(runtime.name): runtime.name for runtime in runtimes(ai_engine, runtime_map)}
    return requested if requested in known.values() else known.get(_plain(requested), requested)


def probably_meant(requested: str) -> str | None:
    """The runtime that is here, for a name that says its version in other words: `Python 3.11`, `python3.11.7`."""
    version = INSTALLED.removeprefix("python")
    numbers = re.findall("[0-9]+", requested)
    is_same = ".".join(numbers[:2]) == version or "".join(numbers) == version.replace(".", "")
    return INSTALLED if is_same and requested != INSTALLED else None


def mapped(ai_engine: str, requested: str, runtime_map: Mapping[str, str]) -> str | None:
    """The available runtime that the operator has packages get which ask for `requested`, if any."""
    default = default_runtime(ai_engine)
    target = runtime_map.get(f"{ai_engine}:{requested}") or runtime_map.get(requested)
    return target if default is not None and target == default.name != requested else None


def map_errors(runtime_map: Mapping[str, str]) -> list[str]:
    """A sentence for each entry of an operator's map that could never hold."""
    errors = []
    for asked, given in runtime_map.items():
        engine, separator, name = asked.rpartition(":")
        if separator and engine not in SERVED:
            errors.append(f"{engine!r} in {asked!r} is no engine with an environment; {', '.join(sorted(SERVED))} are.")
        if given != INSTALLED:
            errors.append(f"{given!r} is not here to replace {name!r}; {INSTALLED} is.")
        if name == INSTALLED:
            errors.append(f"{name!r} is here, and needs no replacement.")
    return errors


def requirements_for(runtime: Runtime, declared: Sequence[str]) -> tuple[str, ...]:
    """The pip lines of an environment: the runtime's, less what the package declares itself, then the declared ones.

    Beside declared ones only the engine's own library keeps its pin: an older pandas may need an older numpy.
    """
    names = {_library(line) for line in declared}
    first, *companions = runtime.requirements
    lines = [first, *(Requirement(line).name if declared else line for line in companions)]
    return (*(line for line in lines if _library(line) not in names), *declared)


def _of_engine(ai_engine: str, runtime_map: Mapping[str, str]) -> tuple[Runtime, ...]:
    default = default_runtime(ai_engine)
    prefix = f"{ai_engine}:"
    asked = (name.removeprefix(prefix) for name in runtime_map if ":" not in name or name.startswith(prefix))
    # What the operator maps is worth showing also where ModelArts never had it.
    names = dict.fromkeys((*HISTORICAL.get(ai_engine, ()), *(name for name in asked if default is not None)))
    absent = (_absent(ai_engine, name) for name in names if default is None or name != default.name)
    shown = tuple(_with_map(runtime, default, runtime_map) for runtime in absent)
    return shown if default is None else (default, *shown)


def _with_map(runtime: Runtime, default: Runtime | None, runtime_map: Mapping[str, str]) -> Runtime:
    target = mapped(runtime.ai_engine, runtime.name, runtime_map)
    if target is None or default is None:
        return runtime
    reason = f"{runtime.reason} Packages that ask for it get {target}: so the operator has chosen."
    given = replace(runtime, interpreter=default.interpreter, requirements=default.requirements)
    return replace(given, maps_to=target, reason=reason)


def _image(ai_engine: str, name: str) -> Runtime | None:
    return _absent(ai_engine, name) if name.startswith(f"{ai_engine.lower()}_") else None


def _absent(ai_engine: str, name: str) -> Runtime:
    default = default_runtime(ai_engine)
    return Runtime(
        ai_engine,
        name,
        is_default=False,
        is_available=False,
        requirements=(),
        reason=_reason(ai_engine, name),
        nearest=None if default is None else default.name,
    )


def _reason(ai_engine: str, name: str) -> str:
    if ai_engine in SERVED:
        return f"This installation runs {INSTALLED}; it has no {name}."
    return f"{ai_engine} models are not served by this installation. {UNSERVED.get(ai_engine, '')}".rstrip()


def _plain(name: str) -> str:
    return "".join(name.split()).lower()


def _library(line: str) -> str:
    try:
        name = canonicalize_name(Requirement(line).name)
    except InvalidRequirement:
        return line
    return SAME_LIBRARY.get(name, name)
