"""An edge service that finds no place to listen."""

import asyncio
from pathlib import Path
from uuid import uuid4

from edge.desired import read_desired
from edge.package_store import PackageStore
from edge.replica import Workshop
from edge.server_link import ServerLink
from edge.service import Kept, Service
from engines.local_engine import LocalEngine
from engines.package_source import PackageSource

NOT_HERE = "203.0.113.1"
NUMBERS = ("configuration_number", "generation", "cpu_count", "memory_bytes", "timeout_seconds", "max_body_bytes")
TEXTS = ("service_name", "model_name", "version", "ai_engine", "model_path", "runtime")


async def test_a_port_that_cannot_be_opened_is_in_the_report(tmp_path: Path) -> None:
    async def nothing() -> None:
        pass

    engine = LocalEngine(
        data_directory=tmp_path,
        runtime_directory=tmp_path,
        package_source=PackageSource(),
        isolation="none",
        die_with_parent=True,
    )
    workshop = Workshop(
        engine=engine,
        packages=PackageStore(tmp_path / "packages", ServerLink("http://127.0.0.1:9", "x")),
        tools=nothing,
        builds=asyncio.Semaphore(1),
        log=print,
        wake=lambda: None,
    )
    desired = read_desired(
        {
            **dict.fromkeys(NUMBERS, 1),
            **dict.fromkeys(TEXTS, "x"),
            "service_id": str(uuid4()),
            "model_version_id": str(uuid4()),
            "desired_state": "RUNNING",
            "requirements": [],
            "wheels": [],
            "apis": [],
            "environment": {},
            "build_timeout_seconds": 1,
        }
    )
    service = Service(workshop, NOT_HERE, Kept(None, desired, None))
    await service.advance({}, port_base=8500, taken=())
    report = service.report()
    await service.close()
    assert report["state"] == "FAILED"
    assert str(report["reason"]).startswith(f"Nothing can listen on {NOT_HERE}: ")
