"""The base class of ONNX inference code; as it is, the service of models that come without code."""

from model_service.graph_model import GraphModel
from model_service.graph_service import GraphServingBaseService
from model_service.onnx_model import OnnxModel

__all__ = ["OnnxServingBaseService"]


class OnnxServingBaseService(GraphServingBaseService):
    """`model_path` is the `.onnx` file."""

    def _read_model(self) -> GraphModel:
        return OnnxModel(self.model_path)
