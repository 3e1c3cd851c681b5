"""The gateway, as the `predict` mutation asks it."""

from uuid import UUID

import orjson

from gql.identifier import Prefix, decode, encode
from resolvers.prediction import Answer
from server.gateway import Gateway
from server.prediction_header import VERSION_HEADER
from server.prediction_refusal import PredictionRefused


class GatewayPredictor:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def predict(self, service_id: UUID, workspace_id: UUID, path: str, body: bytes, content_type: str) -> Answer:
        try:
            prediction = await self._gateway.predict(
                encode(Prefix.SERVICE, service_id),
                workspace_id=workspace_id,
                body=body,
                path=path,
                content_type=content_type,
            )
        except PredictionRefused as refusal:
            told = {"message": str(refusal), "problems": refusal.problems}
            return Answer(refusal.status, "application/json", orjson.dumps(told), None)
        headers = dict(prediction.headers)
        version = headers.get(VERSION_HEADER.decode())
        return Answer(
            prediction.status,
            headers.get("content-type", ""),
            prediction.body,
            decode(Prefix.MODEL_VERSION, version) if version else None,
        )
