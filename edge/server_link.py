"""Speaks with the server: reports, asks, and fetches files; with the standard library alone, in threads."""

import asyncio
import fcntl
import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ANSWER_SECONDS = 30.0
# How long a download may stand still.
IDLE_SECONDS = 60.0
CHUNK_BYTES = 1024 * 1024
LARGEST_ANSWER_BYTES = 64 * 1024 * 1024
FAILURES = (OSError, http.client.HTTPException, ValueError, KeyError, TypeError)


class ServerUnreachable(Exception):
    """The server did not answer, or not as it should; the message says how."""


class TokenRefused(Exception):
    """The server does not know this node's token, or no longer."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a version: `sha256` in hexadecimal, `url` good for a while."""

    path: str
    size_bytes: int
    sha256: str
    url: str


@dataclass(frozen=True, slots=True)
class ServerLink:
    server: str
    token: str

    async def sync(self, report: Mapping[str, object]) -> Mapping[str, Any]:
        """Tell how things are; the answer says how they are to be. Raises ServerUnreachable and TokenRefused."""
        return await asyncio.to_thread(self._ask, "/edge/v1/sync", json.dumps(report).encode())

    async def files(self, version_id: str) -> Sequence[RemoteFile]:
        """The files of a version that this node is to run. Raises ServerUnreachable and TokenRefused."""
        answer = await asyncio.to_thread(self._ask, f"/edge/v1/versions/{version_id}/files", None)
        try:
            return [
                RemoteFile(str(file["path"]), int(file["size_bytes"]), str(file["sha256"]), str(file["url"]))
                for file in answer["files"]
            ]
        except FAILURES as error:
            raise ServerUnreachable(f"{self.server} gave no list of files: {error!r}.") from error

    async def download(self, file: RemoteFile, place: Path) -> None:
        """Append to `place` what it lacks of a file. Raises ServerUnreachable and OSError."""
        await asyncio.to_thread(_download, file, place)

    def _ask(self, path: str, body: bytes | None) -> Mapping[str, Any]:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.server}{path}", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as response:
                answer = json.loads(response.read(LARGEST_ANSWER_BYTES))
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(self.server, error) from error
        except FAILURES as error:
            raise ServerUnreachable(f"{self.server} cannot be reached: {_reason(error)}.") from error
        if not isinstance(answer, dict):
            raise ServerUnreachable(f"{self.server} is no Modelyard server.")
        return answer


def _download(file: RemoteFile, place: Path) -> None:
    with place.open("ab") as target:
        # Who began it before and no longer waits for it may be at it still.
        fcntl.flock(target, fcntl.LOCK_EX)
        if target.seek(0, os.SEEK_END) > file.size_bytes:
            target.truncate(0)
        start = target.tell()
        if start == file.size_bytes:
            return
        request = urllib.request.Request(file.url, headers={"Range": f"bytes={start}-"} if start else {})
        try:
            response = urllib.request.urlopen(request, timeout=IDLE_SECONDS)
        except urllib.error.HTTPError as error:
            with error:
                raise ServerUnreachable(f"{file.path} was not given out: HTTP {error.code}.") from error
        except FAILURES as error:
            raise ServerUnreachable(f"{file.path} could not be fetched: {_reason(error)}.") from error
        with response:
            if start and response.status != http.client.PARTIAL_CONTENT:
                target.truncate(0)
            while chunk := _read(response, file):
                # One byte too many is enough to know that it is another file.
                target.write(chunk)
                if target.tell() > file.size_bytes:
                    return


def _read(response: http.client.HTTPResponse, file: RemoteFile) -> bytes:
    try:
        return response.read(CHUNK_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise ServerUnreachable(f"{file.path} could not be fetched whole: {_reason(error)}.") from error


def _refusal(server: str, error: urllib.error.HTTPError) -> Exception:
    if error.code == http.client.UNAUTHORIZED:
        return TokenRefused(f"{server} does not accept this node's token.")
    try:
        told = str(json.loads(error.read(10_000))["message"])
    except FAILURES:
        told = str(error.reason)
    return ServerUnreachable(f"{server} answered HTTP {error.code}: {told}")


def _reason(error: Exception) -> str:
    return str(error.reason if isinstance(error, urllib.error.URLError) else error) or repr(error)
