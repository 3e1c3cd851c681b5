"""The command line, the environment and the reach of an instance's process."""

import math
import os
from collections.abc import Mapping
from pathlib import Path

from engines.control_group import PROCESS_LIMIT
from engines.engine import InstanceSpecification
from engines.installation import Installation
from engines.instance_directory import InstanceDirectory
from engines.isolation import Confinement, Isolation
from engines.process import INSTANCE_VARIABLE

# Behind those of the standard streams.
SOCKET_DESCRIPTOR = 3
GRACE_SECONDS = 10
LIMITS = {"RLIMIT_CORE": 0, "RLIMIT_NOFILE": 4096, "RLIMIT_FSIZE": 1 << 30}
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def confinement_of(
    instance: InstanceSpecification,
    *,
    isolation: Isolation,
    directory: InstanceDirectory,
    environment: Path,
    installation: Installation,
    serving: Path,
    user_id: int | None,
    dies_with_parent: bool,
) -> Confinement:
    """The process that serves one package, and the files it may reach."""
    temporary = Path("/tmp") if isolation.has_private_temporary_folder else directory.temporary
    package = instance.package_directory.resolve()
    return Confinement(
        arguments=_arguments(instance, directory, environment, installation.runtime, package),
        environment=_variables(instance, temporary, installation),
        directory=package,
        readable=(installation.runtime, serving, environment, package, directory.apis),
        writable=() if isolation.has_private_temporary_folder else (directory.temporary,),
        hidden=installation.data,
        user_id=user_id,
        limits=limits(counts_processes=isolation.counts_processes),
        parent_pid=os.getpid() if dies_with_parent else None,
    )


def limits(*, counts_processes: bool) -> dict[str, int]:
    """Resource limits by name; that of processes only where the kernel counts an instance's own."""
    return {**LIMITS, "RLIMIT_NPROC": PROCESS_LIMIT} if counts_processes else LIMITS


def _arguments(
    instance: InstanceSpecification, directory: InstanceDirectory, environment: Path, runtime: Path, package: Path
) -> tuple[str, ...]:
    options = {
        "socket-descriptor": SOCKET_DESCRIPTOR,
        "package": package,
        "model-path": instance.model_path,
        "engine": instance.ai_engine,
        "model-name": instance.model_name,
        "model-version": instance.model_version,
        "api-file": directory.apis,
        "timeout-seconds": f"{instance.timeout_seconds:g}",
        "max-body-bytes": instance.max_body_bytes,
        # Who drains it waits for the longest prediction; who stops it ends it before.
        "grace-seconds": f"{max(GRACE_SECONDS, instance.timeout_seconds):g}",
    }
    program = (str(environment / "bin" / "python"), str(runtime / "serve.py"))
    # One word each: a model path that is empty or begins with a dash must not be taken for an option.
    return (*program, *(f"--{name}={value}" for name, value in options.items()))


def _variables(instance: InstanceSpecification, temporary: Path, installation: Installation) -> Mapping[str, str]:
    threads = str(max(1, math.ceil(instance.cpu_count)))
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "USER": "model",
        "LOGNAME": "model",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        **dict.fromkeys(THREAD_VARIABLES, threads),
        **instance.environment_variables,
        "HOME": str(temporary),
        "TMPDIR": str(temporary),
        INSTANCE_VARIABLE: installation.holder(instance.instance_id),
    }
