"""What an earlier configuration of a service is worth later: its own size, and whether it could still be started."""

from typing import Any

from db.connection import Pool
from tests.api import Api, wait_for
from tests.pools import GIBIBYTE, create_pool, pool_named
from tests.services import ask, deploy, import_version, package, running_again, target
from tests.test_service_update import update

COUNTS_THREADS = "return os.environ['OMP_NUM_THREADS']"


def sized(version: str, cpu_count: float) -> dict[str, Any]:
    return target(version, customInferenceSpecification={"cpuCount": cpu_count, "memoryBytes": GIBIBYTE})


async def has_room(api: Api) -> bool:
    used: float = (await pool_named(api, "gpu-a"))["usedCpuCount"]
    return used == 1


async def test_an_instance_has_its_targets_size_and_what_fits_no_more_is_not_brought_back(api: Api, pool: Pool) -> None:
    version = await import_version(api, package(COUNTS_THREADS))
    await create_pool(api, "gpu-a", cpuCount=8, memoryBytes=64 * GIBIBYTE)
    await deploy(api, "iris", sized(version, 3), resourcePool="gpu-a")
    assert await ask(api, await running_again(api, "iris"), {}) == "3"
    await update(api, "iris", sized(version, 1))
    await api.service_in("iris", "RUNNING")
    await wait_for(lambda: has_room(api))
    smaller = await api.mutate("updateResourcePool", "resourcePool { cpuCount }", name="gpu-a", cpuCount=2)
    assert smaller["errors"] == []

    (error,) = await api.refused("rollBackService", serviceName="iris")
    assert (error["code"], error["path"]) == ("INSUFFICIENT_CAPACITY", ["configurationNumber"])

    await pool.execute("""UPDATE model_version SET integrity = '{"state": "DRIFTED"}'""")
    codes = [error["code"] for error in await api.refused("rollBackService", serviceName="iris")]
    assert codes == ["ARTIFACT_DRIFT", "INSUFFICIENT_CAPACITY"]
    assert await pool.fetchval("SELECT last_configuration_number FROM service") == 2
