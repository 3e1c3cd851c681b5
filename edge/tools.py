"""uv, which builds environments: the machine's own, or else one of the agent's, from the package index."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from engines.command import Command, run
from engines.engine import EngineError
from engines.package_source import PackageSource

INSTALL_SECONDS = 300.0
ERROR_LENGTH = 500


async def have_uv(folder: Path, log: Callable[[str], None]) -> None:
    """See that uv is found on the PATH, in `folder` if need be. Raises EngineError."""
    if Path(sys.executable).with_name("uv").exists() or shutil.which("uv"):
        return
    programs = folder / "bin"
    if not (programs / "uv").exists():
        log("uv is not on this machine; installing it for the agent alone.")
        await _run([sys.executable, "-m", "venv", "--clear", str(folder)], log)
        await _run([str(programs / "python"), "-m", "pip", "install", "--disable-pip-version-check", "uv"], log)
    # Where the engine looks for it.
    os.environ["PATH"] = os.pathsep.join([str(programs), os.environ.get("PATH", os.defpath)])


async def _run(arguments: list[str], log: Callable[[str], None]) -> None:
    configuration = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    command = Command(tuple(arguments), {**PackageSource().environment(), **configuration})
    try:
        result = await run(command, timeout_seconds=INSTALL_SECONDS, on_error=log)
    except TimeoutError:
        raise _missing(f"it took longer than {INSTALL_SECONDS:g} s") from None
    if result.exit_code != 0:
        raise _missing((result.errors or result.output).strip()[-ERROR_LENGTH:])


def _missing(why: str) -> EngineError:
    return EngineError(
        f"There is no uv on this machine, and it could not be installed: {why} Install uv, or see that Python has "
        "its venv module (Debian, Ubuntu: python3-venv) and that pip reaches a package index."
    )
