"""The instance's process: starts, serves until SIGTERM, and ends without waiting for anybody's threads."""

import contextlib
import os
import signal
import socket
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

import uvicorn
from modelyard_runtime.api import read_apis
from modelyard_runtime.application import Application
from modelyard_runtime.inference_protocol import InferenceProtocol
from modelyard_runtime.instance_log import log_event, open_log
from modelyard_runtime.prediction import Predictor
from modelyard_runtime.prediction_threads import PredictionThreads
from modelyard_runtime.service import has_inference_code, load_service
from modelyard_runtime.settings import Settings, read_settings
from modelyard_runtime.start_error import StartError, StartErrorCode
from modelyard_runtime.tensor_model import tensor_model_of

EXIT_STOPPED = 0
EXIT_KILLED = 1
EXIT_NOT_STARTED = 3
# Much inference code keeps state in `self` or in a file of a fixed name: it gets one prediction at a time.
CONCURRENCY_WITH_CODE = 1
# The libraries' own models allow more; threads beyond the processors only wait for the interpreter's lock.
CONCURRENCY_LIMIT_WITHOUT_CODE = 4
# Longer than the gateway keeps an idle connection, so that it is the gateway that closes it.
KEEP_ALIVE_SECONDS = 75
PR_SET_PDEATHSIG = 1


def main(arguments: Sequence[str]) -> NoReturn:
    settings = read_settings(arguments)
    if settings.dies_with_parent:
        die_with_parent()
    open_log()
    signal.signal(signal.SIGTERM, lambda _signal, _frame: end(EXIT_STOPPED))
    try:
        application = load_application(settings)
        listener = open_socket(settings)
    except StartError as error:
        # The package's own failure, without ours that tells of it.
        traceback.print_exception(error.__cause__ or error)
        log_event("start_failed", code=error.code, message=error.message)
        end(EXIT_NOT_STARTED)
    serve(application, listener, settings)
    if settings.socket is not None:
        settings.socket.unlink(missing_ok=True)
    log_event("stopped")
    end(EXIT_STOPPED)


def load_application(settings: Settings) -> Application:
    apis = read_apis(settings.api_file, settings.package)
    service = load_service(settings, apis)
    threads = PredictionThreads(
        count=settings.concurrency or default_concurrency(settings.package),
        timeout_seconds=settings.timeout_seconds,
    )
    threads.start()
    return Application(
        apis=apis,
        predictor=Predictor(service),
        protocol=InferenceProtocol(
            None if has_inference_code(settings.package) else tensor_model_of(service, settings.engine),
            model_name=settings.model_name,
            model_version=settings.model_version,
        ),
        threads=threads,
        max_body_bytes=settings.max_body_bytes,
        timeout_seconds=settings.timeout_seconds,
    )


def default_concurrency(package: Path) -> int:
    if has_inference_code(package):
        return CONCURRENCY_WITH_CODE
    return min(CONCURRENCY_LIMIT_WITHOUT_CODE, os.cpu_count() or 1)


def open_socket(settings: Settings) -> socket.socket:
    """The inherited one, or one for this user only. Raises StartError."""
    try:
        return _bound(settings.socket) if settings.socket else socket.socket(fileno=settings.socket_descriptor)
    except OSError as error:
        raise StartError(StartErrorCode.SOCKET_NOT_OPENED, f"The socket could not be opened: {error}.") from error


def _bound(path: Path) -> socket.socket:
    """A socket left behind by an instance that was killed is replaced."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    umask = os.umask(0o177)
    try:
        if path.is_socket():
            path.unlink()
        listener.bind(str(path))
    finally:
        os.umask(umask)
    return listener


def serve(application: Application, listener: socket.socket, settings: Settings) -> None:
    config = uvicorn.Config(
        application,
        access_log=False,
        date_header=False,
        lifespan="off",
        log_config=None,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=max(1, round(settings.grace_seconds)),
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        ws="none",
    )
    InstanceServer(config).run(sockets=[listener])


class InstanceServer(uvicorn.Server):
    """Says when it is ready; SIGTERM drains it, a second one ends it at once."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        log_event("ready")

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Unlike the original, does not raise the signal again: a stopped instance exits with 0."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.handle_exit)
        yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:
            end(EXIT_KILLED)
        self.should_exit = True


def die_with_parent() -> None:
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def end(exit_code: int) -> NoReturn:
    """Threads of package code, which may hang, are not waited for."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)
