"""The root of all mutations."""

import strawberry

from gql.background_operation_cancellation import CancelBackgroundOperationPayload, cancel_background_operation
from gql.batch_service import (
    DeployBatchServicePayload,
    UpdateBatchServicePayload,
    deploy_batch_service,
    update_batch_service,
)
from gql.clean_up import CleanUpPayload, clean_up
from gql.edge_deployment import (
    StartEdgeDeploymentPayload,
    StopEdgeDeploymentPayload,
    start_edge_deployment,
    stop_edge_deployment,
)
from gql.edge_node import (
    DeleteEdgeNodePayload,
    RegisterEdgeNodePayload,
    RenewEdgeNodeTokenPayload,
    UpdateEdgeNodePayload,
    delete_edge_node,
    register_edge_node,
    renew_edge_node_token,
    update_edge_node,
)
from gql.edge_service import (
    DeployEdgeServicePayload,
    UpdateEdgeServicePayload,
    deploy_edge_service,
    update_edge_service,
)
from gql.inference_specification import (
    CreateInferenceSpecificationPayload,
    DeleteInferenceSpecificationPayload,
    create_inference_specification,
    delete_inference_specification,
)
from gql.integrity import VerifyModelVersionPayload, verify_model_version
from gql.market_listing import (
    PublishModelVersionPayload,
    UnpublishModelVersionPayload,
    publish_model_version,
    unpublish_model_version,
)
from gql.market_subscription import (
    SubscribeToListingPayload,
    UnsubscribeFromListingPayload,
    subscribe_to_listing,
    unsubscribe_from_listing,
)
from gql.model_alias import RemoveModelAliasPayload, SetModelAliasPayload, remove_model_alias, set_model_alias
from gql.model_deletion import (
    DeleteModelPayload,
    DeleteModelVersionPayload,
    RestoreModelPayload,
    RestoreModelVersionPayload,
    delete_model,
    delete_model_version,
    restore_model,
    restore_model_version,
)
from gql.model_import import ImportModelPayload, RetryImportPayload, import_model, retry_import
from gql.model_version_update import UpdateModelVersionPayload, update_model_version
from gql.prediction import PredictPayload, predict
from gql.real_time_service import (
    DeployRealTimeServicePayload,
    UpdateRealTimeServicePayload,
    deploy_real_time_service,
    update_real_time_service,
)
from gql.resource_pool import (
    CreateResourcePoolPayload,
    DeleteResourcePoolPayload,
    UpdateResourcePoolPayload,
    create_resource_pool,
    delete_resource_pool,
    update_resource_pool,
)
from gql.service import (
    DeleteServicePayload,
    StartServicePayload,
    StopServicePayload,
    delete_service,
    start_service,
    stop_service,
)
from gql.service_configuration import (
    RestartServicePayload,
    RollBackServicePayload,
    restart_service,
    roll_back_service,
)
from gql.training_job import (
    RecordTrainingJobVersionPayload,
    ReportTrainingJobVersionPayload,
    record_training_job_version,
    report_training_job_version,
)
from gql.upload import CompleteUploadPayload, CreateUploadPayload, complete_upload, create_upload
from gql.workspace import UpdateWorkspacePayload, update_workspace


@strawberry.type(description="What can be changed. Each takes one input and tells everything that is wrong with it.")
class Mutation:
    record_training_job_version: RecordTrainingJobVersionPayload = strawberry.field(
        resolver=record_training_job_version,
        description="Store a run of a training job that runs or ran elsewhere. Its version and output are assigned.",
    )
    report_training_job_version: ReportTrainingJobVersionPayload = strawberry.field(
        resolver=report_training_job_version, description="Tell later what became of a run."
    )
    create_upload: CreateUploadPayload = strawberry.field(
        resolver=create_upload,
        description="Announce files for a run's output, and get signed addresses to PUT their parts to.",
    )
    complete_upload: CompleteUploadPayload = strawberry.field(
        resolver=complete_upload, description="Put the files of an upload in place, once all parts have been PUT."
    )
    import_model: ImportModelPayload = strawberry.field(
        resolver=import_model,
        description="Import a new model or the next version of one: from a training job, a folder, or an image.",
    )
    retry_import: RetryImportPayload = strawberry.field(
        resolver=retry_import,
        description="Import a failed version again, with another runtime or other libraries if need be.",
    )
    update_model_version: UpdateModelVersionPayload = strawberry.field(
        resolver=update_model_version,
        description="Change what is said of a version: its description, labels, documents and minimum.",
    )
    delete_model_version: DeleteModelVersionPayload = strawberry.field(
        resolver=delete_model_version,
        description="Delete a version that nothing relies on. Its number is never used again.",
    )
    restore_model_version: RestoreModelVersionPayload = strawberry.field(
        resolver=restore_model_version, description="Bring a deleted version back, and its model if need be."
    )
    delete_model: DeleteModelPayload = strawberry.field(
        resolver=delete_model, description="Delete a model with all of its versions, if nothing relies on any."
    )
    restore_model: RestoreModelPayload = strawberry.field(
        resolver=restore_model,
        description="Bring a deleted model back, with the versions that were deleted together with it.",
    )
    set_model_alias: SetModelAliasPayload = strawberry.field(
        resolver=set_model_alias, description="Point an alias of a model at a version; where it pointed before is kept."
    )
    remove_model_alias: RemoveModelAliasPayload = strawberry.field(
        resolver=remove_model_alias, description="Let an alias of a model point at nothing."
    )
    publish_model_version: PublishModelVersionPayload = strawberry.field(
        resolver=publish_model_version, description="Show a version to all workspaces of this installation."
    )
    unpublish_model_version: UnpublishModelVersionPayload = strawberry.field(
        resolver=unpublish_model_version,
        description="Take a version out of the market. Whoever has subscribed to it keeps it.",
    )
    subscribe_to_listing: SubscribeToListingPayload = strawberry.field(
        resolver=subscribe_to_listing,
        description="Have a version from the market as one of this workspace, to be deployed.",
    )
    unsubscribe_from_listing: UnsubscribeFromListingPayload = strawberry.field(
        resolver=unsubscribe_from_listing, description="Give back a version that came from the market."
    )
    verify_model_version: VerifyModelVersionPayload = strawberry.field(
        resolver=verify_model_version,
        description="Read all stored files of a version again, and compare them with what was imported.",
    )
    deploy_batch_service: DeployBatchServicePayload = strawberry.field(
        resolver=deploy_batch_service,
        description="Ask a version for everything that lies in a folder of storage, or that a manifest names.",
    )
    update_batch_service: UpdateBatchServicePayload = strawberry.field(
        resolver=update_batch_service,
        description="Change what a batch service that is at rest does when it is started next.",
    )
    deploy_real_time_service: DeployRealTimeServicePayload = strawberry.field(
        resolver=deploy_real_time_service,
        description="Deploy versions of a model as a service that answers predictions.",
    )
    update_real_time_service: UpdateRealTimeServicePayload = strawberry.field(
        resolver=update_real_time_service,
        description="Change what a real-time service runs, without a prediction lost, or what is said of it.",
    )
    roll_back_service: RollBackServicePayload = strawberry.field(
        resolver=roll_back_service,
        description="Bring an earlier configuration of a service back, even while another comes into force.",
    )
    restart_service: RestartServicePayload = strawberry.field(
        resolver=restart_service,
        description="Put new instances in the place of all that a service has, without a prediction lost.",
    )
    deploy_edge_service: DeployEdgeServicePayload = strawberry.field(
        resolver=deploy_edge_service,
        description="Deploy a version of a model as a service that answers on edge nodes.",
    )
    update_edge_service: UpdateEdgeServicePayload = strawberry.field(
        resolver=update_edge_service,
        description="Change what an edge service runs, on which nodes, or what is said of it.",
    )
    start_edge_deployment: StartEdgeDeploymentPayload = strawberry.field(
        resolver=start_edge_deployment, description="Start an edge service on one of its nodes, where it is stopped."
    )
    stop_edge_deployment: StopEdgeDeploymentPayload = strawberry.field(
        resolver=stop_edge_deployment, description="Stop an edge service on one of its nodes alone."
    )
    register_edge_node: RegisterEdgeNodePayload = strawberry.field(
        resolver=register_edge_node,
        description="Register a machine that is to run edge services, and get the token of its agent.",
    )
    renew_edge_node_token: RenewEdgeNodeTokenPayload = strawberry.field(
        resolver=renew_edge_node_token,
        description="Give an edge node another token; the one that it has is refused from now on.",
    )
    update_edge_node: UpdateEdgeNodePayload = strawberry.field(
        resolver=update_edge_node, description="Change an edge node's name, or what is said of it."
    )
    delete_edge_node: DeleteEdgeNodePayload = strawberry.field(
        resolver=delete_edge_node, description="Forget an edge node that no service is to run on."
    )
    start_service: StartServicePayload = strawberry.field(
        resolver=start_service, description="Start a stopped service."
    )
    stop_service: StopServicePayload = strawberry.field(
        resolver=stop_service, description="Stop a service; what is in flight is finished first."
    )
    delete_service: DeleteServicePayload = strawberry.field(
        resolver=delete_service, description="End a service for good, and give its name back."
    )
    predict: PredictPayload = strawberry.field(
        resolver=predict, description="Send a test prediction to a running service."
    )
    create_resource_pool: CreateResourcePoolPayload = strawberry.field(
        resolver=create_resource_pool, description="Make a resource pool that is this workspace's alone."
    )
    update_resource_pool: UpdateResourcePoolPayload = strawberry.field(
        resolver=update_resource_pool, description="Change how much a dedicated pool holds, and what is said of it."
    )
    delete_resource_pool: DeleteResourcePoolPayload = strawberry.field(
        resolver=delete_resource_pool, description="End a dedicated pool that no service is in."
    )
    create_inference_specification: CreateInferenceSpecificationPayload = strawberry.field(
        resolver=create_inference_specification,
        description="Add a size to those that this workspace's instances can have.",
    )
    delete_inference_specification: DeleteInferenceSpecificationPayload = strawberry.field(
        resolver=delete_inference_specification, description="Take a size out of them that no service is to run with."
    )
    update_workspace: UpdateWorkspacePayload = strawberry.field(
        resolver=update_workspace, description="Change the settings of this workspace."
    )
    cancel_background_operation: CancelBackgroundOperationPayload = strawberry.field(
        resolver=cancel_background_operation,
        description="Break off an operation that imports, verifies or cleans up.",
    )
    clean_up: CleanUpPayload = strawberry.field(
        resolver=clean_up,
        description="Let go now of what nobody needs any more, such as versions that can no longer be restored. "
        "It happens by itself every hour.",
    )
