"""Workspaces, as callers see them."""

from datetime import datetime
from uuid import UUID

import strawberry

from gql.context import Context
from gql.identifier import Prefix, encode
from gql.node import Node
from resolvers import caller


@strawberry.type(description="A space of its own: whoever is signed in to another one sees and reaches nothing of it.")
class Workspace(Node):
    name: str = strawberry.field(description="The name, as the X-Workspace header takes it.")
    created_at: datetime = strawberry.field(description="When it was made.")

    @classmethod
    def of(cls, workspace: caller.Workspace) -> "Workspace":
        identifier = strawberry.ID(encode(Prefix.WORKSPACE, workspace.id))
        return cls(id=identifier, name=workspace.name, created_at=workspace.created_at)


def workspace_by_id(context: Context, key: UUID) -> Workspace | None:
    """A workspace that the caller's token is good for."""
    return next((Workspace.of(found) for found in context.caller.workspaces if found.id == key), None)
