"""Where an instance listens, and how a connection to it is opened."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from engines.instance_connection import InstanceConnection
from engines.instance_socket import connect

HTTPS_PORT, HTTP_PORT = 443, 80
SOCKET_SCHEME = "unix:"


@dataclass(frozen=True, slots=True)
class InstanceAddress:
    """The value of the Host header, what goes before each path, and how to connect (which raises OSError)."""

    host: bytes
    prefix: str
    open: Callable[[], Awaitable[InstanceConnection]]


def address_of(address: str) -> InstanceAddress:
    """Of `unix:/path/of/socket` or `http://host:port/prefix`."""
    if address.startswith(SOCKET_SCHEME):
        path = address.removeprefix(SOCKET_SCHEME)

        async def open_socket() -> InstanceConnection:
            loop = asyncio.get_running_loop()
            return (await loop.create_unix_connection(InstanceConnection, sock=await connect(path)))[1]

        return InstanceAddress(b"instance", "", open_socket)
    parts = urlsplit(address)
    is_secure = parts.scheme == "https"
    port = parts.port or (HTTPS_PORT if is_secure else HTTP_PORT)

    async def open_stream() -> InstanceConnection:
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(InstanceConnection, parts.hostname or "", port, ssl=is_secure or None))[1]

    return InstanceAddress(parts.netloc.encode(), parts.path.rstrip("/"), open_stream)
