"""Whoever changes a service and its instances locks them in the same order."""

import asyncio
from typing import Any

from db import service, service_instance, service_log
from db.connection import Pool
from tests.api import Api
from tests.services import ECHO, act, deploy, import_version, package, target

INSTANCE = """
INSERT INTO service_instance (workspace_id, service_id, service_target_id, number, state)
SELECT service.workspace_id, service.id, target.id, $1, 'PENDING'
FROM service
JOIN service_configuration AS configuration ON configuration.service_id = service.id
JOIN service_target AS target ON target.service_configuration_id = configuration.id
RETURNING *
"""
TIMES = 200


async def test_lines_are_kept_while_the_service_is_asked_to_hurry_and_its_instances_are_adopted(
    api: Api, pool: Pool
) -> None:
    await deploy(api, "iris", target(await import_version(api, package(ECHO))))
    await act(api, "stopService", "iris")
    await api.service_in("iris", "STOPPED")
    before = await api.count("service_log_line")
    instances = [await pool.fetchrow(INSTANCE, 1000 + number) for number in range(3)]
    async with asyncio.TaskGroup() as group:
        for instance in instances:
            group.create_task(_append(pool, instance))
        group.create_task(_hurry(pool, instances))
    assert await api.count("service_log_line") == before + 2 * TIMES * len(instances)
    assert await pool.fetchval("SELECT last_log_number FROM service") == await api.count("service_log_line")


async def _append(pool: Pool, instance: Any) -> None:
    for number in range(TIMES):
        lines = [f"{number} said", f"{number} again"]
        await service_log.append(pool, instance["workspace_id"], instance["id"], lines, offset_bytes=number)


async def _hurry(pool: Pool, instances: list[Any]) -> None:
    workspace_id, service_id = instances[0]["workspace_id"], instances[0]["service_id"]
    ids, target_id = [instance["id"] for instance in instances], instances[0]["service_target_id"]
    for _ in range(TIMES):
        async with pool.acquire() as connection, connection.transaction():
            await service.lock(connection, workspace_id, service_id)
            await service_instance.hurry(connection, workspace_id, service_id)
            await service_instance.adopt(connection, workspace_id, ids, target_id)
