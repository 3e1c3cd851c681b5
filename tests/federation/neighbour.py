"""Another team's graph beside ours: reviews of model versions, and who pays for services. It is a Relay graph too."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import strawberry
import strawberry.federation
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL

COST_CENTRE = strawberry.ID("vision")


@dataclass(frozen=True, slots=True)
class Stored:
    """What the neighbour stores."""

    written: list[Review] = field(default_factory=list)
    paid_services: list[str] = field(default_factory=list)

    def write(self, text: str, model_name: str, version: str) -> None:
        identifier = strawberry.ID(f"review-{len(self.written) + 1}")
        of_version = ModelVersion(model_name=model_name, version=version)
        self.written.append(Review(id=identifier, text=text, model_version=of_version))

    def page_of(self, model_name: str, version: str) -> ReviewConnection:
        of_version = ModelVersion(model_name=model_name, version=version)
        nodes = [review for review in self.written if review.model_version == of_version]
        page_info = PageInfo(has_next_page=False, has_previous_page=False, start_cursor=None, end_cursor=None)
        return ReviewConnection(nodes=nodes, page_info=page_info)


Info: TypeAlias = strawberry.Info[Stored, None]


@strawberry.interface
class Node:
    id: strawberry.ID


@strawberry.federation.type(shareable=True)
class PageInfo:
    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@strawberry.federation.type(keys=["modelName version"])
class ModelVersion:
    """Ours; the neighbour knows it by its natural key and gives it reviews."""

    model_name: str
    version: str

    @strawberry.field
    def reviews(self, info: Info) -> ReviewConnection:
        return info.context.page_of(self.model_name, self.version)


@strawberry.federation.interface_object(keys=["id"])
class Service:
    """Ours, of whatever kind; the neighbour knows its id and says who pays for it."""

    id: strawberry.ID

    @strawberry.field
    def cost_centre(self) -> CostCentre:
        return CostCentre(id=COST_CENTRE, services=[self])


@strawberry.federation.type(keys=["id"])
class CostCentre(Node):
    services: list[Service | None]


@strawberry.federation.type(keys=["id"])
class Review(Node):
    text: str
    model_version: ModelVersion | None


@strawberry.type
class ReviewConnection:
    nodes: list[Review]
    page_info: PageInfo


@strawberry.type
class Query:
    @strawberry.field
    def reviews(self, info: Info) -> list[Review]:
        return info.context.written

    @strawberry.field
    def cost_centre(self, info: Info) -> CostCentre:
        return CostCentre(
            id=COST_CENTRE,
            services=[Service(id=strawberry.ID(identifier)) for identifier in info.context.paid_services],
        )

    @strawberry.field
    def node(self, info: Info, id: strawberry.ID) -> Node | None:  # noqa: A002  clients see that name
        return next((review for review in info.context.written if review.id == id), None)

    @strawberry.field
    def nodes(self, info: Info, ids: list[strawberry.ID]) -> list[Node | None]:
        found = {review.id: review for review in info.context.written}
        return [found.get(identifier) for identifier in ids]


SCHEMA = strawberry.federation.Schema(query=Query)


class Neighbour(GraphQL[Stored, None]):
    """The neighbour's server; `stored` can be filled at any time."""

    def __init__(self) -> None:
        super().__init__(SCHEMA, graphql_ide=None)
        self.stored = Stored()

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Stored:
        return self.stored
