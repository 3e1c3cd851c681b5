"""What the agent is started with. Server and token are kept in the data directory for later starts."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.kept_file import read_json, write_json

TOKEN_VARIABLE = "MODELYARD_EDGE_TOKEN"
SETTINGS = "settings.json"
DEFAULT_DATA = "modelyard-edge"
PORT_BASE = 8500
LAST_PORT = 65_535
ISOLATIONS = ("auto", "bubblewrap", "user", "none")


@dataclass(frozen=True, slots=True)
class Options:
    """`server` and `token` are empty where neither this start nor an earlier one named them."""

    server: str
    token: str
    data: Path
    host: str
    port_base: int
    isolation: str


def read_options(arguments: Sequence[str]) -> Options:
    """Ends the program, with a line on standard error, where they cannot be used."""
    parser = _parser()
    given = parser.parse_args(arguments)
    data = Path(given.data).absolute()
    kept = read_json(data / SETTINGS)
    server = str(given.server or kept.get("server") or "").rstrip("/")
    token = str(given.token or os.environ.get(TOKEN_VARIABLE) or kept.get("token") or "")
    if not server.startswith(("http://", "https://")):
        parser.error("--server is the address of a Modelyard server, such as https://models.example.com")
    if not token or not token.isascii() or not token.isprintable():
        parser.error(f"--token (or {TOKEN_VARIABLE}) is the token that registerEdgeNode showed")
    if not 1 <= given.port_base <= LAST_PORT:
        parser.error(f"--port-base is 1 to {LAST_PORT}")
    return Options(server, token, data, given.host, given.port_base, given.isolation)


def keep(options: Options) -> None:
    """Have later starts need neither --server nor --token."""
    settings = {"server": options.server, "token": options.token}
    # Only what differs: a full disk keeps no agent from starting again.
    if read_json(options.data / SETTINGS) != settings:
        write_json(options.data / SETTINGS, settings)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="modelyard-edge-agent", description="Runs a Modelyard server's edge services on this machine."
    )
    parser.add_argument("--server", metavar="URL", help="the server's address; kept after the first start")
    parser.add_argument(
        "--token",
        help=f"this node's token, once; kept after the first start. {TOKEN_VARIABLE} keeps it out of the process list",
    )
    parser.add_argument(
        "--data", metavar="DIR", default=DEFAULT_DATA, help=f"folder of everything that it keeps ({DEFAULT_DATA})"
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address on which services listen (127.0.0.1: this machine alone)"
    )
    parser.add_argument(
        "--port-base", metavar="N", type=int, default=PORT_BASE, help=f"first port for services ({PORT_BASE})"
    )
    parser.add_argument(
        "--isolation", choices=ISOLATIONS, default="auto", help="how package code is kept apart (auto: the strongest)"
    )
    return parser
