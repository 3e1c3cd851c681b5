"""A version from the market runs as any other: from the shared bytes, in its subscriber's workspace alone."""

from pathlib import Path
from typing import Any

import pytest

from tests.api import Api, RunningServer, wait_for
from tests.services import act, ask, import_version, is_gone, running, target
from tests.trained_model import IRIS_ANSWER, IRIS_QUESTION, train_iris

CODE = "inferenceCode { path location { key } url } services { totalCount }"


async def subscription_of(publisher: Api, subscriber: Api) -> str:
    """To the version 0.0.1 of the publisher's model `iris`."""
    name = {"modelName": "iris", "version": "0.0.1"}
    published = await publisher.mutate("publishModelVersion", "marketListing { id }", modelVersion=name)
    listing = published["marketListing"]["id"]
    subscribed = await subscriber.mutate("subscribeToListing", "marketSubscription { id }", listingId=listing)
    assert subscribed["errors"] == []
    identifier: str = subscribed["marketSubscription"]["id"]
    return identifier


async def users(api: Api, subscription: str) -> list[dict[str, Any]]:
    """Who an end of the subscription is refused for."""
    document = """mutation ($input: UnsubscribeFromListingInput!) { unsubscribeFromListing(input: $input) {
        errors { code path ... on InUseError { users { kind name version } } } } }"""
    (error,) = (await api.ask(document, input={"subscriptionId": subscription}))["unsubscribeFromListing"]["errors"]
    assert (error["code"], error["path"]) == ("IN_USE", ["subscriptionId"])
    found: list[dict[str, Any]] = error["users"]
    return found


@pytest.mark.slow
async def test_a_subscribed_version_answers_predictions_and_is_kept_while_it_runs(
    server: RunningServer, tmp_path: Path
) -> None:
    publisher = await server.client_of_new_workspace("makers")
    subscriber = await server.client_of_new_workspace("takers")
    await import_version(publisher, train_iris(tmp_path))
    subscription = await subscription_of(publisher, subscriber)

    service = await running(subscriber, "flowers", target("0.0.1"))
    assert await ask(subscriber, service, IRIS_QUESTION) == IRIS_ANSWER
    own = await subscriber.version("iris", "0.0.1", CODE)
    assert (own["inferenceCode"]["path"], own["inferenceCode"]["location"]) == ("customize_service.py", None)
    assert (await subscriber.http.get(own["inferenceCode"]["url"])).status_code == 200
    assert own["services"]["totalCount"] == 1
    assert (await publisher.version("iris", "0.0.1", CODE))["services"]["totalCount"] == 0
    assert (await publisher.http.post(service["predictionUrl"], json=IRIS_QUESTION)).status_code == 404

    before = await subscriber.counts()
    assert await users(subscriber, subscription) == [{"kind": "SERVICE", "name": "flowers", "version": "0.0.1"}]
    assert await subscriber.counts() == before
    assert await ask(subscriber, service, IRIS_QUESTION) == IRIS_ANSWER
    await act(subscriber, "deleteService", "flowers")
    await wait_for(lambda: is_gone(subscriber, "flowers"))
    payload = await subscriber.mutate(
        "unsubscribeFromListing", "marketSubscription { endedAt }", subscriptionId=subscription
    )
    assert payload["errors"] == []
    assert await subscriber.version("iris", "0.0.1", "id") is None
    assert (await publisher.version("iris", "0.0.1", "status"))["status"] == "NORMAL"
