"""The base class of TensorFlow inference code; as it is, the service of models that come without code."""

from model_service.graph_model import GraphModel
from model_service.graph_service import GraphServingBaseService
from model_service.saved_model import SavedModel

__all__ = ["TfServingBaseService"]


class TfServingBaseService(GraphServingBaseService):
    """`model_path` is the SavedModel's directory; `signature_name` is the signature that is asked."""

    signature_name = "serving_default"

    def _read_model(self) -> GraphModel:
        return SavedModel(self.model_path, self.signature_name)
