"""The libraries that a package needs."""

import strawberry

from artifacts.dependency import Restraint
from gql.described_enum import described_enum
from resolvers.dependency_choice import DependencyChoice

described_enum(
    Restraint,
    name="DependencyRestraint",
    description="How a dependency's version is meant.",
    values={"EXACT": "Exactly this one.", "ATLEAST": "This one or a newer one.", "ATMOST": "This one or an older one."},
)


@strawberry.type(description="A library that the package needs.")
class Dependency:
    installer: str = strawberry.field(description="What installs it: pip.")
    package: str = strawberry.field(
        description="The package's name, or the name of a wheel that lies beside the model."
    )
    version: str | None = strawberry.field(description="The version that is meant, where one is.")
    restraint: Restraint | None = strawberry.field(description="How the version is meant.")


@strawberry.input(description="A library that the model needs.")
class DependencyInput:
    package: str = strawberry.field(
        description="The package's name, or the name of a wheel that lies beside the model."
    )
    version: str | None = strawberry.field(default=None, description="The version that is meant.")
    restraint: Restraint | None = strawberry.field(
        default=None, description="How the version is meant; needed with one."
    )
    installer: str = strawberry.field(default="pip", description="What installs it: pip.")

    def read(self) -> DependencyChoice:
        return DependencyChoice(self.installer, self.package, self.version, self.restraint)


def read_dependencies(given: list[DependencyInput] | None) -> list[DependencyChoice] | None:
    return None if given is None else [dependency.read() for dependency in given]
