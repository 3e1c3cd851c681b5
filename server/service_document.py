"""The OpenAPI documents of services, as the gateway answers them."""

from __future__ import annotations

import orjson

from server.declared_api import DeclaredApis
from server.openapi import declares_document, document_of
from server.route import Route


class ServiceDocuments:
    """`predictions_url` is the address below which services are asked, without a slash at its end."""

    def __init__(self, apis: DeclaredApis, *, predictions_url: str) -> None:
        self._apis = apis
        self._predictions_url = predictions_url

    async def of(self, route: Route) -> bytes | None:
        """The document of the versions that the service runs; None where a model has its own. Raises what the source
        of the apis raises."""
        versions = [await self._apis.of(route.workspace_id, target.model_version_id) for target in route.targets]
        if declares_document(versions):
            return None
        url = f"{self._predictions_url}/{route.service_id}"
        document = document_of(route.name or route.service_id, url, versions, is_public=route.policy.is_public)
        return orjson.dumps(document)
