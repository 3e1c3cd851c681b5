"""The AI engines a model can be made with."""

import re
from enum import StrEnum


class AiEngine(StrEnum):
    """The engines of `model_type` in config.json (modelarts_23_0092), and ONNX and CUSTOM."""

    TENSORFLOW = "TENSORFLOW"
    PYTORCH = "PYTORCH"
    MINDSPORE = "MINDSPORE"
    MXNET = "MXNET"
    CAFFE = "CAFFE"
    SPARK_MLLIB = "SPARK_MLLIB"
    SCIKIT_LEARN = "SCIKIT_LEARN"
    XGBOOST = "XGBOOST"
    ONNX = "ONNX"
    IMAGE = "IMAGE"
    CUSTOM = "CUSTOM"

    @property
    def model_type(self) -> str:
        """The spelling of config.json: `Scikit_Learn`."""
        return _SPELLINGS[self.value]

    @classmethod
    def from_model_type(cls, text: str) -> "AiEngine | None":
        """The engine meant by a `model_type`, whatever its case and separators; None for an unknown one."""
        plain = _plain(text)
        return next((engine for engine in cls if _plain(engine.value) == plain), None)

    @classmethod
    def from_nickname(cls, text: str) -> "AiEngine | None":
        """The engine that people plainly mean by another name, with or without a version: `sklearn`, `PyTorch1.8`."""
        plain = re.sub("[0-9]+X?$", "", _plain(text))
        return _NICKNAMES.get(plain) or next((engine for engine in cls if _plain(engine.value) == plain), None)

    @property
    def is_machine_learning(self) -> bool:
        """Machine learning engines speak only application/json (modelarts_23_0092)."""
        return self in (AiEngine.SCIKIT_LEARN, AiEngine.XGBOOST, AiEngine.SPARK_MLLIB)


_SPELLINGS = {
    "TENSORFLOW": "TensorFlow",
    "PYTORCH": "PyTorch",
    "MINDSPORE": "MindSpore",
    "MXNET": "MXNet",
    "CAFFE": "Caffe",
    "SPARK_MLLIB": "Spark_MLlib",
    "SCIKIT_LEARN": "Scikit_Learn",
    "XGBOOST": "XGBoost",
    "ONNX": "ONNX",
    "IMAGE": "Image",
    "CUSTOM": "Custom",
}


_NICKNAMES = {
    "TF": AiEngine.TENSORFLOW,
    "TORCH": AiEngine.PYTORCH,
    "SKLEARN": AiEngine.SCIKIT_LEARN,
    "SCIKIT": AiEngine.SCIKIT_LEARN,
    "XGB": AiEngine.XGBOOST,
    "SPARK": AiEngine.SPARK_MLLIB,
    "PYSPARK": AiEngine.SPARK_MLLIB,
    "SPARKML": AiEngine.SPARK_MLLIB,
}


def _plain(text: str) -> str:
    return "".join(character for character in text.upper() if character.isalnum())
