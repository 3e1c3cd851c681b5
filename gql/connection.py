"""Relay connections over pages read by key."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Generic, TypeAlias, TypeVar

import strawberry

Node = TypeVar("Node")
LARGEST_PAGE = 100
USUAL_PAGE = 20

First: TypeAlias = Annotated[int | None, strawberry.argument(description="How many, at most 100.")]
After: TypeAlias = Annotated[
    str | None, strawberry.argument(description="Only what comes after this cursor: the endCursor of the page before.")
]
Last: TypeAlias = Annotated[
    int | None, strawberry.argument(description="The last so many, at most 100, in place of `first`.")
]
Before: TypeAlias = Annotated[
    str | None,
    strawberry.argument(description="Only what comes before this cursor: the startCursor of the page after."),
]


@strawberry.federation.type(description="Where a page stands in its list.", shareable=True)
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether more follows; ask with `after: endCursor`.")
    has_previous_page: bool = strawberry.field(
        description="Whether something comes before; ask with `before: startCursor`."
    )
    start_cursor: str | None = strawberry.field(description="The cursor of the page's first node.")
    end_cursor: str | None = strawberry.field(description="The cursor of the page's last node.")


@strawberry.type(description="A node of a page with its cursor.")
class Edge(Generic[Node]):
    cursor: str = strawberry.field(description="The node's place in the list, to go on from with `after` or `before`.")
    node: Node = strawberry.field(description="What is at that place.")


@strawberry.type(description="A page of a list that can grow.")
class Connection(Generic[Node]):
    edges: list[Edge[Node]] = strawberry.field(description="The page's nodes with their cursors.")
    page_info: PageInfo = strawberry.field(description="Where the page stands in the list.")
    count: strawberry.Private[Callable[[], Awaitable[tuple[int, bool]]]]

    @strawberry.field(description="The page's nodes, for who needs no cursors.")
    def nodes(self) -> list[Node]:
        return [edge.node for edge in self.edges]

    @strawberry.field(description="How many there are in all, counted up to 10,000 and only when asked for.")
    async def total_count(self) -> int:
        return (await self.count())[0]

    @strawberry.field(description="Whether totalCount is exact: false where there are more than it counts to.")
    async def total_count_is_exact(self) -> bool:
        return (await self.count())[1]
