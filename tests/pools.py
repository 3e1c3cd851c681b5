"""Resource pools of tests."""

from typing import Any

from tests.api import Api

GIBIBYTE = 2**30
SHOWN = """id name kind description cpuCount memoryBytes gpuCount ascendCount usedCpuCount usedMemoryBytes instanceCount
    revision createdBy services { nodes { name } }"""


async def create_pool(api: Api, name: str, **fields: Any) -> dict[str, Any]:
    """A new dedicated pool."""
    payload = await api.mutate("createResourcePool", f"resourcePool {{ {SHOWN} }}", name=name, **fields)
    assert payload["errors"] == [], payload
    made: dict[str, Any] = payload["resourcePool"]
    return made


async def pool_named(api: Api, name: str) -> dict[str, Any]:
    pools = (await api.ask(f"{{ resourcePools {{ {SHOWN} }} }}"))["resourcePools"]
    found: dict[str, Any] = next(pool for pool in pools if pool["name"] == name)
    return found


async def stored(api: Api) -> dict[str, int]:
    """How many rows there are of what a mutation can store."""
    tables = ("resource_pool", "inference_specification")
    return await api.counts() | {table: await api.count(table) for table in tables}


async def refuse(api: Api, mutation: str, /, **fields: Any) -> list[dict[str, Any]]:
    """The errors of a request that must store nothing."""
    before = await stored(api)
    errors = await api.refused(mutation, **fields)
    assert await stored(api) == before
    return errors
