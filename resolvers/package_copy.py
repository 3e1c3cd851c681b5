"""Copying a package into the installation's blobs: every file once, fingerprinted and scanned."""

import asyncio
import io
from collections.abc import Sequence

from asyncpg import Record

from artifacts.blob import Blob, blob_key
from artifacts.digest import manifest_digest
from artifacts.fan_out import for_each
from artifacts.model_signature import Provenance, judge_signature
from artifacts.object_store import ObjectChanged, ObjectNotFound, ObjectStore
from artifacts.pickle_scan import FileScan, ScanState
from artifacts.problem import Problem
from db import model_version
from resolvers import source_change
from resolvers.blob_reservation import BlobReservations
from resolvers.finding_limit import first_findings
from resolvers.model_provenance import find_provenance, replaced_config, stored_provenance
from resolvers.operation_attempt import Attempt, ImportFailed, refused, stored_problem
from resolvers.package_inspection import Package
from resolvers.package_source import SourceFile, judge, read_file, scan_object
from resolvers.progress import Progress
from resolvers.scan_policy import ScanPolicy, scan_policy
from resolvers.scan_report import scan_report

# Small files wait for disks, stores and the database; of large ones each takes some chunks of memory.
FILES_AT_ONCE = 8
LARGE_FILES_AT_ONCE = 2
# What is no larger is read whole: its bytes are then in hand when it is looked whether they are stored, and scanned.
SMALL_BYTES = 1 << 20
BATCH_SECONDS = 0.5
BATCH_FILES = 500


async def copy_package(
    attempt: Attempt, version: Record, store: ObjectStore, package: Package
) -> list[model_version.StoredFile]:
    """Stream every file once into the blobs, under its digest. What an earlier attempt copied is kept.

    Raises ImportFailed where the package is written to meanwhile, and StoreError.
    """
    assert package.key is not None
    rows = await model_version.all_files(attempt.installation.pool, version["workspace_id"], version["id"])
    files = await _Copying(attempt, version, store, package.files, rows).run()
    await source_change.refuse_changes(store, package.key, {file.info.key: file.info for file in package.files})
    return files


class _Copying:
    """The files of one package on their way into the blobs, and their rows into the database."""

    def __init__(
        self,
        attempt: Attempt,
        version: Record,
        store: ObjectStore,
        files: Sequence[SourceFile],
        rows: Sequence[Record],
    ) -> None:
        self._blobs = attempt.installation.blobs
        self._scans = attempt.installation.scans
        self._store = store
        self._files = files
        self._earlier = {(row["path"], row["size_bytes"], row["source_etag"]): row for row in rows}
        self._progress = Progress(attempt, "COPYING", sum(file.info.size_bytes for file in files))
        self._reservations = BlobReservations(attempt.installation.pool)
        self._rows = _FileRows(attempt, version)
        self._large = asyncio.Semaphore(LARGE_FILES_AT_ONCE)
        self._copied: dict[str, model_version.StoredFile] = {}

    async def run(self) -> list[model_version.StoredFile]:
        try:
            async with asyncio.TaskGroup() as group:
                ticking = [
                    group.create_task(self._progress.keep_telling()),
                    group.create_task(self._rows.keep_flushing()),
                ]
                await for_each(self._files, self._bring, at_once=FILES_AT_ONCE)
                for task in ticking:
                    task.cancel()
        except ExceptionGroup as failures:
            # What was copied before need not be copied again.
            await self._rows.flush()
            raise failures.exceptions[0] from failures
        await self._rows.flush()
        return [self._copied[file.path] for file in self._files]

    async def _bring(self, file: SourceFile) -> None:
        row = self._earlier.get((file.path, file.info.size_bytes, file.info.etag))
        if row is not None and await self._blobs.exists(row["sha256"].hex()):
            self._progress.add(file.info.size_bytes)
            self._copied[file.path] = _kept_file(row)
            return
        try:
            stored = await self._copy(file)
        except (ObjectChanged, ObjectNotFound) as failure:
            if failure.key != file.info.key:
                raise
            after = await self._store.head(file.info.key)
            raise source_change.source_changed(source_change.change(file.path, file.info, after)) from failure
        self._copied[file.path] = stored
        await self._rows.add(stored)

    async def _copy(self, file: SourceFile) -> model_version.StoredFile:
        if file.info.size_bytes <= SMALL_BYTES:
            blob, scan = await self._copy_small(file)
        else:
            async with self._large:
                blob, scan = await self._copy_large(file)
        return model_version.StoredFile(
            file.path,
            blob.size_bytes,
            bytes.fromhex(blob.sha256),
            file.info.etag,
            scan.state,
            scan.globals,
            scan.reason,
        )

    async def _copy_small(self, file: SourceFile) -> tuple[Blob, FileScan]:
        data = await read_file(self._store, file.info, limit_bytes=SMALL_BYTES)
        blob = await self._blobs.keep(data, reserve=self._reservations.reserve)
        self._progress.add(len(data))
        return blob, await self._scans.scan(io.BytesIO(data), file.path, len(data))

    async def _copy_large(self, file: SourceFile) -> tuple[Blob, FileScan]:
        blob = await self._blobs.ingest(
            self._store,
            file.info.key,
            etag=file.info.etag,
            on_progress=self._progress.of_file(),
            reserve=self._reservations.reserve,
        )
        scan = await scan_object(self._scans, self._blobs.store, blob_key(blob.sha256), file.path, blob.size_bytes)
        return blob, scan


def _kept_file(row: Record) -> model_version.StoredFile:
    return model_version.StoredFile(
        row["path"],
        row["size_bytes"],
        row["sha256"],
        row["source_etag"],
        row["scan_state"],
        row["scan_globals"],
        row["scan_reason"],
    )


class _FileRows:
    """Rows of copied files, stored many at a time and none much later than its file was copied."""

    def __init__(self, attempt: Attempt, version: Record) -> None:
        self._attempt = attempt
        self._version = version
        self._waiting: list[model_version.StoredFile] = []
        self._turn = asyncio.Lock()

    async def add(self, file: model_version.StoredFile) -> None:
        self._waiting.append(file)
        if len(self._waiting) >= BATCH_FILES:
            await self.flush()

    async def keep_flushing(self) -> None:
        """Store what there is every moment, until cancelled."""
        while True:
            await asyncio.sleep(BATCH_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Raises Superseded."""
        async with self._turn:
            batch, self._waiting = self._waiting, []
            if not batch:
                return
            try:
                await self._store(batch)
            except BaseException:
                # Also where this is cancelled as the last file is copied: the flush after that has them then.
                self._waiting = batch + self._waiting
                raise

    async def _store(self, batch: Sequence[model_version.StoredFile]) -> None:
        version = self._version
        async with self._attempt.transaction() as unit:
            await self._attempt.hold(unit)
            await model_version.store_files(unit.connection, version["workspace_id"], version["id"], batch)


async def keep_copy(
    attempt: Attempt,
    version: Record,
    files: Sequence[model_version.StoredFile],
    warnings: list[dict[str, object]],
) -> None:
    """Refuse what the scan found, or make the copy the version's; an image has none.

    Raises ImportFailed and Superseded.
    """
    installation = attempt.installation
    policy = await scan_policy(installation, installation.pool, version["workspace_id"])
    provenance = await find_provenance(installation, files)
    if files:
        await _note_findings(attempt, version, files, provenance)
    problems, doubts = judge_signature(provenance, installation.rules.signature_policy)
    doubts += replaced_config(version, provenance.state if provenance else None)
    warned = _judged(files, policy, problems, doubts)
    digest = manifest_digest([(file.path, file.sha256.hex()) for file in files]) if files else None
    async with attempt.transaction() as unit:
        await attempt.hold(unit)
        await model_version.keep_files(
            unit.connection, version["workspace_id"], version["id"], [file.path for file in files]
        )
        await model_version.store(
            unit.connection,
            version["workspace_id"],
            version["id"],
            size_bytes=sum(file.size_bytes for file in files) if files else None,
            digest=bytes.fromhex(digest) if digest else None,
            warnings=first_findings(warnings + [stored_problem(warning) for warning in warned]),
        )
        unit.record("MODEL_VERSION_COPIED", version["id"], digest=digest, files=len(files))


async def _note_findings(
    attempt: Attempt, version: Record, files: Sequence[model_version.StoredFile], provenance: Provenance | None
) -> None:
    """Write down what scans and signature say, of a package that is refused for it too."""
    report = scan_report([ScanState(file.scan_state) for file in files])
    async with attempt.transaction() as unit:
        await attempt.hold(unit)
        await model_version.set_findings(
            unit.connection,
            version["workspace_id"],
            version["id"],
            scan=report,
            provenance=stored_provenance(provenance),
        )


def _judged(
    files: Sequence[model_version.StoredFile],
    policy: ScanPolicy,
    problems: list[Problem],
    warnings: list[Problem],
) -> list[Problem]:
    """The warnings with those that follow from the scans. Raises ImportFailed where anything refuses the package."""
    for file in files:
        scan = FileScan(ScanState(file.scan_state), tuple(file.scan_globals), file.scan_reason)
        found, doubtful = judge(file.path, scan, policy)
        problems += found
        warnings += doubtful
    if problems:
        failure = refused(problems, warnings)
        raise ImportFailed(failure.status, first_findings(failure.problems), first_findings(failure.warnings))
    return warnings
