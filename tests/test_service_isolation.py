"""How far a service's code is kept from where it runs: the weakest level of all that runs of it now."""

from tests.api import Api
from tests.edge_nodes import deploy_edge, node_of, post, register, report, stored, sync, told
from tests.services import ECHO, act, import_version, key_of, package, running, target

SERVICES = "{ services(first: 10) { nodes { name isolation } } }"
ENGINE = "{ modelyard { engine { isolation } } }"
WEAKEN = "UPDATE service_instance SET isolation = 'NONE' WHERE service_id = $1 AND number = $2 RETURNING state"


async def isolations(api: Api) -> dict[str, str | None]:
    """Of each service by its name."""
    return {found["name"]: found["isolation"] for found in (await api.ask(SERVICES))["services"]["nodes"]}


async def test_a_service_is_kept_as_far_away_as_the_weakest_of_its_instances(api: Api) -> None:
    version = await import_version(api, package(ECHO))
    service = await running(api, "iris", target(version, instanceCount=2))
    await running(api, "other", target(version))
    level = (await api.ask(ENGINE))["modelyard"]["engine"]["isolation"]
    assert await isolations(api) == {"iris": level, "other": level}
    assert (await api.service("iris", "isolation"))["isolation"] == level
    # As where an instance was started by a server with a weaker isolation.
    assert await api.pool.fetchval(WEAKEN, key_of(service), 2) == "READY"
    assert await isolations(api) == {"iris": "NONE", "other": level}
    await act(api, "stopService", "iris")
    await api.service_in("iris", "STOPPED")
    assert await isolations(api) == {"iris": None, "other": level}


async def test_an_edge_service_is_kept_as_far_away_as_on_the_weakest_of_its_nodes(api: Api) -> None:
    version = await import_version(api, package(ECHO))
    nodes = [await register(api, name) for name in ("gate", "yard", "idle")]
    await deploy_edge(api, "edge", version, *(node.name for node in nodes))

    async def tell(name: str, state: str, level: str) -> None:
        node = next(each for each in nodes if each.name == name)
        (wanted,) = await sync(api, node, isolation=level)
        await sync(api, node, told(wanted, state), isolation=level)

    await tell("idle", "PREPARING", "NONE")
    assert await isolations(api) == {"edge": None}
    await tell("gate", "RUNNING", "BUBBLEWRAP")
    assert await isolations(api) == {"edge": "BUBBLEWRAP"}
    await tell("yard", "NOT_READY", "USER")
    assert await isolations(api) == {"edge": "USER"}
    await tell("yard", "FAILED", "USER")
    assert await isolations(api) == {"edge": "BUBBLEWRAP"}
    await tell("gate", "STOPPED", "BUBBLEWRAP")
    assert await isolations(api) == {"edge": None}


async def test_a_node_that_tells_of_an_unknown_level_is_refused(api: Api) -> None:
    node = await register(api, "gate")
    await sync(api, node, isolation="USER")
    before = await stored(api)
    assert (await post(api, node.token, report(isolation="STRONG"))).status_code == 400
    assert await stored(api) == before
    assert (await node_of(api, "gate"))["isolation"] == "USER"
