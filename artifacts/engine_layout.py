"""Which files make up a model, engine by engine (modelarts_23_0091, and the usual names of the libraries)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Final

from artifacts.ai_engine import AiEngine


@dataclass(frozen=True, slots=True)
class RequiredFile:
    """A file that must be there. `choices` go from the best to the least specific, each a tuple of equal patterns.

    A later choice counts only where no earlier one matches: a `scaler.pkl` beside `model.m` is data, no second model.
    """

    name: str
    choices: tuple[tuple[str, ...], ...]
    is_single: bool = True

    def find(self, paths: Sequence[str]) -> tuple[str, ...]:
        for patterns in self.choices:
            found = tuple(path for path in paths if any(_matches(path, pattern) for pattern in patterns))
            if found:
                return found
        return ()

    def below(self, folder: str) -> "RequiredFile":
        """The same file, required in a folder below `model/`; itself for ""."""
        if not folder:
            return self
        choices = tuple(tuple(f"{folder}/{pattern}" for pattern in patterns) for patterns in self.choices)
        return replace(self, choices=choices)

    @property
    def expected(self) -> str:
        return " or ".join(pattern for patterns in self.choices for pattern in patterns)


@dataclass(frozen=True, slots=True)
class EngineLayout:
    """`model_path` is what the code is given: None for the required file, else a folder below `model/` ("": that)."""

    required: tuple[RequiredFile, ...] = ()
    needs_code: bool = False
    model_path: str | None = ""


def _matches(path: str, pattern: str) -> bool:
    """Level by level: `*` never reaches into a folder, `folder/**` matches all below it. config.json is no model."""
    parts, wanted = path.lower().split("/"), pattern.split("/")
    if path == "config.json":
        return False
    if wanted[-1] == "**":
        return len(parts) >= len(wanted) and parts[: len(wanted) - 1] == wanted[:-1]
    if len(parts) != len(wanted):
        return False
    return all(fnmatchcase(part, level) for part, level in zip(parts, wanted, strict=True))


def _single(name: str, *choices: tuple[str, ...], needs_code: bool = False) -> EngineLayout:
    return EngineLayout((RequiredFile(name, choices),), needs_code=needs_code, model_path=None)


_PICKLES: Final = (("model.joblib", "model.pkl", "model.pickle"), ("*.joblib",), ("*.pkl", "*.pickle", "*.sav"))

# PyTorch, Caffe and MindSpore cannot load a model without code of the package's own (modelarts_23_0093).
ENGINE_LAYOUTS: Final = MappingProxyType({
    AiEngine.TENSORFLOW: EngineLayout((
        RequiredFile("SavedModel", (("saved_model.pb",),)),
        RequiredFile("variables index", (("variables/variables.index",),)),
        RequiredFile("variables", (("variables/variables.data-*",),), is_single=False),
    )),
    AiEngine.PYTORCH: _single("PyTorch model", ("*.pth",), ("*.pt",), needs_code=True),
    AiEngine.MINDSPORE: _single("MindSpore model", ("*.mindir",), ("*.om",), ("*.ckpt",), needs_code=True),
    AiEngine.MXNET: EngineLayout((
        RequiredFile("MXNet symbol", (("*-symbol.json",),)),
        RequiredFile("MXNet parameters", (("*-[0-9][0-9][0-9][0-9].params",),)),
    )),
    AiEngine.CAFFE: EngineLayout(
        (
            RequiredFile("Caffe network", (("deploy.prototxt",), ("*.prototxt",))),
            RequiredFile("Caffe model", (("*.caffemodel",),)),
        ),
        needs_code=True,
    ),
    AiEngine.SPARK_MLLIB: EngineLayout(
        (RequiredFile("Spark model", (("spark_model/**",),), is_single=False),), model_path="spark_model"
    ),
    AiEngine.SCIKIT_LEARN: _single("scikit-learn model", ("*.m",), *_PICKLES),
    AiEngine.XGBOOST: _single(
        "XGBoost model", ("*.m",), ("model.ubj",), ("*.ubj",), ("*.bst", "*.xgb", "*.model"), *_PICKLES,
        ("model.json",), ("*.json",),
    ),
    AiEngine.ONNX: _single("ONNX model", ("model.onnx",), ("*.onnx",)),
    AiEngine.IMAGE: EngineLayout(),
    AiEngine.CUSTOM: EngineLayout(),
})  # fmt: skip
