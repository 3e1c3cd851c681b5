"""The model templates, and the input and output modes that stand for their apis."""

import pytest

from artifacts.ai_engine import AiEngine
from artifacts.config import Config
from artifacts.input_output_mode import InputOutputMode
from artifacts.model_template import (
    Architecture,
    ModelTemplate,
    TemplateType,
    find_model_template,
    model_templates,
)


def template_of(template_id: str) -> ModelTemplate:
    template = find_model_template(template_id)
    assert template is not None
    return template


class TestModes:
    def test_object_detection_takes_a_picture_and_tells_boxes(self) -> None:
        (api,) = InputOutputMode.OBJECT_DETECTION.apis
        assert (api.url, api.method, api.request_content_type) == ("/", "POST", "multipart/form-data")
        assert [(one.name, one.type) for one in api.inputs] == [("images", "file")]
        assert [one.name for one in api.outputs] == ["detection_classes", "detection_boxes", "detection_scores"]

    def test_image_processing_takes_a_picture_and_tells_anything(self) -> None:
        (api,) = InputOutputMode.IMAGE_PROCESSING.apis
        assert [(one.name, one.type) for one in api.inputs] == [("images", "file")]
        assert (api.response_content_type, api.outputs) == ("application/json", ())

    def test_predictive_analytics_takes_rows(self) -> None:
        (api,) = InputOutputMode.PREDICTIVE_ANALYTICS.apis
        assert api.request_content_type == "application/json"
        data, answer = api.inputs[0].schema["properties"], api.outputs[0].schema["properties"]
        assert isinstance(data, dict)
        assert isinstance(answer, dict)
        assert (list(data), list(answer)) == (["req_data"], ["resp_data"])

    def test_undefined_declares_nothing(self) -> None:
        (api,) = InputOutputMode.UNDEFINED.apis
        assert (api.inputs, api.outputs) == ((), ())

    @pytest.mark.parametrize("mode", InputOutputMode)
    def test_are_described(self, mode: InputOutputMode) -> None:
        assert mode.description.endswith(".")


class TestTemplates:
    def test_have_stable_names(self) -> None:
        assert [template.id for template in model_templates()] == [
            "scikit-learn", "xgboost", "onnx", "tensorflow", "pytorch",
            "tensorflow-py36", "tensorflow-py27",
            "tensorflow-image-classification-py36", "tensorflow-image-classification-py27",
            "mxnet-py36", "mxnet-py27", "mxnet-py37", "pytorch-py36", "pytorch-py27", "pytorch-py37",
            "caffe-cpu-py36", "caffe-gpu-py36", "caffe-cpu-py27", "caffe-gpu-py27", "caffe-cpu-py37", "caffe-gpu-py37",
            "arm-ascend",
        ]  # fmt: skip
        assert find_model_template("TensorFlow-py36") is None

    @pytest.mark.parametrize("template", model_templates(), ids=lambda template: template.id)
    def test_bring_a_config_for_each_of_their_modes(self, template: ModelTemplate) -> None:
        assert template.input_output_mode in template.modes
        assert template.config() == template.config(template.input_output_mode)
        for mode in template.modes:
            config = template.config(mode)
            assert (config.ai_engine, config.runtime, config.apis) == (
                template.ai_engine, template.runtime, mode.apis,
            )  # fmt: skip
            assert Config.from_json(config.to_json()) == config

    def test_of_modelarts_are_as_it_documents_them(self) -> None:
        template = template_of("tensorflow-py36")
        assert (template.name, template.engine_version, template.runtime) == ("TensorFlow-py36", "1.8", "python3.6")
        assert (template.type, template.architecture) == (TemplateType.COMMON, Architecture.X86_64)
        assert template.modes == tuple(InputOutputMode)
        assert template_of("caffe-gpu-py36").runtime == "python3.6-gpu"

    def test_with_a_fixed_mode_take_no_other(self) -> None:
        template = template_of("tensorflow-image-classification-py27")
        assert (template.is_mode_fixed, template.type) == (True, TemplateType.CLASSIFICATION)
        with pytest.raises(ValueError, match="UNDEFINED"):
            template.config(InputOutputMode.UNDEFINED)

    def test_for_arm_have_a_mode_that_is_not_to_be_chosen(self) -> None:
        template = template_of("arm-ascend")
        assert (template.architecture, template.ai_engine) == (Architecture.AARCH64, AiEngine.MINDSPORE)
        assert template.modes == (InputOutputMode.UNDEFINED,)
        assert template.needs_code is False

    def test_of_machine_learning_have_no_mode_with_pictures(self) -> None:
        assert template_of("scikit-learn").modes == (
            InputOutputMode.PREDICTIVE_ANALYTICS, InputOutputMode.UNDEFINED,
        )  # fmt: skip

    def test_of_this_installation_take_its_own_runtime(self) -> None:
        assert {template.id for template in model_templates() if template.runtime is None} == {
            "scikit-learn", "xgboost", "onnx", "tensorflow", "pytorch",
        }  # fmt: skip
        assert template_of("pytorch").needs_code
        assert not template_of("tensorflow").needs_code
