"""What the server wants of this node about one service, as it comes over the wire and as it is kept."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from engines.engine import EnvironmentSpecification, InstanceSpecification

RUNNING, STOPPED = "RUNNING", "STOPPED"


@dataclass(frozen=True, slots=True)
class Desired:
    """A service's version, and how it is run. `wheels` are paths inside the package."""

    service_id: str
    service_name: str
    configuration_number: int
    desired_state: str
    generation: int
    model_version_id: str
    model_name: str
    version: str
    ai_engine: str
    model_path: str
    runtime: str
    requirements: tuple[str, ...]
    wheels: tuple[str, ...]
    apis: tuple[Mapping[str, object], ...]
    environment: Mapping[str, str]
    cpu_count: float
    memory_bytes: int
    timeout_seconds: float
    max_body_bytes: int
    build_timeout_seconds: float

    @property
    def is_running(self) -> bool:
        return self.desired_state == RUNNING

    def runs_as(self, other: "Desired") -> bool:
        """Whether an instance of the one is an instance of the other."""
        return self == replace(
            other,
            configuration_number=self.configuration_number,
            desired_state=self.desired_state,
            service_name=self.service_name,
        )

    def environment_specification(self, package: Path) -> EnvironmentSpecification:
        wheels = tuple(package / name for name in self.wheels)
        return EnvironmentSpecification(self.runtime, self.requirements, wheels)

    def instance_specification(self, instance_id: str, package: Path) -> InstanceSpecification:
        return InstanceSpecification(
            instance_id=instance_id,
            service_id=self.service_id,
            environment=self.environment_specification(package),
            package_directory=package,
            model_path=self.model_path,
            ai_engine=self.ai_engine,
            model_name=self.model_name,
            model_version=self.version,
            apis=self.apis,
            environment_variables=self.environment,
            cpu_count=self.cpu_count,
            memory_bytes=self.memory_bytes,
            timeout_seconds=self.timeout_seconds,
            max_body_bytes=self.max_body_bytes,
        )


def read_desired(value: Mapping[str, Any]) -> Desired:
    """Raises KeyError, TypeError and ValueError for what is none."""
    return Desired(
        service_id=str(value["service_id"]),
        service_name=str(value["service_name"]),
        configuration_number=int(value["configuration_number"]),
        desired_state=str(value["desired_state"]),
        generation=int(value["generation"]),
        model_version_id=str(value["model_version_id"]),
        model_name=str(value["model_name"]),
        version=str(value["version"]),
        ai_engine=str(value["ai_engine"]),
        model_path=str(value["model_path"]),
        runtime=str(value["runtime"]),
        requirements=tuple(map(str, value["requirements"])),
        wheels=tuple(map(str, value["wheels"])),
        apis=tuple(value["apis"]),
        environment={str(name): str(text) for name, text in value["environment"].items()},
        cpu_count=float(value["cpu_count"]),
        memory_bytes=int(value["memory_bytes"]),
        timeout_seconds=float(value["timeout_seconds"]),
        max_body_bytes=int(value["max_body_bytes"]),
        build_timeout_seconds=float(value["build_timeout_seconds"]),
    )


def as_json(desired: Desired) -> dict[str, object]:
    return asdict(desired)
