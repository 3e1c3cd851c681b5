"""Predictions whose path names a version, of a service with real instances."""

from tests.api import Api
from tests.services import ECHO, import_version, package, running, target

MODEL_VERSION = "query ($of: ModelVersionName!) { modelVersion(by: {name: $of}) { id } }"


async def test_a_prediction_passes_to_the_version_that_is_named(api: Api) -> None:
    versions = [await import_version(api, package(ECHO)) for _ in range(2)]
    service = await running(api, "iris", target(versions[0], weight=90), target(versions[1], weight=10))
    for version in versions:
        found = await api.ask(MODEL_VERSION, of={"modelName": "iris", "version": version})
        for _ in range(5):
            answer = await api.http.post(f"{service['predictionUrl']}/v2/models/iris/versions/{version}/infer", json={})
            assert answer.headers["x-modelyard-model-version"] == found["modelVersion"]["id"]
