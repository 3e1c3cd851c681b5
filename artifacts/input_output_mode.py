"""What a model made from a template is asked and answers: a short name for the apis of its config."""

from enum import StrEnum
from types import MappingProxyType
from typing import Final

from artifacts.api import JSON, MULTIPART, Api
from artifacts.json_node import JsonObject


class InputOutputMode(StrEnum):
    """The modes of modelarts_23_0205; a model of the UNDEFINED mode declares no inputs, so it is no batch service."""

    OBJECT_DETECTION = "OBJECT_DETECTION"
    IMAGE_PROCESSING = "IMAGE_PROCESSING"
    PREDICTIVE_ANALYTICS = "PREDICTIVE_ANALYTICS"
    UNDEFINED = "UNDEFINED"

    @property
    def description(self) -> str:
        return _DESCRIPTIONS[self]

    @property
    def apis(self) -> tuple[Api, ...]:
        """The one api, `POST /`, that the mode stands for."""
        return (_APIS[self],)

    @property
    def algorithm(self) -> str:
        """What `model_algorithm` says of a model of the mode."""
        return _ALGORITHMS[self]

    @property
    def takes_json(self) -> bool:
        """Whether the machine learning engines, which speak nothing else, can have it (modelarts_23_0092)."""
        return _APIS[self].request_content_type == JSON


def _array(items: JsonObject) -> JsonObject:
    return {"type": "array", "items": items}


def _object(name: str, schema: JsonObject) -> JsonObject:
    return {"type": "object", "properties": {name: schema}, "required": [name]}


def _image_api(answer: JsonObject) -> Api:
    """A picture as the form field `images`."""
    return Api(
        request_content_type=MULTIPART,
        request_schema=_object("images", {"type": "file"}),
        response_schema={"type": "object", "properties": answer} if answer else {"type": "object"},
    )


def _rows_api() -> Api:
    rows = _array({"type": "object"})
    return Api(
        request_schema=_object("data", _object("req_data", rows)),
        response_schema=_object("data", _object("resp_data", rows)),
    )


_BOX: Final[JsonObject] = {"type": "array", "minItems": 4, "maxItems": 4, "items": {"type": "number"}}
_APIS: Final = MappingProxyType({
    InputOutputMode.OBJECT_DETECTION: _image_api({
        "detection_classes": _array({"type": "string"}),
        "detection_boxes": _array(_BOX),
        "detection_scores": _array({"type": "number"}),
    }),
    InputOutputMode.IMAGE_PROCESSING: _image_api({}),
    InputOutputMode.PREDICTIVE_ANALYTICS: _rows_api(),
    InputOutputMode.UNDEFINED: Api(),
})  # fmt: skip
_ALGORITHMS: Final = MappingProxyType(
    {
        InputOutputMode.OBJECT_DETECTION: "object_detection",
        InputOutputMode.IMAGE_PROCESSING: "image_classification",
        InputOutputMode.PREDICTIVE_ANALYTICS: "predict_analysis",
        InputOutputMode.UNDEFINED: "unknown_algorithm",
    }
)
_DESCRIPTIONS: Final = MappingProxyType(
    {
        InputOutputMode.OBJECT_DETECTION: "A picture as the form field images; classes, boxes and scores come back.",
        InputOutputMode.IMAGE_PROCESSING: "A picture as the form field images; the answer is any JSON.",
        InputOutputMode.PREDICTIVE_ANALYTICS: "Rows as data.req_data, in JSON; as many answers as data.resp_data.",
        InputOutputMode.UNDEFINED: "Nothing is declared; such a model cannot be deployed as a batch service.",
    }
)
