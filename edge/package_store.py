"""The packages of versions on this node: fetched once, each file by size and digest the one that was imported."""

import asyncio
import hashlib
import shutil
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import ParamSpec

from edge.kept_file import read_json, write_json
from edge.server_link import RemoteFile, ServerLink

LIST = "files.json"
PACKAGE = "package"
ARRIVING = "arriving"
Written = ParamSpec("Written")


class ArtifactDrift(Exception):
    """A file that was fetched is not the one that was imported."""


@dataclass(frozen=True, slots=True)
class PackageStore:
    """A folder for each version: its list of files, the package, and what of it is still arriving."""

    folder: Path
    link: ServerLink
    laying_out: dict[str, asyncio.Lock] = field(default_factory=dict)

    async def lay_out(self, version_id: str) -> Path:
        """The folder with a version's files, every one of them verified now.

        Raises ArtifactDrift, OSError, and ServerUnreachable and TokenRefused where something has to be fetched.
        """
        place = self.folder / version_id
        # Two services of one version wait for the same files, and who comes second finds them there.
        async with self.laying_out.setdefault(version_id, asyncio.Lock()):
            kept = await asyncio.to_thread(_kept_list, place)
            if kept is None or not await asyncio.to_thread(_is_whole, kept, place / PACKAGE):
                files = await self.link.files(version_id)
                await _to_its_end(_keep_list, place, files)
                await self._fetch(await asyncio.to_thread(_missing, files, place / PACKAGE), place)
        return place / PACKAGE

    def forget_others(self, needed: Collection[str]) -> None:
        """Remove the packages of versions that are not among those needed."""
        if not self.folder.is_dir():
            return
        for place in self.folder.iterdir():
            if place.name not in needed:
                shutil.rmtree(place, ignore_errors=True)

    async def _fetch(self, files: Sequence[RemoteFile], place: Path) -> None:
        for file in files:
            arriving = place / ARRIVING / file.sha256
            arriving.parent.mkdir(parents=True, exist_ok=True)
            await self.link.download(file, arriving)
            await _to_its_end(_put_in_place, file, arriving, place / PACKAGE / _safe(file.path))


async def _to_its_end(write: Callable[Written, None], *args: Written.args, **kwargs: Written.kwargs) -> None:
    """In a thread, which goes on where its caller is cancelled: nobody else may be let at what it writes before."""
    writing = asyncio.create_task(asyncio.to_thread(write, *args, **kwargs))
    try:
        await asyncio.shield(writing)
    finally:
        while not writing.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait({writing})


def _put_in_place(file: RemoteFile, arriving: Path, target: Path) -> None:
    if not _is_the_file(file, arriving):
        arriving.unlink(missing_ok=True)
        raise ArtifactDrift(
            f"ARTIFACT_DRIFT: {file.path} is not the file that was imported: "
            f"its size or its SHA-256 is another than {file.size_bytes} bytes, {file.sha256}."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    arriving.replace(target)


def _is_whole(files: Sequence[RemoteFile], package: Path) -> bool:
    return not _missing(files, package)


def _missing(files: Sequence[RemoteFile], package: Path) -> list[RemoteFile]:
    package.mkdir(parents=True, exist_ok=True)
    return [file for file in files if not _is_the_file(file, package / _safe(file.path))]


def _is_the_file(file: RemoteFile, path: Path) -> bool:
    if not path.is_file() or path.stat().st_size != file.size_bytes:
        return False
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest() == file.sha256


def _safe(path: str) -> PurePosixPath:
    """Raises ArtifactDrift for a path that leads out of its folder."""
    pure = PurePosixPath(path)
    if not path or pure.is_absolute() or ".." in pure.parts or "\0" in path:
        raise ArtifactDrift(f"ARTIFACT_DRIFT: {path!r} is no path inside a package.")
    return pure


def _keep_list(place: Path, files: Sequence[RemoteFile]) -> None:
    listed = [{"path": file.path, "size_bytes": file.size_bytes, "sha256": file.sha256} for file in files]
    write_json(place / LIST, {"files": listed})


def _kept_list(place: Path) -> list[RemoteFile] | None:
    kept = read_json(place / LIST)
    if not kept:
        return None
    return [RemoteFile(file["path"], file["size_bytes"], file["sha256"], "") for file in kept["files"]]
