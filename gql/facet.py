"""Facets: how many versions there are of each state, engine, label and so on."""

import strawberry

from artifacts.ai_engine import AiEngine
from gql.facet_resolver import Counted
from gql.model_version import ModelOrigin, ModelVersionStatus
from gql.stored_field import tally, total
from resolvers.deployment_type import DeploymentType


@strawberry.type(description="A state, and how many versions are in it.")
class ModelVersionStatusCount:
    value: ModelVersionStatus = strawberry.field(description="The state.")
    count: int = strawberry.field(description="How many versions are in it.")


@strawberry.type(description="An engine, and how many versions were made with it.")
class AiEngineCount:
    value: AiEngine = strawberry.field(description="The engine.")
    count: int = strawberry.field(description="How many versions were made with it.")


@strawberry.type(description="An origin, and how many versions have it.")
class ModelOriginCount:
    value: ModelOrigin = strawberry.field(description="The origin.")
    count: int = strawberry.field(description="How many versions have it.")


@strawberry.type(description="A deployment type, and how many versions may be deployed as it.")
class DeploymentTypeCount:
    value: DeploymentType = strawberry.field(description="The deployment type.")
    count: int = strawberry.field(description="How many versions may be deployed as it.")


@strawberry.type(description="A label, and how many versions have it.")
class LabelCount:
    value: str = strawberry.field(description="The label.")
    count: int = strawberry.field(description="How many versions have it.")


@strawberry.type(description="A token, and how many versions it imported.")
class CreatorCount:
    value: str = strawberry.field(description="The token's name.")
    count: int = strawberry.field(description="How many versions it imported.")


@strawberry.type(
    description="How many versions there are, by what they have: the commonest first, and nothing that none has."
)
class ModelVersionFacets:
    counted: strawberry.Private[Counted]
    total: int = total(description="How many there are in all; each is counted.")
    statuses: list[ModelVersionStatusCount] = tally("status", description="By their states.")
    ai_engines: list[AiEngineCount] = tally("ai_engine", description="By what they were made with, where it is known.")
    origins: list[ModelOriginCount] = tally("origin", description="By where they come from.")
    deployment_types: list[DeploymentTypeCount] = tally(
        "deployment_types", is_array=True, description="By what they may be deployed as; one can be several things."
    )
    labels: list[LabelCount] = tally(
        "labels", is_array=True, is_open=True, description="By their labels; one can have several."
    )
    creators: list[CreatorCount] = tally("created_by", is_open=True, description="By the token that imported them.")
