"""Workspaces, as callers see them."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from gql.context import Context, Info
from gql.identifier import Prefix, encode
from gql.node import Node
from gql.scan_policy import ScanPolicy, ScanPolicyInput
from gql.storage_usage import StorageUsage, usage_of
from gql.user_error import UserError, outcome
from resolvers import caller, workspace
from resolvers.location import own_prefix
from resolvers.scan_policy import scan_policy


async def _revision(root: "Workspace", info: Info) -> int:
    return await workspace.revision(info.context.installation.pool, root.key)


async def _scan_policy(root: "Workspace", info: Info) -> ScanPolicy:
    installation = info.context.installation
    return ScanPolicy.of(await scan_policy(installation, installation.pool, root.key))


async def _storage_usage(root: "Workspace", info: Info) -> StorageUsage:
    return await usage_of(info.context, root.key)


@strawberry.type(description="A space of its own: whoever is signed in to another one sees and reaches nothing of it.")
class Workspace(Node):
    name: str = strawberry.field(description="The name, as the X-Workspace header takes it.")
    created_at: datetime = strawberry.field(description="When it was made.")
    revision: int = strawberry.field(resolver=_revision, description="Counts the changes of its settings.")
    scan_policy: ScanPolicy = strawberry.field(
        resolver=_scan_policy, description="What imports do here with files by what their scans found."
    )
    storage_prefix: str = strawberry.field(
        description="Its own folder of the default store: keys of what it reads and writes there begin with this."
    )
    storage_usage: StorageUsage = strawberry.field(
        resolver=_storage_usage, description="How much it keeps in storage, counted when it is asked for."
    )
    key: strawberry.Private[UUID]

    @classmethod
    def of(cls, workspace: caller.Workspace) -> "Workspace":
        identifier = strawberry.ID(encode(Prefix.WORKSPACE, workspace.id))
        return cls(
            id=identifier,
            name=workspace.name,
            created_at=workspace.created_at,
            storage_prefix=own_prefix(workspace.id),
            key=workspace.id,
        )


def workspace_by_id(context: Context, key: UUID) -> Workspace | None:
    """A workspace that the caller's token is good for."""
    return next((Workspace.of(found) for found in context.caller.workspaces if found.id == key), None)


@strawberry.input(description="What is to be changed of the workspace that the request is signed in to.")
class UpdateWorkspaceInput:
    scan_policy: ScanPolicyInput | None = strawberry.field(
        default=None, description="What imports are to do with files by what their scans found."
    )
    expected_revision: int | None = strawberry.field(
        default=None, description="The revision you read; with another one nothing is changed."
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same key with the same input gets the first answer again."
    )

    def read(self) -> workspace.UpdateRequest:
        return workspace.UpdateRequest(self.scan_policy.read() if self.scan_policy else {}, self.expected_revision)


@strawberry.type(description="What updateWorkspace did.")
class UpdateWorkspacePayload:
    workspace: Workspace | None = strawberry.field(description="The workspace as it is now, or null.")
    errors: list[UserError] = strawberry.field(description="What was wrong; empty where it was done.")


async def update_workspace(
    info: Info, input: Annotated[UpdateWorkspaceInput, strawberry.argument(description="What to change.")]
) -> UpdateWorkspacePayload:
    context = info.context
    changed, errors = await outcome(
        workspace.update(context.installation, context.caller, input.read(), idempotency_key=input.idempotency_key)
    )
    return UpdateWorkspacePayload(workspace=workspace_by_id(context, changed) if changed else None, errors=errors)
