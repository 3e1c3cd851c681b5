"""What a request for a batch service comes to, looked up in one transaction: its target, its places, how it asks."""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from asyncpg import Record

from db import batch_configuration, model_version
from db.batch_configuration import NewConfiguration
from db.service import NewTarget
from resolvers.batch_configuration import BatchInputKind, BatchMappingKind
from resolvers.batch_mapping import Asking, asking
from resolvers.batch_place import check_output_is_free, input_place, output_place
from resolvers.batch_request import (
    CONCURRENCY,
    CONCURRENCY_OF_INSTANCE,
    BatchInput,
    BatchRequest,
    FileMapping,
    RuleMapping,
    rule_warnings,
)
from resolvers.deployment_type import DeploymentType
from resolvers.errors import Refusal, Refusals, raise_all
from resolvers.installation import Installation
from resolvers.location import Location
from resolvers.service_configuration import targets_of
from resolvers.service_target import resolve_target
from resolvers.transaction import Transaction

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Resolved:
    target: NewTarget
    configuration: NewConfiguration
    warnings: Sequence[Refusal]


@dataclass(frozen=True, slots=True)
class _Version:
    target: NewTarget
    row: Record
    warnings: Sequence[Refusal]


class BatchResolution:
    """Collects everything that is wrong, beginning with `refusals`. `row` is the service's where it is updated."""

    def __init__(
        self,
        installation: Installation,
        unit: Transaction,
        request: BatchRequest,
        refusals: Sequence[Refusal],
        row: Record | None = None,
    ) -> None:
        self._installation = installation
        self._unit = unit
        self._request = request
        self._refused = list(refusals)
        self._row = row

    async def attempt(self, look_up: Awaitable[Found]) -> Found | None:
        """What is found, or None with why not kept for later."""
        try:
            return await look_up
        except Refusal as refusal:
            self._refused.append(refusal)
        except Refusals as refusals:
            self._refused += refusals.refusals
        return None

    async def resolve(self, pool: Record | None, *, service_name: str) -> Resolved:
        """Raises Refusals."""
        stored = await self._stored()
        read, written = await self._places(stored, service_name)
        version = await self._version(pool)
        asked = None
        if version is not None:
            asked = await self.attempt(self._asking(version.row, stored))
        raise_all(self._refused)
        assert read is not None
        assert written is not None
        assert version is not None
        assert asked is not None
        configuration = NewConfiguration(
            read.kind,
            read.location.store,
            read.location.key,
            written.store,
            written.key,
            asked.api_url,
            asked.api_method,
            asked.api_content_type,
            asked.mapping_kind,
            asked.mapping_parameter,
            asked.mapping_rule,
            self._max_concurrency(version.target, stored),
        )
        warnings = [*version.warnings, *rule_warnings(self._request.mapping), *asked.warnings]
        return Resolved(version.target, configuration, warnings)

    async def _stored(self) -> Record | None:
        if self._row is None:
            return None
        return await batch_configuration.wanted(self._unit.connection, self._unit.workspace_id, self._row["id"])

    async def _places(self, stored: Record | None, service_name: str) -> tuple[BatchInput | None, Location | None]:
        read, written = self._request.input, self._request.output
        if read is not None:
            location = await self.attempt(input_place(self._installation, self._unit, read))
            read = BatchInput(location, read.kind) if location else None
        elif stored is not None:
            location = Location(stored["input_store"], stored["input_key"])
            read = BatchInput(location, BatchInputKind(stored["input_kind"]))
        if written is not None:
            written = await self.attempt(output_place(self._installation, self._unit, written))
        elif stored is not None:
            written = Location(stored["output_store"], stored["output_key"])
        if written is not None:
            folder = read.location if read and read.kind is BatchInputKind.PREFIX else None
            await self.attempt(check_output_is_free(self._unit, written, read_from=folder, service_name=service_name))
        return read, written

    async def _version(self, pool: Record | None) -> _Version | None:
        if self._request.target is None:
            return await self._same_version()
        found = await self.attempt(
            resolve_target(
                self._installation,
                self._unit,
                self._request.target,
                deployment_type=DeploymentType.BATCH,
                pool=pool,
                path=["target"],
            )
        )
        return _Version(found.row, found.version, found.warnings) if found else None

    async def _same_version(self) -> _Version:
        assert self._row is not None
        (target,) = await targets_of(self._unit, self._row, self._row["last_configuration_number"])
        version = await model_version.find(self._unit.connection, self._unit.workspace_id, target.model_version_id)
        assert version is not None
        return _Version(target, version, ())

    async def _asking(self, version: Record, stored: Record | None) -> Asking:
        request = self._request
        path = request.api_path or (stored["api_url"] if stored else None)
        mapping = request.mapping or (_mapping(stored) if stored else FileMapping(None))
        return asking(version["apis"], path, mapping)

    def _max_concurrency(self, target: NewTarget, stored: Record | None) -> int:
        given = self._request.max_concurrency or (stored["max_concurrency"] if stored else None)
        return given or min(CONCURRENCY, CONCURRENCY_OF_INSTANCE * target.instance_count)


def _mapping(stored: Record) -> FileMapping | RuleMapping:
    if stored["mapping_kind"] == BatchMappingKind.CSV:
        return RuleMapping(stored["mapping_rule"])
    return FileMapping(None)
