"""What this installation is made of, built in one place and handed to every resolver."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from artifacts.blob import BlobStore
from artifacts.object_store import ObjectStore
from db.connection import Pool
from db.reading_pool import ReadingPool
from engines.engine import Engine

DEFAULT_STORE = "default"


@dataclass(frozen=True, slots=True)
class Rules:
    """The operator's choices that decide what is accepted."""

    region: str
    is_strict: bool
    file_size_limit_bytes: int
    suspicious_pickles: str
    build_timeout_seconds: float
    upload_expires_seconds: int
    prediction_timeout_seconds: float
    prediction_max_body_bytes: int
    operation_attempts: int


@dataclass(frozen=True, slots=True)
class Installation:
    """`packages` is the folder below which packages are laid out for the engine.

    On `reading_pool` statements only read, and leave nothing behind in their session.
    """

    pool: Pool
    reading_pool: ReadingPool
    stores: Mapping[str, ObjectStore]
    blobs: BlobStore
    engine: Engine
    packages: Path
    rules: Rules
