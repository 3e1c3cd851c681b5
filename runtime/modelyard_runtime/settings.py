"""The instance's settings: what the command line says."""

import argparse
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CONCURRENCY_VARIABLE = "MODELYARD_CONCURRENCY"


@dataclass(frozen=True, slots=True)
class Settings:
    """One instance of one model version; `model_path` is a file, or the package's directory for some engines.

    It listens on a `socket` that it makes, or on an inherited one.

    `concurrency` is the number of predictions computed at the same time, None to let the kind of service decide.
    """

    socket: Path | None
    socket_descriptor: int | None
    package: Path
    model_path: Path
    engine: str
    model_name: str
    model_version: str
    api_file: Path | None
    timeout_seconds: float
    max_body_bytes: int
    grace_seconds: float
    concurrency: int | None
    dies_with_parent: bool


def read_settings(arguments: Sequence[str]) -> Settings:
    parsed = _parser().parse_args(arguments)
    package = Path(parsed.package).resolve()
    return Settings(
        socket=Path(parsed.socket).absolute() if parsed.socket else None,
        socket_descriptor=parsed.socket_descriptor,
        package=package,
        model_path=package / parsed.model_path,
        engine=parsed.engine.upper(),
        model_name=parsed.model_name,
        model_version=parsed.model_version,
        api_file=Path(parsed.api_file).absolute() if parsed.api_file else None,
        timeout_seconds=parsed.timeout_seconds,
        max_body_bytes=parsed.max_body_bytes,
        grace_seconds=parsed.grace_seconds,
        concurrency=parsed.concurrency,
        dies_with_parent=parsed.die_with_parent,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="serve.py", description="Serve one model package on a Unix socket.")
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--socket", help="path of the Unix socket to listen on")
    place.add_argument("--socket-descriptor", type=_positive_integer, help="of a bound Unix socket that it inherits")
    parser.add_argument("--package", required=True, help="the package's model directory")
    parser.add_argument("--model-path", default="", help="the model file in it; empty for the directory itself")
    parser.add_argument("--engine", required=True, help="SCIKIT_LEARN, XGBOOST, PYTORCH, …")
    parser.add_argument("--model-name", required=True)
    parser.add_argument("--model-version", required=True)
    parser.add_argument("--api-file", help="JSON file with the array of declared APIs")
    parser.add_argument("--timeout-seconds", type=_positive_number, default=40.0, help="limit of one prediction")
    parser.add_argument("--max-body-bytes", type=_positive_integer, default=12 * 1024 * 1024)
    parser.add_argument(
        "--grace-seconds", type=_positive_number, default=10.0, help="for requests in flight after SIGTERM"
    )
    parser.add_argument(
        "--concurrency",
        type=_positive_integer,
        # argparse converts a default that is a string as it does an argument.
        default=os.environ.get(CONCURRENCY_VARIABLE) or None,
        help=f"predictions computed at a time (also {CONCURRENCY_VARIABLE}); 1 with inference code, otherwise up to 4",
    )
    parser.add_argument("--die-with-parent", action="store_true", help="be killed when the starting process ends")
    return parser


def _positive_integer(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError(text)
    return number


def _positive_number(text: str) -> float:
    number = float(text)
    if number <= 0 or not math.isfinite(number):
        raise ValueError(text)
    return number
