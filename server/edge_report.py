"""What an edge node's agent sends, checked: the wire form of resolvers.edge_sync.NodeReport."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from db.edge_deployment import LogLine, Report
from db.edge_node import Sighting
from engines.engine import IsolationLevel
from resolvers.edge_sync import Log, NodeReport

Short = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]
State = Literal["PENDING", "PREPARING", "RUNNING", "NOT_READY", "STOPPED", "FAILED"]
Count = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Bytes = Annotated[int, Field(ge=0, le=2**62)]


class DeploymentReport(BaseModel):
    service_id: UUID
    state: State
    reason: str | None
    address: Short | None
    configuration_number: Annotated[int, Field(ge=1, le=2**31 - 1)] | None

    def read(self) -> Report:
        return Report(self.service_id, self.state, self.reason, self.address, self.configuration_number)


class Line(BaseModel):
    instance_id: UUID
    model_version_id: UUID
    text: str


class LogReport(BaseModel):
    service_id: UUID
    log_id: UUID
    first_number: Annotated[int, Field(ge=1, le=2**53)]
    lines: Annotated[list[Line], Field(max_length=10_000)]

    def read(self) -> tuple[UUID, Log]:
        lines = [LogLine(line.instance_id, line.model_version_id, line.text) for line in self.lines]
        return self.service_id, Log(self.log_id, self.first_number, lines)


class EdgeReport(BaseModel):
    agent_version: Short
    architecture: Short
    runtime: Short
    isolation: IsolationLevel | None
    cpu_count: Count
    memory_bytes: Bytes
    failure: str | None
    deployments: Annotated[list[DeploymentReport], Field(max_length=10_000)]
    logs: Annotated[list[LogReport], Field(max_length=10_000)]

    def read(self) -> NodeReport:
        sighting = Sighting(
            status="RUNNING" if self.failure is None else "FAILED",
            status_message=self.failure,
            architecture=self.architecture,
            runtime=self.runtime,
            agent_version=self.agent_version,
            isolation=self.isolation,
            cpu_count=self.cpu_count,
            memory_bytes=self.memory_bytes,
        )
        return NodeReport(sighting, [each.read() for each in self.deployments], [log.read() for log in self.logs])
