"""The market: publishing, subscribing, giving back; what others see of it, and what they never see."""

import asyncio
from typing import Any

import pytest

from tests.api import Api, RunningServer, wait_for
from tests.packages import (
    MXNET,
    blobs,
    files_of,
    foreign_pickle,
    import_package,
    mxnet_package,
    shell_pickle,
    upload_job,
    without,
)

LISTING = """id publisher title description modelName version aiEngine algorithm runtime labels documents { name url }
    deploymentTypes apis { url method inputs { name } } dependencies { package } metrics { f1 } sizeBytes digest isOwn
    scan { state cleanCount } provenance { state } subscription { id } modelVersion { id }"""
SUBSCRIPTION = """id publisher publishedModelName version endedAt listing { id } model { name }
    modelVersion { id modelName version }"""
VERSION = """id status origin isPublishable config digest sizeBytes aiEngine runtime marketListing { id }
    source { __typename ... on MarketSource { subscription { id publisher } } }
    auditEvents(first: 50) { nodes { kind data } }"""


@pytest.fixture
async def publisher(server: RunningServer) -> Api:
    """Somebody whose model `net` has the version 0.0.1."""
    owner = await server.client_of_new_workspace("makers")
    await import_net(owner)
    return owner


@pytest.fixture
async def subscriber(server: RunningServer) -> Api:
    return await server.client_of_new_workspace("takers")


async def import_net(api: Api, **fields: Any) -> None:
    found = await import_package(api, mxnet_package(), job="training", algorithm=MXNET, name="net", **fields)
    assert found["status"] == "NORMAL", found


def named(version: str = "0.0.1", model: str = "net") -> dict[str, str]:
    return {"modelName": model, "version": version}


async def publish(api: Api, version: str = "0.0.1", **fields: Any) -> str:
    """The new listing's id."""
    payload = await api.mutate("publishModelVersion", "marketListing { id }", modelVersion=named(version), **fields)
    assert payload["errors"] == [], payload
    identifier: str = payload["marketListing"]["id"]
    return identifier


async def subscribe(api: Api, listing: str, **fields: Any) -> str:
    """The new subscription's id."""
    payload = await api.mutate("subscribeToListing", "marketSubscription { id }", listingId=listing, **fields)
    assert payload["errors"] == [], payload
    identifier: str = payload["marketSubscription"]["id"]
    return identifier


async def unsubscribe(api: Api, subscription: str) -> Any:
    payload = await api.mutate(
        "unsubscribeFromListing", f"marketSubscription {{ {SUBSCRIPTION} }}", subscriptionId=subscription
    )
    assert payload["errors"] == [], payload
    return payload["marketSubscription"]


async def unpublish(api: Api, version: str = "0.0.1") -> None:
    payload = await api.mutate(
        "unpublishModelVersion", "modelVersion { marketListing { id } }", modelVersion=named(version)
    )
    assert payload == {"modelVersion": {"marketListing": None}, "errors": []}


async def market(api: Api, arguments: str = "", selection: str = LISTING) -> list[dict[str, Any]]:
    """The listings that somebody sees."""
    nodes: list[dict[str, Any]] = (await api.ask(f"{{ marketListings{arguments} {{ nodes {{ {selection} }} }} }}"))[
        "marketListings"
    ]["nodes"]
    return nodes


async def refused_as(api: Api, code: str, name: str, /, **fields: Any) -> dict[str, Any]:
    """The one error of a mutation that must be refused and change nothing."""
    before = await stored(api)
    (error,) = await api.refused(name, **fields)
    assert error["code"] == code, error
    assert await stored(api) == before
    found: dict[str, Any] = error
    return found


async def stored(api: Api) -> Any:
    """All rows that the market is about, of all workspaces."""
    tables = ("model", "model_version", "model_file", "market_listing", "market_subscription", "event")
    return {
        table: [dict(row) for row in await api.pool.fetch(f"SELECT * FROM {table} t ORDER BY t::text")]
        for table in tables
    }


async def kinds(api: Api) -> list[str]:
    """What the market did to the workspace, the oldest first."""
    nodes = (await api.ask("{ auditEvents(first: 100) { nodes { kind } } }"))["auditEvents"]["nodes"]
    of_market = ("PUBLISHED", "SUBSCRIBED")
    return [node["kind"] for node in reversed(nodes) if any(word in node["kind"] for word in of_market)]


async def test_a_published_version_is_listed_for_all_workspaces(publisher: Api, subscriber: Api) -> None:
    own = await publisher.version("net", "0.0.1", "id digest sizeBytes isPublishable scan { state cleanCount }")
    assert own["isPublishable"] is True
    payload = await publisher.mutate(
        "publishModelVersion",
        f"marketListing {{ {LISTING} }} modelVersion {{ id isPublishable marketListing {{ id }} }}",
        modelVersion=named(),
        title="A network",
        description="Draws boxes.",
    )
    listing = payload["marketListing"]
    assert payload == {
        "marketListing": {
            "id": listing["id"],
            "publisher": "makers",
            "title": "A network",
            "description": "Draws boxes.",
            "modelName": "net",
            "version": "0.0.1",
            "aiEngine": "MXNET",
            "algorithm": "image_classification",
            "runtime": None,
            "labels": [],
            "documents": [],
            "deploymentTypes": listing["deploymentTypes"],
            "apis": [{"url": "/", "method": "POST", "inputs": [{"name": "data"}]}],
            "dependencies": [],
            "metrics": None,
            "sizeBytes": own["sizeBytes"],
            "digest": own["digest"],
            "scan": own["scan"],
            "provenance": None,
            "isOwn": True,
            "subscription": None,
            "modelVersion": {"id": own["id"]},
        },
        "modelVersion": {"id": own["id"], "isPublishable": False, "marketListing": {"id": listing["id"]}},
        "errors": [],
    }
    assert "REAL_TIME" in listing["deploymentTypes"]
    assert await market(publisher) == [listing]
    seen = {**listing, "isOwn": False, "modelVersion": None}
    assert await market(subscriber) == [seen]
    found = await subscriber.ask(
        f"query ($id: ID!) {{ marketListing(id: $id) {{ {LISTING} }} node(id: $id) {{ id }} }}", id=listing["id"]
    )
    assert found == {"marketListing": seen, "node": {"id": listing["id"]}}
    assert await kinds(publisher) == ["MODEL_VERSION_PUBLISHED"]
    assert await kinds(subscriber) == []


async def test_listings_are_filtered_and_ordered(publisher: Api, subscriber: Api) -> None:
    await import_net(publisher, labels=["second"])
    await import_package(publisher, mxnet_package(), job="training", algorithm=MXNET, name="another")
    for version in (named("0.0.1"), named("0.0.2"), named("0.0.1", "another")):
        assert (await publisher.mutate("publishModelVersion", "__typename", modelVersion=version))["errors"] == []

    async def seen(api: Api, arguments: str) -> list[str]:
        return [f"{each['modelName']} {each['version']}" for each in await market(api, arguments, "modelName version")]

    everything = ["another 0.0.1", "net 0.0.2", "net 0.0.1"]
    assert await seen(subscriber, "") == everything
    assert await seen(subscriber, "(orderBy: {field: PUBLISHED_AT})") == everything[::-1]
    assert await seen(subscriber, "(orderBy: {field: NAME, direction: DESC})") == [*everything[1:], everything[0]]
    assert await seen(subscriber, '(filter: {nameStartsWith: "ne"})') == everything[1:]
    assert await seen(subscriber, '(filter: {label: "second"})') == ["net 0.0.2"]
    assert await seen(subscriber, "(filter: {aiEngine: [MXNET]})") == everything
    assert await seen(subscriber, "(filter: {aiEngine: [PYTORCH]})") == []
    assert await seen(subscriber, '(filter: {publisher: "makers"})') == everything
    assert await seen(subscriber, '(filter: {publisher: "takers"})') == []
    assert await seen(subscriber, "(filter: {isOwn: true})") == []
    assert await seen(subscriber, "(filter: {isOwn: false})") == everything
    assert await seen(publisher, "(filter: {isOwn: true})") == everything
    assert await seen(publisher, "(filter: {isOwn: false})") == []


async def test_a_version_is_published_once_and_again_after_it_was_withdrawn(publisher: Api, subscriber: Api) -> None:
    listing = await publish(publisher, title="First", idempotencyKey="once")
    assert await publish(publisher, title="First", idempotencyKey="once") == listing
    error = await refused_as(publisher, "ALREADY_EXISTS", "publishModelVersion", modelVersion=named())
    assert (error["__typename"], error["path"]) == ("AlreadyExistsError", ["modelVersion"])

    await unpublish(publisher)
    assert await market(publisher) == []
    assert await market(subscriber) == []
    assert (await publisher.version("net", "0.0.1", "isPublishable"))["isPublishable"] is True
    await refused_as(publisher, "INVALID_STATE", "unpublishModelVersion", modelVersion=named())

    assert await publish(publisher, title="Second") == listing
    assert await market(subscriber, selection="id title") == [{"id": listing, "title": "Second"}]
    assert await kinds(publisher) == [f"MODEL_VERSION_{kind}" for kind in ("PUBLISHED", "UNPUBLISHED", "PUBLISHED")]


async def test_what_cannot_be_published_is_refused_with_all_that_is_wrong(publisher: Api, api: Api) -> None:
    no_config = without(mxnet_package(), "model/config.json")
    failed = await import_package(publisher, no_config, job="training", algorithm=MXNET, name="net")
    assert failed["status"] == "IMPORT_FAILED"
    before = await stored(api)
    errors = await publisher.refused(
        "publishModelVersion",
        modelVersion=named("0.0.2"),
        title="",
        description="x" * 1001,
        expectedRevision=failed["revision"] + 1,
    )
    assert [(error["code"], error["path"]) for error in errors] == [
        ("INVALID_INPUT", ["title"]),
        ("INVALID_INPUT", ["description"]),
        ("CONFLICT", ["expectedRevision"]),
        ("MODEL_VERSION_NOT_READY", ["modelVersion"]),
    ]
    for mutation in ("publishModelVersion", "unpublishModelVersion"):
        (error,) = await publisher.refused(mutation, modelVersion=named("0.0.9"))
        assert (error["code"], error["path"]) == ("NOT_FOUND", ["modelVersion", "version"])
        (error,) = await api.refused(mutation, modelVersion=named())
        assert (error["code"], error["path"]) == ("NOT_FOUND", ["modelVersion", "modelName"])
    assert await stored(api) == before


async def test_a_subscriber_has_a_version_of_its_own_with_the_same_bytes(
    server: RunningServer, publisher: Api, subscriber: Api
) -> None:
    listing = await publish(publisher)
    bytes_before = blobs(server.settings.data_dir)
    payload = await subscriber.mutate(
        "subscribeToListing", f"marketSubscription {{ {SUBSCRIPTION} }} modelVersion {{ id }}", listingId=listing
    )
    subscription, version_id = payload["marketSubscription"], payload["modelVersion"]["id"]
    assert subscription == {
        "id": subscription["id"],
        "publisher": "makers",
        "publishedModelName": "net",
        "version": "0.0.1",
        "endedAt": None,
        "listing": {"id": listing},
        "model": {"name": "net"},
        "modelVersion": {"id": version_id, "modelName": "net", "version": "0.0.1"},
    }
    own, theirs = [await api.version("net", "0.0.1", VERSION) for api in (subscriber, publisher)]
    copied = ("status", "config", "digest", "sizeBytes", "aiEngine", "runtime")
    assert {name: own[name] for name in copied} == {name: theirs[name] for name in copied}
    assert (own["origin"], own["isPublishable"], own["marketListing"]) == ("MARKET", False, None)
    expected = {"__typename": "MarketSource", "subscription": {"id": subscription["id"], "publisher": "makers"}}
    assert own["source"] == expected
    data = {"model": "net", "version": "0.0.1", "publisher": "makers"}
    assert own["auditEvents"]["nodes"] == [{"kind": "MARKET_SUBSCRIBED", "data": data}]
    assert own["id"] != theirs["id"]
    manifests = [
        [
            (file["path"], file["sizeBytes"], file["sha256"], file["scan"])
            for file in await files_of(api, "0.0.1", "net")
        ]
        for api in (subscriber, publisher)
    ]
    assert manifests[0] == manifests[1]
    assert len(manifests[0]) == len(mxnet_package())
    assert blobs(server.settings.data_dir) == bytes_before
    model = "{ models { nodes { name versionCount nextVersion marketSubscription { id } } } }"
    assert (await subscriber.ask(model))["models"]["nodes"] == [
        {"name": "net", "versionCount": 1, "nextVersion": None, "marketSubscription": {"id": subscription["id"]}}
    ]
    assert await market(subscriber, selection="subscription { id }") == [{"subscription": {"id": subscription["id"]}}]
    assert await market(publisher, selection="subscription { id }") == [{"subscription": None}]
    assert await kinds(publisher) == ["MODEL_VERSION_PUBLISHED"]


async def test_a_subscriber_reaches_nothing_of_the_publishers_but_the_listing(
    publisher: Api, subscriber: Api, api: Api
) -> None:
    theirs = await publisher.version("net", "0.0.1", "id model { id }")
    listing = await publish(publisher)
    await subscribe(subscriber, listing)
    ids = [theirs["id"], theirs["model"]["id"]]
    for stranger in (subscriber, api):
        found = await stranger.ask("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=ids)
        assert found == {"nodes": [None, None]}
    document = "query ($by: ModelVersionBy!) { modelVersion(by: $by) { id } }"
    assert await subscriber.ask(document, by={"id": theirs["id"]}) == {"modelVersion": None}
    shown = await subscriber.ask(
        "{ modelVersions { nodes { id config inferenceCode { location { key } } source { __typename } operation { id } "
        "build { state } createdBy auditEvents { nodes { kind actor } } } } }"
    )
    text = str(shown)
    for hidden in ("makers-token", "training", "outputs", theirs["id"].partition("_")[2]):
        assert hidden not in text, hidden
    kind = (await api.ask('{ __type(name: "MarketListing") { fields { name } } }'))["__type"]
    names = {field["name"] for field in kind["fields"]}
    assert not names & {"config", "source", "files", "inferenceCode", "createdBy", "publishedBy"}


async def test_one_of_many_concurrent_subscriptions_is_made(publisher: Api, subscriber: Api) -> None:
    listing = await publish(publisher)
    names = [None, None, None, None, "other", "other", "third", "third", "fourth", None]
    answers = await asyncio.gather(
        *(
            subscriber.mutate(
                "subscribeToListing",
                "marketSubscription { id }",
                listingId=listing,
                **({"modelName": name} if name else {}),
            )
            for name in names
        )
    )
    codes = [[error["code"] for error in answer["errors"]] for answer in answers]
    assert sorted(codes) == [[], *[["ALREADY_EXISTS"]] * 9]
    found = await subscriber.ask(
        "{ marketSubscriptions { totalCount } models { totalCount } modelVersions { totalCount } }"
    )
    assert found == {key: {"totalCount": 1} for key in ("marketSubscriptions", "models", "modelVersions")}


async def test_many_workspaces_subscribe_at_once(server: RunningServer, publisher: Api) -> None:
    listing = await publish(publisher)
    clients = [await server.client_of_new_workspace(f"takers-{number}") for number in range(6)]
    await asyncio.gather(*(subscribe(client, listing) for client in clients))
    for client in clients:
        assert len(await files_of(client, "0.0.1", "net")) == len(mxnet_package())


async def test_what_cannot_be_subscribed_to_is_refused(publisher: Api, subscriber: Api, api: Api) -> None:
    listing = await publish(publisher)
    name = "subscribeToListing"
    error = await refused_as(publisher, "OWN_LISTING", name, listingId=listing)
    assert "0.0.1 of net" in error["hint"]
    await refused_as(subscriber, "INVALID_INPUT", name, listingId=listing, modelName="not a name")
    await refused_as(subscriber, "NOT_FOUND", name, listingId=f"lst_{'0' * 32}")
    answer = await subscriber.send(
        "mutation ($input: SubscribeToListingInput!) { subscribeToListing(input: $input) { errors { code } } }",
        input={"listingId": "ver_1"},
    )
    assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    await import_net(subscriber)
    error = await refused_as(subscriber, "ALREADY_EXISTS", name, listingId=listing)
    assert (error["path"], error["hint"]) == (["modelName"], "Choose another name.")

    await subscribe(subscriber, listing, modelName="their-net", idempotencyKey="once")
    await subscribe(subscriber, listing, modelName="their-net", idempotencyKey="once")
    error = await refused_as(subscriber, "ALREADY_EXISTS", name, listingId=listing)
    assert (error["__typename"], error["path"]) == ("AlreadyExistsError", ["listingId"])
    await refused_as(subscriber, "ALREADY_EXISTS", name, listingId=listing, modelName="once-more")

    await unpublish(publisher)
    await refused_as(api, "NOT_FOUND", name, listingId=listing)


async def test_versions_of_one_published_model_share_a_model(publisher: Api, subscriber: Api) -> None:
    await import_net(publisher)
    newer, older = await publish(publisher, "0.0.2"), await publish(publisher, "0.0.1")
    for listing in (newer, older):
        await subscribe(subscriber, listing, modelName="mine")
    document = "{ models { nodes { name versionCount latestVersion { version } versions { nodes { version } } } } }"
    assert (await subscriber.ask(document))["models"]["nodes"] == [
        {
            "name": "mine",
            "versionCount": 2,
            "latestVersion": {"version": "0.0.2"},
            "versions": {"nodes": [{"version": "0.0.2"}, {"version": "0.0.1"}]},
        }
    ]


async def test_a_subscribed_model_is_its_publishers_to_change(publisher: Api, subscriber: Api) -> None:
    await subscribe(subscriber, await publish(publisher))
    version = await upload_job(subscriber, mxnet_package(), job="training", algorithm=MXNET)
    source = {"trainingJob": {"trainingJobName": "training", "versionName": version}}
    await refused_as(subscriber, "MODEL_SUBSCRIBED", "importModel", name="net", source=source)
    await refused_as(subscriber, "MODEL_SUBSCRIBED", "publishModelVersion", modelVersion=named())
    await refused_as(subscriber, "INVALID_STATE", "unpublishModelVersion", modelVersion=named())
    await refused_as(subscriber, "INVALID_STATE", "retryImport", modelVersion=named())
    await refused_as(subscriber, "MODEL_SUBSCRIBED", "deleteModelVersion", modelVersion=named())
    await refused_as(subscriber, "MODEL_SUBSCRIBED", "deleteModel", modelName="net")
    await refused_as(subscriber, "MODEL_SUBSCRIBED", "updateModelVersion", modelVersion=named(), description="mine")


async def test_a_subscriber_keeps_what_is_withdrawn_and_deleted(publisher: Api, subscriber: Api) -> None:
    subscription = await subscribe(subscriber, await publish(publisher))
    (error,) = await publisher.refused("deleteModelVersion", modelVersion=named())
    assert error["code"] == "IN_USE"
    await unpublish(publisher)
    assert (await publisher.mutate("deleteModelVersion", "__typename", modelVersion=named()))["errors"] == []
    document = f"query ($id: ID!) {{ node(id: $id) {{ ... on MarketSubscription {{ {SUBSCRIPTION} }} }} }}"
    kept = (await subscriber.ask(document, id=subscription))["node"]
    assert (kept["listing"], kept["publisher"], kept["modelVersion"]["version"]) == (None, "makers", "0.0.1")
    files = await files_of(subscriber, "0.0.1", "net")
    assert len(files) == len(mxnet_package())
    for file in files:
        response = await subscriber.http.get(file["url"])
        assert (response.status_code, len(response.content)) == (200, file["sizeBytes"])


async def test_a_version_that_is_given_back_can_be_had_again(publisher: Api, subscriber: Api) -> None:
    await import_net(publisher)
    first, second = await publish(publisher, "0.0.1"), await publish(publisher, "0.0.2")
    before = await subscribe(subscriber, first)
    other = await subscribe(subscriber, second)
    version = await subscriber.version("net", "0.0.1", "id")
    ended = await unsubscribe(subscriber, before)
    assert ended["endedAt"] is not None
    assert (ended["modelVersion"], ended["model"]) == (None, {"name": "net"})
    assert await subscriber.version("net", "0.0.1", "id") is None
    await refused_as(subscriber, "NOT_FOUND", "unsubscribeFromListing", subscriptionId=before)
    assert (await unsubscribe(subscriber, other))["model"] is None
    assert await subscriber.ask("{ models { totalCount } marketSubscriptions { totalCount } }") == {
        "models": {"totalCount": 0},
        "marketSubscriptions": {"totalCount": 0},
    }
    # What purging does to a version whose time is over.
    await subscriber.pool.execute(
        "DELETE FROM model_file WHERE workspace_id = (SELECT id FROM workspace WHERE name = 'takers')"
    )
    await subscriber.pool.execute("UPDATE model_version SET purged_at = now() WHERE deleted_at IS NOT NULL")

    again = await subscribe(subscriber, first)
    assert again != before
    assert await subscriber.version("net", "0.0.1", "id source { ... on MarketSource { subscription { id } } }") == {
        **version,
        "source": {"subscription": {"id": again}},
    }
    assert len(await files_of(subscriber, "0.0.1", "net")) == len(mxnet_package())
    model = (await subscriber.ask("{ models { nodes { versionCount versions { totalCount } } } }"))["models"]["nodes"]
    assert model == [{"versionCount": 2, "versions": {"totalCount": 1}}]
    events = ["SUBSCRIBED", "SUBSCRIBED", "UNSUBSCRIBED", "UNSUBSCRIBED", "SUBSCRIBED"]
    assert await kinds(subscriber) == [f"MARKET_{kind}" for kind in events]


async def test_a_version_that_an_alias_points_at_is_not_given_back(publisher: Api, subscriber: Api) -> None:
    subscription = await subscribe(subscriber, await publish(publisher))
    alias = {"modelName": "net", "alias": "stable"}
    assert (await subscriber.mutate("setModelAlias", "__typename", **alias, version="0.0.1"))["errors"] == []
    error = await refused_as(subscriber, "IN_USE", "unsubscribeFromListing", subscriptionId=subscription)
    assert "stable" in error["message"]
    assert (await subscriber.mutate("removeModelAlias", "__typename", **alias))["errors"] == []
    assert (await unsubscribe(subscriber, subscription))["modelVersion"] is None


async def test_two_that_give_back_the_last_versions_at_once_leave_no_empty_model(
    publisher: Api, subscriber: Api
) -> None:
    await import_net(publisher)
    subscriptions = [await subscribe(subscriber, await publish(publisher, version)) for version in ("0.0.1", "0.0.2")]
    await asyncio.gather(*(unsubscribe(subscriber, subscription) for subscription in subscriptions))
    assert await subscriber.ask("{ models { totalCount } }") == {"models": {"totalCount": 0}}


async def test_a_name_is_free_for_imports_once_its_subscriptions_have_ended(publisher: Api, subscriber: Api) -> None:
    listing = await publish(publisher)
    await unsubscribe(subscriber, await subscribe(subscriber, listing))
    await import_net(subscriber)
    versions = "{ modelVersions { nodes { version origin } } models { nodes { name marketSubscription { id } } } }"
    assert await subscriber.ask(versions) == {
        "modelVersions": {"nodes": [{"version": "0.0.2", "origin": "CUSTOM_ALGORITHM"}]},
        "models": {"nodes": [{"name": "net", "marketSubscription": None}]},
    }
    await refused_as(subscriber, "ALREADY_EXISTS", "subscribeToListing", listingId=listing)
    await subscribe(subscriber, listing, modelName="net-again")


async def all_kinds(api: Api) -> list[str]:
    """Everything that happened in the workspace, the oldest first."""
    nodes = (await api.ask("{ auditEvents(first: 100) { nodes { kind } } }"))["auditEvents"]["nodes"]
    return [node["kind"] for node in reversed(nodes)]


async def test_what_a_publisher_says_of_a_version_later_is_not_its_subscribers(publisher: Api, subscriber: Api) -> None:
    fields = {"labels": ["public"], "documents": [{"name": "Guide", "url": "https://docs.test/guide"}]}
    said = {"description": "For all.", **fields}
    assert (await publisher.mutate("updateModelVersion", "__typename", modelVersion=named(), **said))["errors"] == []
    listing = await publish(publisher, description="Draws boxes.")
    internal = {
        "description": "Trained on Ms. Doe's records.",
        "labels": ["internal"],
        "documents": [{"name": "Internal", "url": "https://intern.test"}],
    }
    assert (await publisher.mutate("updateModelVersion", "__typename", modelVersion=named(), **internal))[
        "errors"
    ] == []
    await subscribe(subscriber, listing)
    own = await subscriber.version("net", "0.0.1", "description labels documents { name url }")
    assert own == {"description": "Draws boxes.", **fields}


@pytest.fixture
async def doubtful_listing(publisher: Api) -> str:
    """A listing of somebody who lets everything through: a file runs code, one is of unknown classes, one is cut."""
    policy = {"suspicious": "ALLOW", "unknown": "WARN", "notScanned": "ALLOW"}
    assert (await publisher.mutate("updateWorkspace", "__typename", scanPolicy=policy))["errors"] == []
    files = {
        **mxnet_package(),
        "model/shell.pkl": shell_pickle(),
        "model/forest.pkl": foreign_pickle(),
        "model/cut.pkl": b"\x80\x04\x95\xff\xff",
    }
    found = await import_package(publisher, files, job="training", algorithm=MXNET, name="net")
    codes = [warning["code"] for warning in found["warnings"]]
    assert (found["status"], codes) == ("NORMAL", ["UNSUPPORTED_BY_ENGINE", "UNKNOWN_PICKLE"])
    return await publish(publisher, "0.0.2")


async def test_a_listing_says_what_its_scan_found_and_who_signed_it(subscriber: Api, doubtful_listing: str) -> None:
    (listing,) = await market(subscriber)
    assert (listing["scan"]["state"], listing["provenance"]) == ("SUSPICIOUS", None)


async def test_a_subscriber_is_refused_what_its_own_policy_blocks(subscriber: Api, doubtful_listing: str) -> None:
    blocking = {"suspicious": "BLOCK", "unknown": "BLOCK", "notScanned": "BLOCK"}
    assert (await subscriber.mutate("updateWorkspace", "__typename", scanPolicy=blocking))["errors"] == []
    before = await stored(subscriber)
    payload = await subscriber.mutate(
        "subscribeToListing", "details: errors { ... on PackageProblem { file } }", listingId=doubtful_listing
    )
    codes = [(error["code"], error["path"]) for error in payload["errors"]]
    assert codes == [(code, ["listingId"]) for code in ("NOT_SCANNED", "UNKNOWN_PICKLE", "UNSAFE_PICKLE")]
    assert payload["details"] == [{"file": path} for path in ("cut.pkl", "forest.pkl", "shell.pkl")]
    errors = await subscriber.refused("subscribeToListing", listingId=doubtful_listing, modelName="not a name")
    assert [error["code"] for error in errors] == ["INVALID_INPUT", *(code for code, _ in codes)]
    assert await stored(subscriber) == before


async def test_a_subscribers_version_has_the_warnings_of_its_own_policy(subscriber: Api, doubtful_listing: str) -> None:
    lax = {"suspicious": "WARN", "unknown": "ALLOW", "notScanned": "WARN"}
    assert (await subscriber.mutate("updateWorkspace", "__typename", scanPolicy=lax))["errors"] == []
    await subscribe(subscriber, doubtful_listing)
    own = await subscriber.version("net", "0.0.2", "status warnings { code ... on PackageProblem { file } }")
    assert own == {
        "status": "NORMAL",
        "warnings": [
            {"code": "UNSUPPORTED_BY_ENGINE", "file": None},
            {"code": "NOT_SCANNED", "file": "cut.pkl"},
            {"code": "UNSAFE_PICKLE", "file": "shell.pkl"},
        ],
    }


async def test_a_version_that_is_had_again_keeps_its_place_in_time(publisher: Api, subscriber: Api) -> None:
    listing = await publish(publisher)
    subscription = await subscribe(subscriber, listing)
    before = await subscriber.version("net", "0.0.1", "id createdAt createdBy")
    await unsubscribe(subscriber, subscription)
    await subscribe(subscriber, listing)
    assert await subscriber.version("net", "0.0.1", "id createdAt createdBy") == before


async def test_the_audit_trail_tells_that_versions_and_models_went_and_came_back(
    publisher: Api, subscriber: Api
) -> None:
    listing = await publish(publisher)
    await unsubscribe(subscriber, await subscribe(subscriber, listing))
    assert await all_kinds(subscriber) == [
        "MARKET_SUBSCRIBED",
        "MODEL_VERSION_DELETED",
        "MODEL_DELETED",
        "MARKET_UNSUBSCRIBED",
    ]
    await subscribe(subscriber, listing)
    came_back = ["MODEL_RESTORED", "MODEL_VERSION_RESTORED", "MARKET_SUBSCRIBED"]
    assert (await all_kinds(subscriber))[4:] == came_back


async def test_what_was_given_back_is_not_shown_as_deleted_and_not_restored(publisher: Api, subscriber: Api) -> None:
    await unsubscribe(subscriber, await subscribe(subscriber, await publish(publisher)))
    assert await subscriber.ask("{ deletedModelVersions { totalCount } deletedModels { totalCount } }") == {
        "deletedModelVersions": {"totalCount": 0},
        "deletedModels": {"totalCount": 0},
    }
    error = await refused_as(subscriber, "MODEL_SUBSCRIBED", "restoreModel", modelName="net")
    assert error["hint"] == "Subscribe again instead."
    errors = await subscriber.refused("restoreModelVersion", modelVersion=named())
    assert errors[0]["hint"] == "Subscribe again instead."


async def test_giving_a_version_back_ends_its_verification(publisher: Api, subscriber: Api) -> None:
    subscription = await subscribe(subscriber, await publish(publisher))
    payload = await subscriber.mutate("verifyModelVersion", "operation { id }", modelVersion=named())
    assert payload["errors"] == []
    document = "query ($id: ID!) { backgroundOperation(id: $id) { state } }"

    async def state() -> str:
        found = (await subscriber.ask(document, id=payload["operation"]["id"]))["backgroundOperation"]
        return str(found["state"])

    async def is_finished() -> bool:
        return await state() == "SUCCEEDED"

    await wait_for(is_finished)
    # As if a worker were still at it.
    await subscriber.pool.execute(
        "UPDATE operation SET state = 'RUNNING', finished_at = NULL WHERE kind = 'VERIFY_MODEL_VERSION'"
    )
    await unsubscribe(subscriber, subscription)
    assert await state() == "CANCELLED"
