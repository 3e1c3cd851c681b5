"""The root of all queries."""

from typing import TYPE_CHECKING, Annotated, TypeAlias, cast

import strawberry
from strawberry.federation.schema import FederationAny

from gql.ai_engine import Runtime, runtimes
from gql.audit_event import AuditEvent, AuditEventFilter
from gql.background_operation import BackgroundOperation, BackgroundOperationFilter
from gql.batch_service import BatchService
from gql.built_in_algorithm import BuiltInAlgorithm, built_in_algorithms
from gql.connection import Connection
from gql.context import Info
from gql.deployment_plan import DeploymentPlan, plan_deployment
from gql.edge_node import EdgeNode, EdgeNodeBy, EdgeNodeFilter, EdgeNodeOrder
from gql.edge_service import EdgeService
from gql.facet import ModelVersionFacets
from gql.identifier import Prefix
from gql.import_preview import ImportPreview, preview_import
from gql.inference_specification import InferenceSpecification, inference_specifications
from gql.mapping import BY_NAME, NEWEST_NUMBER
from gql.market_listing import MarketListing, MarketListingFilter, MarketListingOrder
from gql.market_subscription import MarketSubscription
from gql.model import Model, ModelBy, ModelFilter, ModelOrder
from gql.model_template import ModelTemplate, model_templates
from gql.model_version import ModelVersion, ModelVersionBy
from gql.model_version_filter import ModelVersionFilter, ModelVersionOrder
from gql.modelyard import Modelyard, modelyard
from gql.node import Node
from gql.real_time_service import RealTimeService
from gql.resource_pool import ResourcePool
from gql.service import Service, ServiceBy, ServiceFilter, ServiceOrder
from gql.stored_field import every, facets, find, rows, to_many
from gql.training_job import (
    TrainingJob,
    TrainingJobBy,
    TrainingJobFilter,
    TrainingJobOrder,
    TrainingJobVersion,
    TrainingJobVersionFilter,
    TrainingJobVersionOrder,
)
from gql.upload import Upload
from gql.workspace import workspace_by_id

if TYPE_CHECKING:
    from gql.schema import Schema

Entity: TypeAlias = Annotated[
    TrainingJob | TrainingJobVersion | Model | ModelVersion | RealTimeService | BatchService | EdgeService,
    strawberry.union("_Entity", description="What other graphs may refer to and extend."),
]


@strawberry.type(name="_Service", description="This graph, as gateways compose it with others.")
class ServiceDefinition:
    sdl: str = strawberry.field(description="The graph in the definition language, with federation's directives.")


def service_definition(info: Info) -> ServiceDefinition:
    return ServiceDefinition(sdl=cast("Schema", info.schema).subgraph_sdl)


@strawberry.type(
    description="What can be read. Everything is of the workspace that the request is signed in to, but for the market."
)
class Query:
    modelyard: Modelyard = strawberry.field(
        resolver=modelyard, description="Who is asking, and what this server can do."
    )
    training_jobs: Connection[TrainingJob] = to_many(
        filter=TrainingJobFilter, order_by=TrainingJobOrder, description="The training jobs, the newest first."
    )
    training_job: TrainingJob | None = find(
        "by", TrainingJobBy, said="Which one.", description="A training job; null where there is none."
    )
    training_job_versions: Connection[TrainingJobVersion] = to_many(
        filter=TrainingJobVersionFilter,
        order_by=TrainingJobVersionOrder,
        description="The versions of all training jobs, the newest first.",
    )
    built_in_algorithms: list[BuiltInAlgorithm] = strawberry.field(
        resolver=built_in_algorithms, description="The algorithms whose output needs neither code nor config."
    )
    models: Connection[Model] = to_many(
        filter=ModelFilter, order_by=ModelOrder, description="The models, the newest first."
    )
    model: Model | None = find("by", ModelBy, said="Which one.", description="A model; null where there is none.")
    model_version: ModelVersion | None = find(
        "by", ModelVersionBy, said="Which one.", description="A version of a model; null where there is none."
    )
    model_versions: Connection[ModelVersion] = to_many(
        filter=ModelVersionFilter,
        order_by=ModelVersionOrder,
        description="The versions of all models, the newest first.",
    )
    deleted_models: Connection[Model] = to_many(
        view="deleted_model",
        description="The deleted models, the newest first; restoreModel brings back those whose versions are kept "
        "as yet.",
    )
    deleted_model_versions: Connection[ModelVersion] = to_many(
        view="deleted_model_version",
        filter=ModelVersionFilter,
        description="The deleted versions that are kept as yet, the newest first; some can be restored.",
    )
    model_templates: list[ModelTemplate] = strawberry.field(
        resolver=model_templates, description="The templates that stand in for a config.json."
    )
    preview_import: ImportPreview = strawberry.field(
        resolver=preview_import, description="The checks of importModel with the same input; nothing is stored."
    )
    model_version_facets: ModelVersionFacets = facets(
        "model_version",
        filter=ModelVersionFilter,
        description="How many versions of models there are, by what they have: only what is asked for is counted.",
    )
    runtimes: list[Runtime] = strawberry.field(
        resolver=runtimes, description="The runtimes that packages ask for, and which of them there are here."
    )
    services: Connection[Service] = to_many(
        filter=ServiceFilter, order_by=ServiceOrder, description="The services, the newest first."
    )
    service: Service | None = find(
        "by", ServiceBy, said="Which one.", description="A service; null where there is none."
    )
    plan_deployment: DeploymentPlan = strawberry.field(
        resolver=plan_deployment,
        description="What a deployment or an update would start, stop and need, and what stands against it; nothing is "
        "stored.",
    )
    inference_specifications: list[InferenceSpecification] = strawberry.field(
        resolver=inference_specifications, description="The sizes that instances can have."
    )
    resource_pools: list[ResourcePool] = rows(
        None, BY_NAME, description="The resource pools by their names, the shared one and up to 99 dedicated ones."
    )
    edge_nodes: Connection[EdgeNode] = to_many(
        filter=EdgeNodeFilter, order_by=EdgeNodeOrder, description="The edge nodes, the newest first."
    )
    edge_node: EdgeNode | None = find(
        "by", EdgeNodeBy, said="Which one.", description="An edge node; null where there is none."
    )
    market_listings: Connection[MarketListing] = to_many(
        filter=MarketListingFilter,
        order_by=MarketListingOrder,
        description="What all workspaces of this installation show each other, the newest first.",
    )
    market_listing: MarketListing | None = find(
        "id", strawberry.ID, said="Its id.", description="A listing in the market; null where there is none."
    )
    market_subscriptions: Connection[MarketSubscription] = to_many(
        description="What this workspace has from the market, the newest first."
    )
    uploads: Connection[Upload] = to_many(description="The uploads, the newest first.")
    background_operations: Connection[BackgroundOperation] = to_many(
        filter=BackgroundOperationFilter, description="The background operations, the newest first."
    )
    background_operation: BackgroundOperation | None = find(
        "id",
        strawberry.ID,
        said="The operation's id.",
        description="A background operation; null where there is none.",
    )
    audit_events: Connection[AuditEvent] = to_many(
        order=NEWEST_NUMBER,
        filter=AuditEventFilter,
        description="What happened in the workspace, the newest first.",
    )
    node: Node | None = every(
        "id",
        strawberry.ID,
        said="Its id.",
        description="Anything by its id; null where there is none.",
        elsewhere={Prefix.WORKSPACE: workspace_by_id},
    )
    nodes: list[Node | None] = every(
        "ids",
        list[strawberry.ID],
        said="Their ids, at most 100.",
        description="Several things by their ids, in their order; null where there is none.",
        elsewhere={Prefix.WORKSPACE: workspace_by_id},
    )
    entities: list[Entity | None] = every(
        "representations",
        list[FederationAny],
        said="Their types and keys, at most 1,000.",
        description="For gateways: the objects that they know by a type and a key, in their order.",
        name="_entities",
    )
    definition: ServiceDefinition = strawberry.field(
        resolver=service_definition, name="_service", description="For gateways: this graph."
    )
