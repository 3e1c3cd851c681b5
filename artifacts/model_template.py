"""The model templates: engine and config in one, for packages that have no config.json of their own."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from artifacts.ai_engine import AiEngine
from artifacts.config import Config, default_config
from artifacts.engine_layout import ENGINE_LAYOUTS
from artifacts.input_output_mode import InputOutputMode


class TemplateType(StrEnum):
    CLASSIFICATION = "CLASSIFICATION"
    COMMON = "COMMON"


class Architecture(StrEnum):
    X86_64 = "X86_64"
    AARCH64 = "AARCH64"


@dataclass(frozen=True, slots=True)
class ModelTemplate:
    """`runtime` is the one it was made for; None takes this installation's own. `modes` are those to choose from."""

    id: str
    name: str
    description: str
    type: TemplateType
    ai_engine: AiEngine
    engine_version: str | None
    runtime: str | None
    architecture: Architecture
    input_output_mode: InputOutputMode
    modes: tuple[InputOutputMode, ...]
    needs_code: bool

    @property
    def is_mode_fixed(self) -> bool:
        """Whether there is nothing to choose (ModelArts.3030)."""
        return len(self.modes) == 1

    def config(self, mode: InputOutputMode | None = None) -> Config:
        """The config.json that the template brings. Raises ValueError for a mode that is none of `modes`."""
        chosen = mode or self.input_output_mode
        if chosen not in self.modes:
            raise ValueError(f"The template {self.id} has no mode {chosen}.")
        config = default_config(algorithm=chosen.algorithm, ai_engine=self.ai_engine, apis=chosen.apis)
        return Config.from_json(config.with_choices(runtime=self.runtime).to_json())


def model_templates() -> tuple[ModelTemplate, ...]:
    """The catalogue: first those for this installation's own environments, then ModelArts' (modelarts_23_0098)."""
    return _CATALOGUE


def find_model_template(template_id: str) -> ModelTemplate | None:
    return next((template for template in _CATALOGUE if template.id == template_id), None)


def _modes(ai_engine: AiEngine) -> tuple[InputOutputMode, ...]:
    return tuple(mode for mode in InputOutputMode if mode.takes_json or not ai_engine.is_machine_learning)


def _own(template_id: str, ai_engine: AiEngine, mode: InputOutputMode = InputOutputMode.UNDEFINED) -> ModelTemplate:
    name = ai_engine.model_type
    return ModelTemplate(
        id=template_id,
        name=name,
        description=f"{name} models, with the libraries that this installation has.",
        type=TemplateType.COMMON,
        ai_engine=ai_engine,
        engine_version=None,
        runtime=None,
        architecture=Architecture.X86_64,
        input_output_mode=mode,
        modes=_modes(ai_engine),
        needs_code=ENGINE_LAYOUTS[ai_engine].needs_code,
    )


def _general(ai_engine: AiEngine, version: str, python: str, device: str = "") -> ModelTemplate:
    """One of ModelArts' general templates: `TensorFlow-py36`, `Caffe-CPU-py36`."""
    suffix = f"-{device}" if device else ""
    name = f"{ai_engine.model_type}{suffix}-py{python.replace('.', '')}"
    on = f" on {device}s" if device else ""
    return ModelTemplate(
        id=name.lower(),
        name=name,
        description=f"{ai_engine.model_type} {version} models with Python {python}{on}.",
        type=TemplateType.COMMON,
        ai_engine=ai_engine,
        engine_version=version,
        runtime=f"python{python}{suffix.lower()}",
        architecture=Architecture.X86_64,
        input_output_mode=InputOutputMode.UNDEFINED,
        modes=_modes(ai_engine),
        needs_code=ENGINE_LAYOUTS[ai_engine].needs_code,
    )


def _image_classification(python: str) -> ModelTemplate:
    tag = python.replace(".", "")
    return ModelTemplate(
        id=f"tensorflow-image-classification-py{tag}",
        name=f"TensorFlow-py{tag} image classification",
        description=f"TensorFlow 1.8 models that classify pictures, with Python {python}.",
        type=TemplateType.CLASSIFICATION,
        ai_engine=AiEngine.TENSORFLOW,
        engine_version="1.8",
        runtime=f"python{python}",
        architecture=Architecture.X86_64,
        input_output_mode=InputOutputMode.IMAGE_PROCESSING,
        modes=(InputOutputMode.IMAGE_PROCESSING,),
        needs_code=False,
    )


# modelarts_23_0254: inference code is optional, the mode is not to be chosen.
_ARM_ASCEND: Final = ModelTemplate(
    id="arm-ascend",
    name="Arm-Ascend",
    description="MindSpore models converted for Ascend (*.om), with Python 3.5 on Arm processors.",
    type=TemplateType.COMMON,
    ai_engine=AiEngine.MINDSPORE,
    engine_version=None,
    runtime="python3.5",
    architecture=Architecture.AARCH64,
    input_output_mode=InputOutputMode.UNDEFINED,
    modes=(InputOutputMode.UNDEFINED,),
    needs_code=False,
)

_PYTHONS: Final = ("3.6", "2.7", "3.7")
_CATALOGUE: Final = (
    _own("scikit-learn", AiEngine.SCIKIT_LEARN, InputOutputMode.PREDICTIVE_ANALYTICS),
    _own("xgboost", AiEngine.XGBOOST, InputOutputMode.PREDICTIVE_ANALYTICS),
    _own("onnx", AiEngine.ONNX),
    _own("tensorflow", AiEngine.TENSORFLOW),
    _own("pytorch", AiEngine.PYTORCH),
    *(_general(AiEngine.TENSORFLOW, "1.8", python) for python in ("3.6", "2.7")),
    *(_image_classification(python) for python in ("3.6", "2.7")),
    *(_general(AiEngine.MXNET, "1.2.1", python) for python in _PYTHONS),
    *(_general(AiEngine.PYTORCH, "1.0", python) for python in _PYTHONS),
    *(_general(AiEngine.CAFFE, "1.0", python, device) for python in _PYTHONS for device in ("CPU", "GPU")),
    _ARM_ASCEND,
)
