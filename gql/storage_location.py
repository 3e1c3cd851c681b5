"""Places in object storage: always a configured store and a key, never a URL."""

import strawberry

from resolvers.installation import DEFAULT_STORE
from resolvers.location import Location


@strawberry.type(description="A place in object storage.")
class StorageLocation:
    store: str = strawberry.field(description="The name of a store that the operator configured.")
    key: str = strawberry.field(description="The key of an object, or the folder that several share as a prefix.")


@strawberry.input(description="A place in object storage.")
class StorageLocationInput:
    key: str = strawberry.field(description="The key of an object, or a folder.")
    store: str | None = strawberry.field(
        default=None, description="A configured store's name; the default one if left out."
    )

    def read(self) -> Location:
        return Location(self.store or DEFAULT_STORE, self.key)
