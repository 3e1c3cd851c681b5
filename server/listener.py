"""The address that a server listens on, taken before anything else is started."""

import ipaddress
import socket

from server.failure import StartFailure
from server.settings import Settings

BACKLOG = 2048
# Of a token that others than this machine could try to guess.
SHORTEST_TOKEN = 16


def open_listener(host: str, port: int) -> socket.socket:
    """A listening socket, for uvicorn's `sockets`; port 0 takes a free one. Raises StartFailure."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except OSError as error:
        raise StartFailure(f"MODELYARD_HOST {host} is no address of this machine: {error.strerror}.") from error
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise StartFailure(
            f"Cannot listen on {host} port {port}: {error.strerror} (MODELYARD_PORT sets it)."
        ) from error
    return listener


def check_address(settings: Settings) -> None:
    """Refuse what cannot or must not be listened on. Raises StartFailure."""
    token = settings.token.get_secret_value() if settings.token else ""
    if len(token) < SHORTEST_TOKEN and not is_loopback(settings.host):
        raise StartFailure(
            f"Listening on {settings.host} would let others in: set MODELYARD_TOKEN to {SHORTEST_TOKEN} characters "
            "or more first."
        )
    if settings.explain and not is_loopback(settings.host):
        raise StartFailure(f"Listening on {settings.host} would show statements to others: unset MODELYARD_EXPLAIN.")
    open_listener(settings.host, settings.port).close()


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
