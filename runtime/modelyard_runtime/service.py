"""Finds and constructs the service of a package: the class in customize_service.py, or the default of its engine."""

import contextlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from model_service.graph_service import GraphServingBaseService
from model_service.model_service import SingleNodeService
from model_service.onnx_model_service import OnnxServingBaseService
from model_service.python_model_service import XgSklServingBaseService
from model_service.saved_model import quieten
from model_service.tfserving_model_service import TfServingBaseService
from modelyard_runtime.api import Api
from modelyard_runtime.settings import Settings
from modelyard_runtime.start_error import StartError, StartErrorCode

INFERENCE_CODE = "customize_service.py"
# Inference code may use relative imports, so it needs a package; no sibling has this name.
PACKAGE_NAME = "modelyard_package"


def has_inference_code(package: Path) -> bool:
    return (package / INFERENCE_CODE).is_file()


def load_service(settings: Settings, apis: tuple[Api, ...]) -> SingleNodeService:
    """The one service of the package, its model loaded where it has no code. Raises StartError."""
    if not settings.model_path.exists():
        raise StartError(StartErrorCode.MODEL_FILE_MISSING, f"The package holds no {settings.model_path.name}.")
    os.chdir(settings.package)
    # Replicas share the package, whose content is verified: nothing is written into it.
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(settings.package))
    if settings.engine == "TENSORFLOW":
        quieten()
    service = _own_service(settings) if has_inference_code(settings.package) else _default_service(settings)
    if isinstance(service, XgSklServingBaseService | GraphServingBaseService):
        service.declared_columns = next((api.columns for api in apis if api.columns), ())
    return service


def _default_service(settings: Settings) -> SingleNodeService:
    path = str(settings.model_path)
    name = settings.model_path.name if settings.model_path.is_file() else "The model"
    with _failing_as(StartErrorCode.MODEL_NOT_LOADED, f"{name} could not be loaded"):
        match settings.engine:
            case "SCIKIT_LEARN" | "XGBOOST":
                return XgSklServingBaseService(path)
            case "TENSORFLOW":
                return TfServingBaseService(settings.model_name, path)
            case "ONNX":
                return OnnxServingBaseService(settings.model_name, path)
    raise StartError(
        StartErrorCode.INFERENCE_CODE_MISSING, f"A {settings.engine} model needs a {INFERENCE_CODE} that loads it."
    )


def _own_service(settings: Settings) -> SingleNodeService:
    with _failing_as(StartErrorCode.INFERENCE_CODE_NOT_IMPORTED, f"{INFERENCE_CODE} could not be imported"):
        module = _import_code(settings.package)
    service_class = _service_class(module)
    with _failing_as(StartErrorCode.SERVICE_NOT_CONSTRUCTED, f"{service_class.__name__} could not be constructed"):
        service = service_class(*_constructor_arguments(service_class, settings))
    # A constructor of the package's own need not call its base class.
    for name, value in (("model_name", settings.model_name), ("model_path", str(settings.model_path))):
        if not hasattr(service, name):
            setattr(service, name, value)
    return service


def _import_code(package: Path) -> ModuleType:
    parent = ModuleType(PACKAGE_NAME)
    parent.__path__ = [str(package)]
    sys.modules[PACKAGE_NAME] = parent
    name = f"{PACKAGE_NAME}.{Path(INFERENCE_CODE).stem}"
    specification = importlib.util.spec_from_file_location(name, package / INFERENCE_CODE)
    if specification is None or specification.loader is None:
        raise ImportError(f"{INFERENCE_CODE} is not a Python module")
    module = importlib.util.module_from_spec(specification)
    # Pickles and siblings know it by its plain name.
    sys.modules[name] = sys.modules[Path(INFERENCE_CODE).stem] = module
    specification.loader.exec_module(module)
    return module


def _service_class(module: ModuleType) -> type[SingleNodeService]:
    """The class no other one derives from; a base class of the contract that was merely imported does not count."""
    classes = {
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, SingleNodeService)
        and not value.__module__.startswith("model_service.")
    }
    leaves = [
        found for found in classes if not any(other is not found and issubclass(other, found) for other in classes)
    ]
    if not leaves:
        raise StartError(
            StartErrorCode.SERVICE_CLASS_MISSING,
            f"{INFERENCE_CODE} defines no subclass of a model_service base class.",
        )
    if len(leaves) > 1:
        names = ", ".join(sorted(leaf.__name__ for leaf in leaves))
        raise StartError(
            StartErrorCode.SERVICE_CLASS_NOT_UNIQUE,
            f"{INFERENCE_CODE} must define exactly one subclass of a model_service base class, it has {names}.",
        )
    return leaves[0]


def _constructor_arguments(service_class: type[SingleNodeService], settings: Settings) -> tuple[str, ...]:
    """`(model_name, model_path)` or `(model_path)` by engine (modelarts_23_0093), or as many as are taken."""
    path = str(settings.model_path)
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(service_class).parameters.values()
    names = [parameter.name for parameter in parameters if parameter.kind in kinds]
    if any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in parameters):
        return (path,) if issubclass(service_class, XgSklServingBaseService) else (settings.model_name, path)
    if names[:2] == ["model_path", "model_name"]:
        return (path, settings.model_name)
    if names[:1] == ["model_path"] or len(names) == 1:
        return (path,)
    return (settings.model_name, path) if names else ()


@contextlib.contextmanager
def _failing_as(code: StartErrorCode, what: str) -> Iterator[None]:
    """Whatever package code raises, exits included, ends the start with the class and message of it."""
    try:
        yield
    except (Exception, SystemExit) as error:
        raise StartError(code, f"{what}: {type(error).__name__}: {error}") from error
