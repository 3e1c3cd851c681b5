"""Versions of models: changing what people say of one, which what was imported does not depend on."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from uuid import UUID

from asyncpg import Record

from db import model, model_version
from resolvers import field_rule
from resolvers.caller import Caller
from resolvers.errors import ErrorCode, Refusal, along_with, raise_all, revision_violations
from resolvers.idempotency import once
from resolvers.import_request import Document, MinimumSpecification, document_violations, minimum_violations
from resolvers.installation import Installation
from resolvers.model import find_id
from resolvers.transaction import Transaction, transaction

NO_MINIMUM = MinimumSpecification(None, None, None, None)


@dataclass(frozen=True, slots=True)
class VersionName:
    model_name: str
    version: str


@dataclass(frozen=True, slots=True)
class Changes:
    """What is said anew: a field that is not in `given` stays as it is."""

    given: Sequence[str]
    description: str | None = None
    labels: Sequence[str] = ()
    documents: Sequence[Document] = ()
    minimum_specification: MinimumSpecification = NO_MINIMUM


@dataclass(frozen=True, slots=True)
class UpdateRequest:
    model_version: VersionName
    changes: Changes
    expected_revision: int | None


async def update(
    installation: Installation, caller: Caller, request: UpdateRequest, *, idempotency_key: str | None
) -> UUID:
    """Change what people say of a version: its id. What it was already stays without a trace. Raises Refusals."""
    refusals = _violations(installation, request.changes)
    async with transaction(installation.pool, caller.workspace.id, caller.actor) as unit:

        async def act() -> UUID:
            return await _update(unit, request, refusals)

        return await once(unit, mutation="updateModelVersion", key=idempotency_key, request=asdict(request), act=act)


async def _update(unit: Transaction, request: UpdateRequest, refusals: Sequence[Refusal]) -> UUID:
    name = request.model_version
    # Whoever deletes versions holds this lock, too.
    await model.lock_by_name(unit.connection, unit.workspace_id, name.model_name)
    version_id = await along_with(refusals, find_id(unit, name.model_name, name.version, path=["modelVersion"]))
    await model_version.lock(unit.connection, unit.workspace_id, version_id)
    row = await model_version.find(unit.connection, unit.workspace_id, version_id)
    assert row is not None
    raise_all([*refusals, *_objections(request, row)])
    now, then = _annotation(row, request.changes), _annotation(row, Changes(()))
    if now != then:
        await model_version.annotate(unit.connection, unit.workspace_id, version_id, now)
        unit.record("MODEL_VERSION_UPDATED", version_id, fields=list(request.changes.given))
    return version_id


def _objections(request: UpdateRequest, row: Record) -> list[Refusal]:
    """What stands against it by what is known of the version."""
    refusals = list(revision_violations(request.expected_revision, row["revision"]))
    if row["origin"] == "MARKET":
        refusals.append(
            Refusal(
                ErrorCode.MODEL_SUBSCRIBED,
                f"{row['model_name']} is subscribed to in the market; what is said of it is its publisher's.",
                path=["modelVersion"],
            )
        )
    return refusals


def _annotation(row: Record, changes: Changes) -> model_version.Annotation:
    """What is said of the version once it is changed."""
    given = changes.given
    minimum = changes.minimum_specification if "minimum_inference_specification" in given else _minimum(row)
    documents = [asdict(document) for document in changes.documents]
    return model_version.Annotation(
        description=changes.description if "description" in given else row["description"],
        labels=list(changes.labels) if "labels" in given else row["labels"],
        documents=documents if "documents" in given else row["documents"],
        minimum_cpu_count=minimum.cpu_count,
        minimum_memory_bytes=minimum.memory_bytes,
        minimum_gpu_count=minimum.gpu_count,
        minimum_ascend_count=minimum.ascend_count,
    )


def _minimum(row: Record) -> MinimumSpecification:
    return MinimumSpecification(
        row["minimum_cpu_count"],
        row["minimum_memory_bytes"],
        row["minimum_gpu_count"],
        row["minimum_ascend_count"],
    )


def _violations(installation: Installation, changes: Changes) -> list[Refusal]:
    return [
        *field_rule.description(changes.description, is_strict=installation.rules.is_strict, path=["description"]),
        *field_rule.labels(changes.labels, path=["labels"]),
        *document_violations(changes.documents, is_strict=installation.rules.is_strict),
        *minimum_violations(changes.minimum_specification),
    ]
