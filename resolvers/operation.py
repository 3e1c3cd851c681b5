"""Background operations: their kinds, and those that the queue has lost."""

from enum import StrEnum
from uuid import UUID

from db import operation
from db.connection import Pool


class OperationKind(StrEnum):
    IMPORT_MODEL = "IMPORT_MODEL"
    VERIFY_MODEL_VERSION = "VERIFY_MODEL_VERSION"
    CLEAN_UP = "CLEAN_UP"
    DEPLOY_SERVICE = "DEPLOY_SERVICE"
    UPDATE_SERVICE = "UPDATE_SERVICE"
    ROLL_BACK_SERVICE = "ROLL_BACK_SERVICE"
    RESTART_SERVICE = "RESTART_SERVICE"
    START_SERVICE = "START_SERVICE"
    STOP_SERVICE = "STOP_SERVICE"
    DELETE_SERVICE = "DELETE_SERVICE"


# What workers take from the queue; services are brought where they should be by whoever owns the engine.
QUEUED_KINDS = (OperationKind.IMPORT_MODEL, OperationKind.VERIFY_MODEL_VERSION, OperationKind.CLEAN_UP)


async def requeue_lost(pool: Pool) -> list[UUID]:
    """Put operations back that are under way and have no entry in the queue: nothing promised depends on its rows."""
    from pgqueuer.db import AsyncpgDriver
    from pgqueuer.queries import Queries

    found = [(kind, operation_id) for kind in QUEUED_KINDS for operation_id in await operation.lost(pool, kind)]
    for kind, operation_id in found:
        async with pool.acquire() as connection:
            queries = Queries(AsyncpgDriver(connection))  # type: ignore[arg-type]
            await queries.enqueue(kind, operation_id.bytes, dedupe_key=str(operation_id), on_conflict="skip")
    return [operation_id for _, operation_id in found]
