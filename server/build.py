"""Puts an installation together from its settings."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from artifacts.blob import BlobStore
from artifacts.scan_thread import ScanThreads
from artifacts.store_url import InvalidStoreUrl, create_store, parse_store_url
from artifacts.trusted_key import TrustedKeys, read_trusted_keys
from db.connection import Pool
from db.reading_pool import ReadingPool
from engines.engine import Engine
from engines.local_engine import LocalEngine
from engines.package_source import PackageSource
from engines.runtime_catalogue import map_errors
from resolvers.installation import DEFAULT_STORE, Installation, Rules
from resolvers.scan_policy import ScanAction, ScanPolicy
from server.failure import StartFailure
from server.kept_file import signing_key
from server.settings import CHECKOUT, Settings

WILDCARDS = ("0.0.0.0", "::")


def public_url(settings: Settings) -> str:
    """Where clients reach the server: as set, else by the address that it listens on."""
    if settings.public_url:
        return settings.public_url
    host = "localhost" if settings.host in WILDCARDS else settings.host
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


@asynccontextmanager
async def installation(
    settings: Settings, pool: Pool, reading_pool: ReadingPool, *, dies_with_server: bool
) -> AsyncIterator[Installation]:
    """The installation with its stores open. Its engine is opened by whoever comes to own it. Raises StartFailure."""
    url = settings.object_store_url.get_secret_value() if settings.object_store_url else ""
    try:
        location = parse_store_url(url, data_dir=settings.data_dir)
    except InvalidStoreUrl as error:
        raise StartFailure(f"OBJECT_STORE_URL is not valid: {error}") from error
    store = create_store(
        location, public_url=public_url(settings), signing_key=signing_key(settings.data_dir), name=DEFAULT_STORE
    )
    await store.open()
    packages = settings.data_dir / "packages"
    # Its folders are passed through by their names, never listed.
    packages.mkdir(mode=0o711, parents=True, exist_ok=True)
    scans = ScanThreads()
    try:
        yield Installation(
            pool=pool,
            reading_pool=reading_pool,
            stores={store.name: store},
            blobs=BlobStore(store),
            scans=scans,
            engine=_engine(settings, dies_with_server=dies_with_server),
            packages=packages,
            rules=_rules(settings),
        )
    finally:
        scans.close()
        await store.close()


def _engine(settings: Settings, *, dies_with_server: bool) -> Engine:
    if settings.engine_url != "local":
        raise StartFailure(f"ENGINE_URL is not valid: {settings.engine_url!r} is no engine of this version; local is.")
    return LocalEngine(
        data_directory=settings.data_dir,
        runtime_directory=CHECKOUT / "runtime",
        package_source=PackageSource(
            index_url=settings.package_index_url,
            extra_index_urls=settings.package_extra_index_urls,
            find_links=settings.package_find_links,
            allow_source_distributions=settings.allow_source_distributions,
            allow_gpu_packages=settings.allow_gpu_packages,
        ),
        isolation=settings.isolation,
        die_with_parent=dies_with_server,
    )


def _rules(settings: Settings) -> Rules:
    return Rules(
        region=settings.region,
        is_strict=settings.strict_modelarts,
        is_arm_version=settings.arm_version,
        file_size_limit_bytes=settings.model_file_limit_bytes,
        scan_policy=_scan_policy(settings),
        build_timeout_seconds=settings.build_timeout_seconds,
        upload_expires_seconds=settings.upload_expires_seconds,
        prediction_timeout_seconds=settings.prediction_timeout_seconds,
        prediction_max_body_bytes=settings.prediction_max_body_bytes,
        deployment_timeout_seconds=settings.deployment_timeout_seconds,
        worker_operations=settings.worker_operations,
        operation_attempts=settings.operation_attempts,
        restore_days=settings.restore_days,
        log_days=settings.log_days,
        metric_days=settings.metric_days,
        unused_file_seconds=settings.unused_file_seconds,
        unused_environment_seconds=settings.unused_environment_seconds,
        runtime_map=_runtime_map(settings.runtime_map),
        trusted_keys=_trusted_keys(settings.signing_keys),
        signature_policy=settings.signature_policy,
        server_url=public_url(settings),
        edge_sync_seconds=settings.edge_sync_seconds,
        edge_node_lost_seconds=settings.edge_node_lost_seconds,
        shared_pool_cpu_count=settings.shared_pool_cpu_count,
        shared_pool_memory_bytes=settings.shared_pool_memory_bytes,
    )


def _trusted_keys(folder: Path | None) -> TrustedKeys:
    if folder is None:
        return TrustedKeys()
    try:
        return read_trusted_keys(folder)
    except ValueError as error:
        raise StartFailure(f"MODELYARD_SIGNING_KEYS is not valid: {error}") from error


def _scan_policy(settings: Settings) -> ScanPolicy:
    choices = (settings.suspicious_pickles, settings.unknown_pickles, settings.unscanned_files)
    return ScanPolicy(*(ScanAction(choice.upper()) for choice in choices))


def _runtime_map(items: Sequence[str]) -> Mapping[str, str]:
    asked_to_given = dict(item.split("=") for item in items)
    errors = map_errors(asked_to_given)
    if errors:
        raise StartFailure(f"MODELYARD_RUNTIME_MAP is not valid: {' '.join(errors)}")
    return asked_to_given
