"""Whether a service that checks its inputs can: its versions declare schemas that bodies can be held to."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from asyncpg import Record

from artifacts import worker_thread
from artifacts.input_validator import Compiler, NotCompiled, body_schema
from db import model_version, service_configuration
from resolvers.errors import Refusal, invalid
from resolvers.transaction import Transaction

# As rows keep an API.
Api = Mapping[str, Any]
PATH = ("checksInputs",)
LONGEST_REASON = 300
HINT = "Import the model again with a schema that stands by itself, or leave its inputs unchecked."


async def check_violations(versions: Iterable[Record], *, path: Sequence[str] = PATH) -> list[Refusal]:
    """What of the versions' schemas stands against checking."""
    return [refusal for version in versions for refusal in await worker_thread.run(_violations, version, path)]


async def check_violations_of(unit: Transaction, row: Record) -> list[Refusal]:
    """The same of a service's versions: those that it is to run, and those that predictions go to."""
    numbers = [row["last_configuration_number"], row["routed_configuration_number"] or 0]
    targets = await service_configuration.targets(unit.connection, unit.workspace_id, row["id"], numbers)
    found = [
        await model_version.find(unit.connection, unit.workspace_id, version_id)
        for version_id in dict.fromkeys(target["model_version_id"] for target in targets)
    ]
    return await check_violations(version for version in found if version is not None)


def _violations(version: Record, path: Sequence[str]) -> list[Refusal]:
    name = f"{version['model_name']} {version['version']}"
    compiler = Compiler()
    return [
        invalid(
            f"{name} declares a schema for {api['url']} that no input can be held to: {flaw}.", path=path, hint=HINT
        )
        for api in version["apis"]
        if (flaw := _flaw(api, compiler)) is not None
    ]


def _flaw(api: Api, compiler: Compiler) -> str | None:
    schema = body_schema(api)
    if schema is None:
        return None
    try:
        compiler.validator_of(schema)
    except NotCompiled as error:
        return str(error)[:LONGEST_REASON]
    return None
