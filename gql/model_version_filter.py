"""Which versions of models, and in which order."""

from datetime import datetime
from enum import StrEnum

import strawberry

from artifacts.ai_engine import AiEngine
from db.reading import Comparison
from gql.bad_input import Unmatchable
from gql.context import Context
from gql.described_enum import described_enum
from gql.filter import (
    OrderDirection,
    Restriction,
    created_after,
    created_before,
    name_restriction,
    order_choice,
    order_direction,
    part_of_text,
    restriction,
)
from gql.mapping import BY_ID, BY_MODEL_NAME, BY_NUMBER_OF_ANY, BY_SIZE, OLDEST_ID
from gql.model_version import ModelOrigin, ModelVersionStatus
from resolvers import version_number
from resolvers.deployment_type import DeploymentType

IN_NO_ORDER = ()
IN_ORDER_OF_TIME = (BY_ID.name,)
IN_ORDER_OF_TIME_AND_SIZE = (BY_ID.name, BY_SIZE.name)


class ModelSourceType(StrEnum):
    TRAINING_JOB = "TRAINING_JOB"
    OBJECT_STORAGE = "OBJECT_STORAGE"
    TEMPLATE = "TEMPLATE"
    CONTAINER_IMAGE = "CONTAINER_IMAGE"
    MARKET = "MARKET"


described_enum(
    ModelSourceType,
    description="What a version was imported from.",
    values={
        "TRAINING_JOB": "The output of a training job.",
        "OBJECT_STORAGE": "A folder in object storage.",
        "TEMPLATE": "A folder in object storage, with a template in place of a config.",
        "CONTAINER_IMAGE": "It is a container image.",
        "MARKET": "The market.",
    },
)


def _digest(given: str, _context: Context) -> bytes:
    try:
        return bytes.fromhex(given)
    except ValueError as error:
        raise Unmatchable from error


def _version_number(given: str, _context: Context) -> int:
    number = version_number.parse(given)
    if number is None:
        raise Unmatchable
    return number


def _type_name(given: ModelSourceType, _context: Context) -> str:
    return f"{given.title().replace('_', '')}Source"


@strawberry.input(description="Which versions: those that all of this is true of.")
class ModelVersionFilter:
    status: list[ModelVersionStatus] | None = restriction(
        Restriction("status", orders=IN_ORDER_OF_TIME_AND_SIZE), description="Only those in one of these states."
    )
    model_name: str | None = restriction(
        Restriction("model_id", named_in="model"), description="Only those of this model."
    )
    model_name_starts_with: str | None = name_restriction(
        "model_name_key", BY_MODEL_NAME, description="Only those of models whose names begin so."
    )
    model_name_contains: str | None = restriction(
        Restriction(
            "model_name",
            comparison=Comparison.LIKE,
            read=part_of_text,
            orders=IN_NO_ORDER,
            hint=Restriction(
                "model_id", comparison=Comparison.IN, read=part_of_text, named_in="model", named_by=Comparison.LIKE
            ),
        ),
        description="Only those of models whose names have this anywhere, in capitals or not.",
    )
    version: str | None = restriction(
        Restriction("version_number", "bigint", read=_version_number, orders=(BY_ID.name, BY_NUMBER_OF_ANY.name)),
        description="Only those of this number, such as 0.0.1.",
    )
    ai_engine: list[AiEngine] | None = restriction(
        Restriction("ai_engine", orders=IN_ORDER_OF_TIME_AND_SIZE), description="Only those made with one of these."
    )
    origin: list[ModelOrigin] | None = restriction(
        Restriction("origin", orders=IN_ORDER_OF_TIME), description="Only those that come from one of these."
    )
    source_type: list[ModelSourceType] | None = restriction(
        Restriction("source_type", read=_type_name, orders=IN_ORDER_OF_TIME),
        description="Only those that were imported from one of these.",
    )
    deployment_type: list[DeploymentType] | None = restriction(
        Restriction("deployment_types", comparison=Comparison.CONTAINS, orders=IN_NO_ORDER),
        description="Only those that may be deployed as one of these.",
    )
    label: str | None = restriction(
        Restriction("labels", comparison=Comparison.CONTAINS, orders=IN_NO_ORDER),
        description="Only those with this label.",
    )
    digest: str | None = restriction(
        Restriction("digest_bytes", "bytea", read=_digest), description="Only those of this digest, in hexadecimal."
    )
    training_job_name: str | None = restriction(
        Restriction("training_job_name"), description="Only those that came from this training job."
    )
    created_by: str | None = restriction(
        Restriction("created_by", orders=IN_ORDER_OF_TIME), description="Only those that this token imported."
    )
    created_after: datetime | None = created_after()
    created_before: datetime | None = created_before()


class ModelVersionOrderField(StrEnum):
    CREATED_AT = "CREATED_AT"
    NAME = "NAME"
    VERSION = "VERSION"
    SIZE_BYTES = "SIZE_BYTES"


described_enum(
    ModelVersionOrderField,
    description="What versions can be ordered by.",
    values={
        "CREATED_AT": "When its import was asked for.",
        "NAME": "Its model's name, by code points, and then its number.",
        "VERSION": "Its number, as numbers: 0.0.10 is above 0.0.9. Of the same number the older one comes first.",
        "SIZE_BYTES": "The size of its package; one that is not known counts as 0.",
    },
)


@strawberry.input(description="In which order.")
class ModelVersionOrder:
    field: ModelVersionOrderField = order_choice(
        {
            ModelVersionOrderField.CREATED_AT: OLDEST_ID,
            ModelVersionOrderField.NAME: BY_MODEL_NAME,
            ModelVersionOrderField.VERSION: BY_NUMBER_OF_ANY,
            ModelVersionOrderField.SIZE_BYTES: BY_SIZE,
        }
    )
    direction: OrderDirection = order_direction()
