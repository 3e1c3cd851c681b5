"""Opens aiohttp's connections to an instance at its address."""

from __future__ import annotations

from aiohttp import BaseConnector, ClientRequest, ClientTimeout, TCPConnector, UnixConnector
from aiohttp.client_exceptions import UnixClientConnectorError
from aiohttp.client_proto import ResponseHandler
from aiohttp.tracing import Trace

from engines.instance_address import KEEPALIVE_SECONDS, socket_path
from engines.instance_socket import connect


class InstanceConnector(UnixConnector):
    """Connects only to a socket that lies at the path itself."""

    async def _create_connection(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: ClientTimeout,  # noqa: ASYNC109 - aiohttp's own signature
    ) -> ResponseHandler:
        try:
            connection = await connect(self.path)
            _, protocol = await self._loop.create_unix_connection(self._factory, sock=connection)
        except OSError as error:
            raise UnixClientConnectorError(self.path, req.connection_key, error) from error
        return protocol


def connector_for(address: str, *, connections: int) -> tuple[str, BaseConnector]:
    """How to reach an instance, and the base of the URLs to ask it by. At most `connections` are open at once."""
    path = socket_path(address)
    if path is not None:
        return "http://instance", InstanceConnector(path, limit=connections, keepalive_timeout=KEEPALIVE_SECONDS)
    return address.rstrip("/"), TCPConnector(limit=connections, keepalive_timeout=KEEPALIVE_SECONDS)
