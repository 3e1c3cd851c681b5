"""A package's config.json: what it declares, read with every problem at once."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from artifacts.ai_engine import AiEngine
from artifacts.api import PROTOCOLS, Api, read_apis
from artifacts.dependency import Dependency, read_dependencies
from artifacts.health_check import HealthCheck, read_health_check
from artifacts.image_reference import image_reference_fault
from artifacts.json_node import JsonNode, JsonObject, closest, shown
from artifacts.json_text import parse_json
from artifacts.problem import Findings, Problem

CONTAINER_KEYS = ("cmd", "protocol", "port")
DEFAULT_PROTOCOL = "http"
DEFAULT_PORT = 8080
_KEYS = (
    "model_algorithm", "model_type", "runtime", "swr_location", "metrics", "apis", "dependencies", "health",
    *CONTAINER_KEYS,
)  # fmt: skip
# Seen in configs that ModelArts stored and gave out again (modelarts_03_0078, inference-modelarts-0056).
_UNUSED_KEYS = (
    "model_source", "tunable", "downloadable_flag", "algorithm", "readiness_health", "startup_health",
)  # fmt: skip
_ALGORITHM = re.compile(r"[A-Za-z][^&!'\\\"<>=\u4e00-\u9fff]{0,35}")
_VERSION_BEHIND = re.compile(r"[0-9][0-9._]*[xX]?\s*\Z")
_ALGORITHM_HINT = "Say what the model does: image_classification, object_detection, predict_analysis or your own name."
_COMMAND_LENGTH = 4000
_IMAGE_FORM = "the address of an image, as swr.example.com/group/name:tag"
_METRIC_SYNONYMS = {"acc": "accuracy", "f1_score": "f1", "F1": "f1"}
_METRICS = ("f1", "recall", "precision", "accuracy")


@dataclass(frozen=True, slots=True)
class Metrics:
    """How good the model was in training; for display only, and kept as given (modelarts_23_0092)."""

    f1: float | None = None
    recall: float | None = None
    precision: float | None = None
    accuracy: float | None = None

    def to_json(self) -> JsonObject:
        values = {"f1": self.f1, "recall": self.recall, "precision": self.precision, "accuracy": self.accuracy}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Config:
    """What config.json says, as understood. `text` is the file as it was written, decoded.

    An image alone has `command` (what starts it, where that is not its own), `protocol` and `port` (http and 8080 where
    the file says nothing).
    """

    algorithm: str
    ai_engine: AiEngine
    runtime: str | None = None
    metrics: Metrics | None = None
    apis: tuple[Api, ...] = ()
    dependencies: tuple[Dependency, ...] = ()
    health_check: HealthCheck | None = None
    swr_location: str | None = None
    command: str | None = None
    protocol: str | None = None
    port: int | None = None
    text: str = ""

    def to_json(self) -> JsonObject:
        """The config as a config.json of its own, without misspellings and `text`; `from_json` reads it back."""
        values: JsonObject = {
            "model_algorithm": self.algorithm,
            "model_type": self.ai_engine.model_type,
            "runtime": self.runtime,
            "swr_location": self.swr_location,
            "metrics": None if self.metrics is None else self.metrics.to_json(),
            "apis": [api.to_json() for api in self.apis],
            "dependencies": [dependency.to_json() for dependency in self.dependencies],
            "health": None if self.health_check is None else self.health_check.to_json(),
            "cmd": self.command,
            "protocol": self.protocol,
            "port": self.port,
        }
        return {key: value for key, value in values.items() if value not in (None, [])}

    def with_choices(
        self,
        *,
        apis: tuple[Api, ...] | None = None,
        dependencies: tuple[Dependency, ...] | None = None,
        runtime: str | None = None,
    ) -> "Config":
        """The config with what an importer chose in the place of the package's own; None leaves that as it is."""
        return replace(
            self,
            apis=self.apis if apis is None else apis,
            dependencies=self.dependencies if dependencies is None else dependencies,
            runtime=self.runtime if runtime is None else runtime,
        )

    @classmethod
    def from_json(cls, document: JsonObject, *, text: str | None = None) -> "Config":
        """The config of a stored document; `text` is the document itself where none is given.

        Raises ValueError, naming each problem, for what no config.json may hold.
        """
        findings = Findings()
        written = json.dumps(document, indent=2, ensure_ascii=False) if text is None else text
        config = _read(JsonNode(document, "config.json", findings), written)
        if config is None or findings.problems:
            raise ValueError(" ".join(problem.message for problem in findings.problems))
        return config


@dataclass(frozen=True, slots=True)
class ConfigReading:
    """`config` is None exactly where there are `problems`. Warnings do not keep a package from being imported.

    `ai_engine` is what a config says that may have other problems: its files can be checked by it all the same.
    """

    config: Config | None
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    ai_engine: AiEngine | None = None


def read_config(data: bytes, *, file: str, size_bytes: int | None = None, needs_image: bool = False) -> ConfigReading:
    """Reads config.json by modelarts_23_0092, strictly as JSON, tolerantly where a misspelling leaves no doubt.

    Problems and warnings name `file`, the JSON pointer, and what was expected. Never raises, whatever the bytes are.
    `size_bytes` is the file's, where `data` may be its beginning only. `needs_image` is for a package that lies in
    storage: a model of type Image has to say there where its image is.
    """
    document = parse_json(data, file=file, size_bytes=size_bytes)
    findings = document.findings
    config = None if document.root is None else _read(document.root, document.text)
    if document.root is not None and config is not None and needs_image and config.ai_engine is AiEngine.IMAGE:
        _require_location(document.root, config)
    return ConfigReading(
        None if findings.problems else config,
        tuple(findings.problems),
        tuple(findings.warnings),
        config.ai_engine if config is not None else None,
    )


def read_config_choice(text: str) -> ConfigReading:
    """Reads a config that a request gives as text, as `read_config` reads a file; problems name the file "config"."""
    return read_config(text.encode(errors="replace"), file="config")


def _require_location(root: JsonNode, config: Config) -> None:
    if config.swr_location is None and not root.findings.problems:
        root.child("swr_location", None).reject(
            "A model of type Image that lies in storage must have the key swr_location.",
            expected="the address of an image",
            hint="Add swr_location, or import the model from its image.",
        )


def default_config(*, algorithm: str, ai_engine: AiEngine, apis: Sequence[Api]) -> Config:
    """The config that a model without a config.json has, as the output of a built-in algorithm (modelarts_23_0054)."""
    config = Config(algorithm, ai_engine, apis=tuple(apis))
    return Config.from_json(config.to_json())


def _read(root: JsonNode, text: str) -> Config | None:
    fields = root.fields(_KEYS, unused=_UNUSED_KEYS)
    ai_engine = _read_engine(root, fields)
    algorithm = _read_algorithm(root, fields)
    config = _read_declared(fields, ai_engine, algorithm or "", text)
    return None if ai_engine is None or algorithm is None else config


def _read_engine(root: JsonNode, fields: dict[str, JsonNode]) -> AiEngine | None:
    node = _required(root, fields, "model_type")
    text = None if node is None else node.text()
    if node is None or text is None:
        return None
    engine = AiEngine.from_model_type(text)
    if engine is None:
        engine = AiEngine.from_nickname(text)
        _report_engine(node, text, engine)
    return engine


def _report_engine(node: JsonNode, text: str, engine: AiEngine | None) -> None:
    if engine is not None:
        name = engine.model_type
        version = _VERSION_BEHIND.search(text)
        left_out = f"; {version.group().strip()} is not taken for a version" if version else ""
        advice = " The versions of libraries stand in dependencies." if version else ""
        message, hint = f"{shown(text)} is read as {shown(name)}{left_out}.", f"Write {shown(name)}.{advice}"
        node.doubt(message, expected=name, hint=hint)
        return
    allowed = [engine.model_type for engine in AiEngine]
    meant = closest(text, allowed)
    node.refuse("one of " + ", ".join(allowed), hint=f"Perhaps {meant} is meant." if meant else None)


def _read_algorithm(root: JsonNode, fields: dict[str, JsonNode]) -> str | None:
    node = _required(root, fields, "model_algorithm")
    text = None if node is None else node.text()
    if node is not None and text is not None and not _ALGORITHM.fullmatch(text):
        node.refuse("1 to 36 characters that begin with a letter, none of them Chinese or one of & ! ' \\ \" < > =")
    return text


def _required(root: JsonNode, fields: dict[str, JsonNode], key: str) -> JsonNode | None:
    node = fields.get(key)
    if isinstance(root.value, dict) and (node is None or (isinstance(node.value, str) and not node.value.strip())):
        missing = root.child(key, None) if node is None else node
        hint = f"Add {key}." if key == "model_type" else _ALGORITHM_HINT
        missing.reject(f"{root.file} must have the key {key}.", expected=key, hint=hint)
        return None
    return node


def _read_declared(fields: dict[str, JsonNode], ai_engine: AiEngine | None, algorithm: str, text: str) -> Config:
    is_image = ai_engine is AiEngine.IMAGE
    if ai_engine is not None:
        _refuse_misplaced(fields, is_image=is_image)
    protocol = fields["protocol"].choice(PROTOCOLS) if is_image and "protocol" in fields else None
    apis = (
        read_apis(fields["apis"], ai_engine=ai_engine, default_protocol=protocol or DEFAULT_PROTOCOL)
        if "apis" in fields
        else ()
    )
    config = Config(
        algorithm=algorithm,
        ai_engine=ai_engine or AiEngine.CUSTOM,
        runtime=fields["runtime"].text(at_most=128) if "runtime" in fields else None,
        metrics=_read_metrics(fields["metrics"]) if "metrics" in fields else None,
        apis=apis if apis or is_image else (Api(),),
        dependencies=read_dependencies(fields["dependencies"]) if "dependencies" in fields else (),
        health_check=read_health_check(fields["health"]) if "health" in fields and is_image else None,
        swr_location=_read_location(fields["swr_location"]) if "swr_location" in fields and is_image else None,
        text=text,
    )
    return _with_container(config, fields, protocol) if is_image else config


def _with_container(config: Config, fields: dict[str, JsonNode], protocol: str | None) -> Config:
    """What starts an image and where it listens (inference-modelarts-0009)."""
    said = config.apis[0].protocol if config.apis else DEFAULT_PROTOCOL
    port = fields["port"].whole_number(at_least=1, at_most=65535) if "port" in fields else None
    return replace(
        config,
        command=fields["cmd"].text(at_most=_COMMAND_LENGTH) if "cmd" in fields else None,
        protocol=protocol or said,
        port=port or DEFAULT_PORT,
    )


def _read_location(node: JsonNode) -> str | None:
    text = node.text()
    fault = None if text is None else image_reference_fault(text)
    if fault is not None:
        node.reject(fault, expected=_IMAGE_FORM, hint=f"Write {_IMAGE_FORM}.")
    return text


def _refuse_misplaced(fields: dict[str, JsonNode], *, is_image: bool) -> None:
    """Some keys belong to images only, some to all others only (modelarts.md 7.3)."""
    if is_image:
        for key in ("runtime", "dependencies"):
            if key in fields and fields[key].value not in ("", [], {}):
                message = f"A model of type Image must not have {key}: its image holds everything."
                fields[key].reject(message, hint=f"Delete {key}.")
        return
    if "swr_location" in fields and fields["swr_location"].value != "":
        fields["swr_location"].reject("Only a model of type Image may have swr_location.", hint="Delete swr_location.")
    if "health" in fields:
        fields["health"].doubt("Only a model of type Image has a health check; it is left out.")
    for key in CONTAINER_KEYS:
        if key in fields:
            fields[key].warn_of_key(f'The key "{key}" is not used: only a model of type Image has it.', None)


def _read_metrics(node: JsonNode) -> Metrics | None:
    if node.is_blank:
        node.doubt_blank()
        return None
    members = node.fields(_METRICS, synonyms=_METRIC_SYNONYMS)
    return Metrics(**{name: _read_metric(member) for name, member in members.items()})


def _read_metric(node: JsonNode) -> float | None:
    value = node.number()
    if value is not None and not 0 <= value <= 1:
        message = f"The metric at {node.pointer} is {value:g}; it is kept as it is."
        hint = "Write a share of 1: 0.93 for 93 percent."
        node.doubt(message, expected="a number from 0 to 1", hint=hint)
    return value
