"""Connects to an instance's Unix socket, and to nothing else."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat


async def connect(path: str) -> socket.socket:
    """A connected, non-blocking socket. Raises OSError, also where what lies at the path itself is no socket.

    Package code owns the folder: through a symbolic link there it could have us speak, with our rights, to any other
    socket of the host. Looking first and connecting then would leave it the time between the two.
    """
    place = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        _refuse_unless_socket(place)
        await asyncio.get_running_loop().sock_connect(connection, f"/proc/self/fd/{place}")
    except BaseException:
        connection.close()
        raise
    finally:
        os.close(place)
    return connection


def _refuse_unless_socket(place: int) -> None:
    if not stat.S_ISSOCK(os.fstat(place).st_mode):
        raise OSError(errno.ENOTSOCK, os.strerror(errno.ENOTSOCK))
