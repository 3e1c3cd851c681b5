"""Builds environments: one folder per set of dependencies, built once, by one process, and never by running it."""

import asyncio
import errno
import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from engines.build_failure import build_failure, disk_full, is_disk_full, out_of_time
from engines.command import run
from engines.engine import BuildFailed, EngineError, EnvironmentSpecification
from engines.environment_housekeeping import discard, is_complete, note_use, record_completion
from engines.package_source import PackageSource, base_interpreter, complete, python_with_pip
from engines.resolution import (
    Installer,
    Request,
    UvError,
    check_requirements,
    requirements_file,
    resolve,
    resolve_with_pip,
    uv,
)
from engines.runtime_catalogue import INSTALLED

LOCK_POLL_SECONDS = 0.1
SITE_PACKAGES = Path("lib", INSTALLED, "site-packages")
# Packages that other environments still have stay on the disk through them; only a later build downloads them again.
PRUNE = ("cache", "prune", "--ci", "--no-config", "--color", "never")
PRUNE_SECONDS = 120
SERVING_PATH = "zzz_modelyard_serving.pth"


@dataclass(frozen=True, slots=True)
class EnvironmentStore:
    """The environments below one folder; `serving_requirements` is the hashed file of what every instance needs."""

    directory: Path
    serving_requirements: Path
    source: PackageSource

    async def is_built(self, environment: EnvironmentSpecification) -> bool:
        """Whether the environment is there, whole; who asks is about to use it, so that no housekeeping removes it."""
        folder = await asyncio.to_thread(self.folder, environment)
        with suppress(OSError):
            note_use(folder)
        return is_complete(folder)

    async def discard(self, *, kept: Collection[str], used: Collection[str], older_than: timedelta) -> list[str]:
        """Removes environments last used longer ago, but for those of `kept` digests and of `used` folder names.

        Returns the names of the folders that it removed.
        """
        # Without an environment yet that refers to them, these libraries may be what a build goes on with.
        named = {*used, self.serving_folder().name}
        seconds = older_than.total_seconds()
        removed = await asyncio.to_thread(discard, self.directory, kept=kept, used=named, older_than_seconds=seconds)
        if removed:
            await self._prune_cache()
        return removed

    async def _prune_cache(self) -> None:
        """Frees what was removed: an environment's files are links to those in the installer's cache.

        A build that goes on has its way with the cache; then the next removal prunes it.
        """
        command = Installer(_uv(), self.directory / ".cache", self.source).uv_command(PRUNE)
        with suppress(TimeoutError):
            await run(command, timeout_seconds=PRUNE_SECONDS)

    def folder(self, environment: EnvironmentSpecification) -> Path:
        """Where the environment is or will be; other serving libraries make it another one."""
        digest = hashlib.sha256(environment.digest.encode() + self._serving_digest().encode())
        return self.directory / digest.hexdigest()[:32]

    def serving_folder(self) -> Path:
        """Where the libraries of the runtime lie, which all environments share."""
        return self.directory / f"serving-{self._serving_digest()[:24]}"

    async def build(
        self, environment: EnvironmentSpecification, *, log: Callable[[str], None], timeout_seconds: float
    ) -> None:
        """Builds what is not there yet. Raises BuildFailed; whatever ends it, nothing half-built counts as built."""
        _check_runtime(environment.runtime)
        check_requirements(environment.requirements)
        if await self.is_built(environment):
            log("The environment is there already.")
            return
        source = await complete(self.source)
        said: list[str] = []

        def hear(line: str) -> None:
            said.append(line)
            log(source.redact(line))

        request = Request(environment.requirements, environment.wheels, hear, timeout_seconds)
        installer = Installer(_uv(), self.directory / ".cache", source)
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._build_serving(installer, request)
                await self._build_environment(installer, request, environment)
        except TimeoutError:
            raise out_of_time(timeout_seconds, said, environment.requirements) from None
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise disk_full(None, ()) from error

    async def _build_serving(self, installer: Installer, request: Request) -> None:
        folder = self.serving_folder()
        async with self._once(folder, request.log) as lock:
            if lock is not None:
                request.log("Installing the libraries that serve models.")
                pinned = replace(request, requirements=(), wheels=())
                await _install_hashed(
                    replace(installer, lock=lock), pinned, self.serving_requirements, folder / "site-packages"
                )
                record_completion(folder, self._serving_digest())

    async def _build_environment(
        self, installer: Installer, request: Request, environment: EnvironmentSpecification
    ) -> None:
        folder = await asyncio.to_thread(self.folder, environment)
        async with self._once(folder, request.log) as lock:
            if lock is None:
                request.log("The environment is there already.")
                return
            installer = replace(installer, lock=lock)
            await _create(installer, request, folder)
            await _install(installer, request, folder / SITE_PACKAGES)
            # Relative, so that the folder may be moved, or reached by another name. Sorted last among .pth files, so
            # that what the package asks for comes first on sys.path.
            serving = os.path.relpath(self.serving_folder() / "site-packages", folder / SITE_PACKAGES)
            (folder / SITE_PACKAGES / SERVING_PATH).write_text(f"{serving}\n")
            record_completion(folder, await asyncio.to_thread(lambda: environment.digest))
            request.log("The environment is built.")

    @asynccontextmanager
    async def _once(self, folder: Path, log: Callable[[str], None]) -> AsyncIterator[int | None]:
        """Holds the folder's lock, and gives it when the folder is to be built, with nothing of an earlier try left."""
        self.directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        descriptor = os.open(folder.with_name(f"{folder.name}.lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            await _lock(descriptor, log)
            if is_complete(folder):
                yield None
            else:
                await asyncio.to_thread(_clear, folder)
                yield descriptor
        finally:
            os.close(descriptor)

    def _serving_digest(self) -> str:
        try:
            content = self.serving_requirements.read_bytes()
        except OSError as error:
            raise EngineError(f"{self.serving_requirements} cannot be read: {error.strerror}.") from error
        return hashlib.sha256(content + INSTALLED.encode()).hexdigest()


async def _lock(descriptor: int, log: Callable[[str], None]) -> None:
    is_told = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not is_told:
                log("Another process is building the same; waiting for it.")
            is_told = True
            await asyncio.sleep(LOCK_POLL_SECONDS)
        else:
            return


async def _create(installer: Installer, request: Request, folder: Path) -> None:
    arguments = ("venv", "--no-project", "--no-config", "--color", "never", "--python", base_interpreter(), str(folder))
    result = await run(installer.uv_command(arguments), timeout_seconds=request.timeout_seconds)
    if result.exit_code != 0 and is_disk_full(result.errors):
        raise disk_full(None, ())
    if result.exit_code != 0:
        raise BuildFailed(f"No virtual environment could be made: {result.errors.strip()[-500:]}")


async def _install(installer: Installer, request: Request, target: Path) -> None:
    try:
        await _install_pinned(installer, request, await resolve(installer, request), target)
    except UvError as failure:
        python = python_with_pip()
        if python is None:
            raise build_failure(str(failure), request.requirements) from failure
        request.log("uv could not do it; pip tries.")
        await _install_by_pip(installer, request, python, target)


async def _install_pinned(installer: Installer, request: Request, pinned: Sequence[str], target: Path) -> None:
    if not pinned:
        target.mkdir(parents=True, exist_ok=True)
        return
    with requirements_file(pinned) as file:
        await uv(installer, [*_into(target), "--no-deps", "--requirement", file], request)


async def _install_hashed(installer: Installer, request: Request, file: Path, target: Path) -> None:
    target.mkdir(parents=True)
    try:
        await uv(installer, [*_into(target), "--no-deps", "--require-hashes", "--requirement", str(file)], request)
    except UvError as failure:
        python = python_with_pip()
        if python is None:
            raise build_failure(str(failure), ()) from failure
        request.log("uv could not do it; pip tries.")
        await _pip_install(installer, request, python, target, ["--require-hashes", "--requirement", str(file)])


async def _install_by_pip(installer: Installer, request: Request, python: str, target: Path) -> None:
    pinned = await resolve_with_pip(installer, request, python)
    with requirements_file(pinned) as file:
        await _pip_install(installer, request, python, target, ["--requirement", file])


async def _pip_install(
    installer: Installer, request: Request, python: str, target: Path, arguments: Sequence[str]
) -> None:
    into = ("install", "--no-deps", "--compile", "--target", str(target), *arguments)
    command = installer.pip_command(python, into)
    result = await run(command, timeout_seconds=request.timeout_seconds, on_output=request.log, on_error=request.log)
    if result.exit_code != 0:
        raise build_failure(installer.source.redact(result.errors), request.requirements)


def _into(target: Path) -> list[str]:
    # --target with the base interpreter: the new environment's own would run the .pth files of what it was given.
    return ["pip", "install", "--python", base_interpreter(), "--target", str(target), "--compile-bytecode"]


def _clear(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _check_runtime(runtime: str) -> None:
    if runtime != INSTALLED:
        raise BuildFailed(f"This installation runs {INSTALLED}; it has no {runtime}.")


def _uv() -> str:
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        raise EngineError("uv is not installed beside the server; set it up again with make.")
    return found
