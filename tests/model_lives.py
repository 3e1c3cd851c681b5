"""What happens to models and versions after their import, as a client asks for it."""

from typing import Any

from tests.api import Api, wait_for

DELETION = "modelVersion { version status revision deletedAt deletedBy restoreExpiresAt model { name } }"


def named(version: str, model: str = "iris") -> dict[str, str]:
    """A ModelVersionName."""
    return {"modelName": model, "version": version}


async def accepted(api: Api, mutation: str, selection: str, /, **fields: Any) -> Any:
    """The payload of a mutation, which must not be refused."""
    payload = await api.mutate(mutation, selection, **fields)
    assert payload["errors"] == [], payload
    return payload


async def deleted(api: Api, version: str, model: str = "iris", /, **fields: Any) -> Any:
    """The version as deleteModelVersion shows it."""
    payload = await accepted(api, "deleteModelVersion", DELETION, modelVersion=named(version, model), **fields)
    return payload["modelVersion"]


async def restored(api: Api, version: str, model: str = "iris", /, **fields: Any) -> Any:
    """The version as restoreModelVersion shows it."""
    payload = await accepted(api, "restoreModelVersion", DELETION, modelVersion=named(version, model), **fields)
    return payload["modelVersion"]


async def set_alias(api: Api, alias: str, version: str, model: str = "iris", /, **fields: Any) -> Any:
    """The alias as setModelAlias shows it."""
    selection = "alias { name setAt setBy modelVersion { version } }"
    payload = await accepted(api, "setModelAlias", selection, modelName=model, alias=alias, version=version, **fields)
    return payload["alias"]


async def refused(api: Api, mutation: str, /, **fields: Any) -> list[dict[str, Any]]:
    """The errors of a mutation, which must change no row. What was asked for before is waited for."""

    async def is_idle() -> bool:
        return await api.count("pgqueuer") == 0

    await wait_for(is_idle)
    before = await stored(api)
    errors = await api.refused(mutation, **fields)
    assert await stored(api) == before
    return errors


async def stored(api: Api) -> Any:
    """All rows of models, versions and aliases, and how many there are of everything else."""
    tables = ("model", "model_version", "model_alias")
    rows = [[tuple(row) for row in await api.pool.fetch(f"SELECT * FROM {table} ORDER BY id")] for table in tables]
    return rows, await api.counts()


async def events_of_model(api: Api, model: str = "iris") -> list[tuple[str, Any]]:
    """What happened to the model itself, the earliest first."""
    rows = await api.pool.fetch(
        """SELECT event.kind, event.data
        FROM event
        JOIN model ON model.workspace_id = event.workspace_id AND model.id = event.subject_id
        WHERE model.name = $1
        ORDER BY event.number""",
        model,
    )
    return [(row["kind"], row["data"]) for row in rows]
