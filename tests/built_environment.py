"""Interpreters of environments that the server's own builder made, to train models with."""

import asyncio
import subprocess
from pathlib import Path

import pytest

from engines.engine import BuildFailed, EnvironmentSpecification
from engines.environment import EnvironmentStore
from engines.package_source import PackageSource
from engines.runtime_catalogue import INSTALLED, default_runtime
from server.settings import CHECKOUT

BUILD_SECONDS = 900


async def python_of(ai_engine: str, environments: Path) -> Path:
    """The interpreter of the environment in which the server will run models of the engine.

    Skips the test where the package source has no wheel of the engine's library for this interpreter.
    """
    runtime = default_runtime(ai_engine)
    if runtime is None:
        pytest.skip(f"{ai_engine} has no environment with {INSTALLED}")
    library = runtime.requirements[0].partition("==")[0]
    try:
        return await python_with(runtime.requirements, environments)
    except BuildFailed as failure:
        if failure.package != library:
            raise
        pytest.skip(f"the package source has no {library}: {failure.message}")


async def python_with(requirements: tuple[str, ...], environments: Path) -> Path:
    """The interpreter of an environment with these libraries."""
    store = EnvironmentStore(environments, CHECKOUT / "runtime" / "requirements.txt", PackageSource())
    environment = EnvironmentSpecification(INSTALLED, requirements)
    await store.build(environment, log=lambda _: None, timeout_seconds=BUILD_SECONDS)
    return store.folder(environment) / "bin" / "python"


async def files_made(python: Path, program: str, folder: Path) -> dict[str, bytes]:
    """The files, by their paths below `model/`, that a program leaves in the folder that it is given."""
    folder.mkdir(parents=True)
    command = [str(python), "-I", "-c", program, str(folder)]
    ended = await asyncio.to_thread(
        lambda: subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    )
    assert ended.returncode == 0, ended.stderr
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {f"model/{path.relative_to(folder).as_posix()}": path.read_bytes() for path in paths}
