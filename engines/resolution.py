"""Decides which distributions an environment gets, before anything is downloaded; never CUDA by accident."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from engines.build_failure import build_failure, is_disk_full, is_resolution_failure, requirement_of
from engines.command import Command, run
from engines.engine import BuildFailed
from engines.package_source import PackageSource, base_interpreter, python_with_pip

GPU_PACKAGE = re.compile(r"(?:nvidia-(?!ml-py$)|cuda-|(?:pytorch-)?triton(?:-.+)?$)")
# xgboost loads NCCL only to train on several GPUs.
WITHOUT_NCCL = tuple(f"nvidia-nccl-cu{major}; sys_platform == 'never'" for major in (11, 12, 13))


@dataclass(frozen=True, slots=True)
class Installer:
    """What resolves and installs: uv, where its cache lies, and the lock that its children hold with the builder."""

    uv: str
    cache_directory: Path
    source: PackageSource
    lock: int | None = None

    def uv_command(self, arguments: Sequence[str]) -> Command:
        """uv with nothing of the server's environment."""
        caching = {"UV_CACHE_DIR": str(self.cache_directory), "UV_HTTP_RETRIES": "1"}
        return Command((self.uv, *arguments), {**self.source.environment(), **caching}, self._held())

    def pip_command(self, python: str, arguments: Sequence[str]) -> Command:
        """pip of that interpreter, likewise."""
        caching = {"PIP_CACHE_DIR": str(self.cache_directory / "pip")}
        pip = (python, "-I", "-m", "pip", *arguments, *self.source.pip_arguments())
        return Command(pip, {**self.source.environment(), **caching}, self._held())

    def _held(self) -> tuple[int, ...]:
        return () if self.lock is None else (self.lock,)


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be installed, and how long that may take; `log` hears each line of the installers."""

    requirements: tuple[str, ...]
    wheels: tuple[Path, ...]
    log: Callable[[str], None]
    timeout_seconds: float

    @property
    def lines(self) -> tuple[str, ...]:
        """What to write into a requirements file: the wheels by their paths, then the requirements in their order."""
        return (*map(str, self.wheels), *self.requirements)


@contextmanager
def requirements_file(lines: Sequence[str]) -> Iterator[str]:
    """The path of a file with these lines, for as long as the context lasts."""
    with TemporaryDirectory() as folder:
        file = Path(folder, "requirements.txt")
        file.write_text("".join(f"{line}\n" for line in lines))
        yield str(file)


def check_requirements(requirements: Sequence[str]) -> None:
    """Raises BuildFailed for a line that is not a name with versions: options and addresses lead elsewhere."""
    for line in requirements:
        try:
            url = Requirement(line).url
        except InvalidRequirement:
            raise BuildFailed(f"{line!r} is not a requirement.", None, line) from None
        if url:
            raise BuildFailed(f"{line!r} names an address; only names and versions are installed.", None, line)


async def resolve(installer: Installer, request: Request) -> tuple[str, ...]:
    """Every distribution to install, as pinned lines. Raises BuildFailed, also where GPU packages would come along."""
    if not request.lines:
        return ()
    pinned = await _compile(installer, request, ())
    if installer.source.allow_gpu_packages or not gpu_packages(pinned):
        return pinned
    request.log(f"Looking for the same without GPU packages ({', '.join(gpu_packages(pinned))}).")
    overrides = _overrides(pinned)
    if overrides:
        try:
            pinned = await _compile(installer, request, overrides)
        except BuildFailed:
            raise _gpu_failure(pinned, request.requirements) from None
    if gpu_packages(pinned):
        raise _gpu_failure(pinned, request.requirements)
    return pinned


async def resolve_with_pip(installer: Installer, request: Request, python: str) -> tuple[str, ...]:
    """As `resolve`, by pip, which looks for no replacements of GPU packages."""
    with requirements_file(request.lines) as file:
        arguments = ["install", "--dry-run", "--quiet", "--ignore-installed", "--report", "-", "--requirement", file]
        command = installer.pip_command(python, arguments)
        result = await run(command, timeout_seconds=request.timeout_seconds, on_error=request.log)
    if result.exit_code != 0:
        raise build_failure(installer.source.redact(result.errors), request.requirements)
    pinned = _pinned(result.output)
    if gpu_packages(pinned) and not installer.source.allow_gpu_packages:
        raise _gpu_failure(pinned, request.requirements)
    return pinned


def gpu_packages(pinned: Sequence[str]) -> tuple[str, ...]:
    """The names among pinned lines that are NVIDIA's libraries or need them."""
    names = (canonicalize_name(line.split("==")[0]) for line in pinned if not line.startswith("/"))
    return tuple(name for name in names if GPU_PACKAGE.match(name))


class UvError(Exception):
    """uv failed for a reason of its own, not because there is no such package; the message is what it said."""


async def uv(installer: Installer, arguments: Sequence[str], request: Request) -> str:
    """Runs uv and returns its standard output. Raises BuildFailed, and UvError where pip may do better."""
    command = installer.uv_command([*arguments, *installer.source.uv_arguments()])
    result = await run(command, timeout_seconds=request.timeout_seconds, on_error=request.log)
    if result.exit_code == 0:
        return result.output
    errors = installer.source.redact(result.errors)
    if is_resolution_failure(errors) or is_disk_full(errors) or python_with_pip() is None:
        raise build_failure(errors, request.requirements)
    raise UvError(errors)


async def _compile(installer: Installer, request: Request, overrides: tuple[str, ...]) -> tuple[str, ...]:
    arguments = ["--python", base_interpreter(), "--no-header", "--no-annotate"]
    with requirements_file(request.lines) as wanted, requirements_file(overrides) as overriding:
        if overrides:
            arguments += ["--override", overriding]
        output = await uv(installer, ["pip", "compile", wanted, *arguments], request)
    return tuple(line for line in output.splitlines() if line and not line.startswith(("#", "-")))


def _overrides(pinned: Sequence[str]) -> tuple[str, ...]:
    versions = dict(line.split("==", 1) for line in pinned if "==" in line)
    torch = versions.get("torch")
    overrides = (f"torch=={torch.split('+')[0]}+cpu",) if torch else ()
    return (*overrides, *WITHOUT_NCCL) if "xgboost" in versions else overrides


def _gpu_failure(pinned: Sequence[str], requirements: Sequence[str]) -> BuildFailed:
    names = gpu_packages(pinned)
    library = next((line for line in pinned if line.startswith("torch==")), None)
    package = "torch" if library else names[0]
    found = library.replace("==", " ") if library else ", ".join(names)
    return BuildFailed(
        f"{found} brings {len(names)} GPU packages, and no build for CPUs was found. "
        "Name a package source that has one (MODELYARD_PACKAGE_FIND_LINKS, MODELYARD_PACKAGE_EXTRA_INDEX_URLS), "
        "or allow GPU packages (MODELYARD_ALLOW_GPU_PACKAGES).",
        package,
        requirement_of(package, requirements),
    )


def _pinned(report: str) -> tuple[str, ...]:
    return tuple(
        f"{item['metadata']['name']}=={item['metadata']['version']}"
        if not item["is_direct"]
        else item["download_info"]["url"]
        for item in json.loads(report)["install"]
    )
