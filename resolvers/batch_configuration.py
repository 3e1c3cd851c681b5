"""What a batch service reads, how it asks and where it writes, as its configurations keep it."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from asyncpg import Record

from artifacts.csv_mapping import CsvMapping, read_mapping
from resolvers.location import Location

RESULT_SUFFIX = "_result.txt"
RESULT_FOLDER = "infer-result"
RESULT_MANIFEST = "infer-result-1.manifest"


class BatchInputKind(StrEnum):
    PREFIX = "PREFIX"
    MANIFEST = "MANIFEST"


class BatchMappingKind(StrEnum):
    FILE = "FILE"
    CSV = "CSV"


class BatchRunState(StrEnum):
    LISTING = "LISTING"
    RUNNING = "RUNNING"
    STOPPED = "STOPPED"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    ABANDONED = "ABANDONED"


class BatchInputState(StrEnum):
    PENDING = "PENDING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class BatchConfiguration:
    """`parameter` is the file's in a FILE mapping, `csv` the rule of a CSV mapping. `id` is the configuration's."""

    id: UUID
    input_kind: BatchInputKind
    input: Location
    output: Location
    api_url: str
    api_method: str
    api_content_type: str
    parameter: str | None
    csv: CsvMapping | None
    max_concurrency: int

    @classmethod
    def of(cls, row: Record) -> "BatchConfiguration":
        return cls(
            row["service_configuration_id"],
            BatchInputKind(row["input_kind"]),
            Location(row["input_store"], row["input_key"]),
            Location(row["output_store"], row["output_key"]),
            row["api_url"],
            row["api_method"],
            row["api_content_type"],
            row["mapping_parameter"],
            read_mapping(row["mapping_rule"]) if row["mapping_kind"] == BatchMappingKind.CSV else None,
            row["max_concurrency"],
        )

    def result_key(self, number: int, key: str) -> str:
        """Where the result of an input is written: under its own path, or by its line in the manifest."""
        if self.input_kind is BatchInputKind.PREFIX:
            return f"{self.output.key}/{key.removeprefix(f'{self.input.key}/')}{RESULT_SUFFIX}"
        return f"{self.output.key}/{RESULT_FOLDER}/{number}/{key.rpartition('/')[2]}{RESULT_SUFFIX}"
