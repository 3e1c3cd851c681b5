"""The store that something lies in, by the name that a row keeps: a row may outlive its store's setting."""

from artifacts.object_store import ObjectStore
from resolvers.errors import ErrorCode
from resolvers.installation import Installation
from resolvers.operation_attempt import problem_row


def find_store(installation: Installation, name: str | None) -> ObjectStore | None:
    """None where the installation has no such store, or has it no more."""
    return installation.stores.get(name) if name is not None else None


def store_gone(name: str) -> dict[str, object]:
    """The problem of a package in a store that is configured no more."""
    return problem_row(
        ErrorCode.STORE_UNAVAILABLE,
        f"The package lies in the object store {name!r}, which is configured here no more.",
        actual=name,
        hint="The operator must configure the store again under this name, then retryImport; "
        "or copy the package into a store that is configured, and import it from there.",
    )
