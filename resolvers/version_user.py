"""Who relies on versions of models: services, listings of the market, aliases."""

from collections.abc import Sequence
from uuid import UUID

from db import model_deletion
from resolvers.errors import InUse, Refusal, VersionUser, VersionUserKind
from resolvers.transaction import Transaction

NAMED_USERS = 5
USER_WORDS = {
    VersionUserKind.SERVICE: "the service",
    VersionUserKind.MARKET_LISTING: "the market listing",
    VersionUserKind.ALIAS: "the alias",
}


async def use_violations(unit: Transaction, version_ids: Sequence[UUID], *, path: Sequence[str]) -> list[Refusal]:
    """What stands against letting go of versions: at most one refusal, which names all users (ModelArts.3009)."""
    rows = await model_deletion.users(unit.connection, unit.workspace_id, version_ids)
    users = [VersionUser(VersionUserKind(row["kind"]), row["id"], row["name"], row["version"]) for row in rows]
    if not users:
        return []
    named = [f"{USER_WORDS[user.kind]} {user.name!r} ({user.version})" for user in users[:NAMED_USERS]]
    more = [f"{len(users) - NAMED_USERS} more"] if len(users) > NAMED_USERS else []
    message = f"It is used by {', '.join([*named, *more])}."
    hint = "Delete these services, withdraw the listings, move or remove the aliases; then ask again."
    return [InUse(message, users, path=path, hint=hint)]
