"""Predictions before everything else: they are most of the requests, and routing costs a tenth of one."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from server.gateway import Gateway

PREDICTIONS_PATH = "/v1/infers"


class PredictionFront:
    """The gateway at its path, and another application at all others.

    That one has the gateway too, for the forms of the path that are not the usual one.
    """

    def __init__(self, gateway: Gateway, rest: ASGIApp) -> None:
        self._gateway = gateway
        self._rest = rest
        self._prefix = f"{PREDICTIONS_PATH}/".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope.get("root_path") and scope["raw_path"].startswith(self._prefix):
            # As a mount leaves it.
            scope["root_path"] = PREDICTIONS_PATH
            await self._gateway(scope, receive, send)
        else:
            await self._rest(scope, receive, send)
