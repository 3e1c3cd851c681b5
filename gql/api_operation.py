"""How a model is asked and what it answers."""

from collections.abc import Mapping
from typing import Any

import strawberry
from strawberry.scalars import JSON

from resolvers.api_choice import ApiChoice


@strawberry.type(description="A parameter of a model's request or answer.")
class ApiParameter:
    name: str = strawberry.field(description="The parameter's name.")
    type: str = strawberry.field(
        description="Its type as the package declares it: string, number, file, object and so on."
    )
    description: str | None = strawberry.field(description="What it means.")
    schema: JSON | None = strawberry.field(description="Its JSON Schema, as the package declares it.")


@strawberry.type(description="One way to ask a model.")
class ApiOperation:
    url: str = strawberry.field(description="The path, below the address of the service.")
    method: str = strawberry.field(description="The HTTP method.")
    protocol: str = strawberry.field(description="http or https, as declared; this server's own addresses decide.")
    request_content_type: str | None = strawberry.field(
        description="What it is sent: application/json or multipart/form-data."
    )
    response_content_type: str | None = strawberry.field(description="What it answers.")
    inputs: list[ApiParameter] = strawberry.field(description="The input parameters.")
    outputs: list[ApiParameter] = strawberry.field(description="The output parameters.")
    request_schema: JSON | None = strawberry.field(description="The whole request as a JSON Schema, where declared.")
    response_schema: JSON | None = strawberry.field(description="The whole answer as a JSON Schema, where declared.")

    @classmethod
    def of(cls, api: Mapping[str, Any]) -> "ApiOperation":
        return cls(
            **{
                **api,
                "inputs": [ApiParameter(**parameter) for parameter in api["inputs"]],
                "outputs": [ApiParameter(**parameter) for parameter in api["outputs"]],
            }
        )


@strawberry.input(description="One way to ask a model.")
class ApiOperationInput:
    url: str = strawberry.field(default="/", description="The path. Only a container image may have other ones than /.")
    method: str = strawberry.field(default="POST", description="POST or GET.")
    protocol: str | None = strawberry.field(default=None, description="http or https.")
    request_content_type: str | None = strawberry.field(
        default=None, description="What it is sent: application/json or multipart/form-data."
    )
    response_content_type: str | None = strawberry.field(default=None, description="What it answers.")
    request_schema: JSON | None = strawberry.field(
        default=None, description="The request as a JSON Schema; its top-level properties are the input parameters."
    )
    response_schema: JSON | None = strawberry.field(
        default=None, description="The answer as a JSON Schema; its top-level properties are the output parameters."
    )

    def read(self) -> ApiChoice:
        return ApiChoice(
            self.url,
            self.method,
            self.protocol,
            self.request_content_type,
            self.response_content_type,
            self.request_schema,
            self.response_schema,
        )
