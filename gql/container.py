"""How container images are started and reached."""

import strawberry


@strawberry.type(description="How a container image is started and reached, by its import or its config.")
class Container:
    command: str | None = strawberry.field(description="What starts it; null where that is the image's own command.")
    protocol: str | None = strawberry.field(description="What it speaks: http or https.")
    port: int | None = strawberry.field(description="The port that it listens on.")
