"""What the address of an instance says, `unix:/path/of/socket` or `http://host:port/prefix`."""

# An idle connection is used again for less time than instances keep it open, or a request would meet one that is going
# away: the runtime closes it after 75 s, a server of somebody else's perhaps after 5 s.
KEEPALIVE_SECONDS = 2.0
_UNIX_SCHEME = "unix:"


def socket_path(address: str) -> str | None:
    """The path of the Unix socket, where the address is one."""
    return address.removeprefix(_UNIX_SCHEME) if address.startswith(_UNIX_SCHEME) else None
