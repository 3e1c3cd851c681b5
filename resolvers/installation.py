"""What this installation is made of, built in one place and handed to every resolver."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from artifacts.blob import BlobStore
from artifacts.object_store import ObjectStore
from artifacts.scan_thread import ScanThreads
from artifacts.trusted_key import TrustedKeys
from db.connection import Pool
from db.reading_pool import ReadingPool
from engines.engine import Engine
from resolvers.scan_policy import ScanPolicy

DEFAULT_STORE = "default"


@dataclass(frozen=True, slots=True)
class Rules:
    """The operator's choices: what is accepted, what is kept. `scan_policy` holds where a workspace chose nothing."""

    region: str
    is_strict: bool
    is_arm_version: bool
    file_size_limit_bytes: int
    scan_policy: ScanPolicy
    build_timeout_seconds: float
    upload_expires_seconds: int
    prediction_timeout_seconds: float
    prediction_max_body_bytes: int
    deployment_timeout_seconds: float
    worker_operations: int
    operation_attempts: int
    restore_days: int
    log_days: int
    metric_days: int
    unused_file_seconds: int
    unused_environment_seconds: int
    runtime_map: Mapping[str, str]
    trusted_keys: TrustedKeys
    signature_policy: str
    server_url: str
    edge_sync_seconds: float
    edge_node_lost_seconds: float
    shared_pool_cpu_count: float | None
    shared_pool_memory_bytes: int | None


@dataclass(frozen=True, slots=True)
class Installation:
    """`packages` is the folder below which packages are laid out for the engine.

    On `reading_pool` statements only read, and leave nothing behind in their session.
    """

    pool: Pool
    reading_pool: ReadingPool
    stores: Mapping[str, ObjectStore]
    blobs: BlobStore
    scans: ScanThreads
    engine: Engine
    packages: Path
    rules: Rules
