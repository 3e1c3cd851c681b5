"""Workspaces: a token of another one sees, imports and deploys nothing of this one, whatever it asks for."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from resolvers.workspace import create_token, create_workspace, grant_prefix, revoke_token
from tests import batches
from tests.api import Api, RunningServer, wait_for
from tests.packages import MXNET, NOTES, import_package, mxnet_package, upload_job
from tests.pools import create_pool
from tests.services import ECHO, import_version, package, running, target

# Every name in the owner's workspace begins so: no answer to a stranger may hold it.
MARK = "theirs"
FRAMEWORK = {"framework": {"aiEngine": "SCIKIT_LEARN"}}
FILE = {"path": "model/a", "sizeBytes": 1}
OF_THE_INSTALLATION = frozenset(
    {
        "modelyard",
        "builtInAlgorithms",
        "modelTemplates",
        "runtimes",
        "inferenceSpecifications",
        # Everybody has the shared one.
        "resourcePools",
        "marketListings",
        "marketListing",
        "_service",
    }
)
# Listings: everybody sees the one, and nobody the other.
OF_THE_MARKET = frozenset({"listing", "withdrawn"})
# One document for each field of Query. The owner's answer has to show something; it is given the ids of `World`.
QUERIES: Mapping[str, str] = {
    "modelyard": "{ modelyard { viewer { name } workspace { id name } workspaces { id name } } }",
    "builtInAlgorithms": "{ builtInAlgorithms { name } }",
    "runtimes": "{ runtimes { __typename } }",
    "inferenceSpecifications": "{ inferenceSpecifications { name } }",
    "trainingJobs": "{ trainingJobs { totalCount nodes { id name versions { nodes { id } } } } }",
    "trainingJob": """query ($job: ID!) { trainingJob(by: {id: $job}) { id }
        named: trainingJob(by: {name: "theirs-training"}) { id } }""",
    "trainingJobVersions": "{ trainingJobVersions { totalCount nodes { id output { key } } } }",
    "models": "{ models { totalCount nodes { id name versions { nodes { id } } } } }",
    "model": 'query ($model: ID!) { model(by: {id: $model}) { id } named: model(by: {name: "theirs"}) { id } }',
    "modelVersion": """query ($version: ID!) { modelVersion(by: {id: $version}) { id files { nodes { path } } }
        named: modelVersion(by: {name: {modelName: "theirs", version: "0.0.1"}}) { id } }""",
    "modelVersionFacets": "{ modelVersionFacets { total statuses { count } labels { value count } } }",
    "modelVersions": "{ modelVersions { totalCount nodes { id digest } } }",
    "deletedModelVersions": "{ deletedModelVersions { totalCount nodes { id version model { id } } } }",
    "deletedModels": "{ deletedModels { totalCount nodes { id name } } }",
    "modelTemplates": "{ modelTemplates { id } }",
    "previewImport": """{ previewImport(input: {name: "theirs", source: {trainingJob: {
        trainingJobName: "theirs-training", versionName: "V0001"}}}) { problems { code } modelDirectory { key } } }""",
    "resourcePools": "{ resourcePools { id name } }",
    "planDeployment": """{ planDeployment(input: {deployRealTimeService: {name: "own", targets: [
        {modelVersion: {modelName: "theirs", version: "0.0.1"}}]}}) { targets { weightAfter } fingerprint } }""",
    "services": "{ services { totalCount nodes { id name } } }",
    "service": """query ($service: ID!) { service(by: {id: $service}) { id logs { totalCount } }
        named: service(by: {name: "theirs"}) { id } }""",
    "edgeNodes": "{ edgeNodes { totalCount nodes { id name } } }",
    "edgeNode": """query ($edge: ID!) { edgeNode(by: {id: $edge}) { id name }
        named: edgeNode(by: {name: "theirs"}) { id } }""",
    "marketListings": "{ marketListings { totalCount nodes { id publisher modelName } } }",
    "marketListing": "query ($listing: ID!) { marketListing(id: $listing) { id publisher } }",
    "marketSubscriptions": "{ marketSubscriptions { totalCount nodes { id modelVersion { id } } } }",
    "uploads": "{ uploads { totalCount nodes { id files { path parts { url } } } } }",
    "backgroundOperations": "{ backgroundOperations { totalCount nodes { id kind } } }",
    "backgroundOperation": "query ($operation: ID!) { backgroundOperation(id: $operation) { id } }",
    "auditEvents": "{ auditEvents { totalCount nodes { number kind data } } }",
    "node": "query ($service: ID!) { node(id: $service) { id __typename } }",
    "nodes": "query ($all: [ID!]!) { nodes(ids: $all) { id __typename } }",
    "_entities": """{ _entities(representations: [{__typename: "Model", name: "theirs"},
        {__typename: "ModelVersion", modelName: "theirs", version: "0.0.1"}]) {
        ... on Model { id name } ... on ModelVersion { id digest } } }""",
    "_service": "{ _service { sdl } }",
}


@dataclass(frozen=True, slots=True)
class World:
    """What the owner's workspace holds, and somebody of another one."""

    owner: Api
    stranger: Api
    ids: Mapping[str, Any]
    output_key: str
    prediction_url: str


async def first_id(api: Api, name: str) -> str:
    identifier: str = (await api.ask(f"{{ {name}(last: 1) {{ nodes {{ id }} }} }}"))[name]["nodes"][0]["id"]
    return identifier


async def ids_of_the_market(server: RunningServer, owner: Api) -> dict[str, str]:
    """What somebody else shows everybody, the owner's subscription to it, and what the owner shows no more."""
    shop = await server.client_of_new_workspace("shop")
    found = await import_package(shop, mxnet_package(), job="shared")
    name = {"modelName": "shared", "version": found["version"]}
    shown = await shop.mutate("publishModelVersion", "marketListing { id }", modelVersion=name)
    listing = shown["marketListing"]["id"]
    subscribed = await owner.mutate(
        "subscribeToListing", "marketSubscription { id }", listingId=listing, modelName=f"{MARK}-shared"
    )
    own = {"modelName": MARK, "version": "0.0.1"}
    withdrawn = await owner.mutate("publishModelVersion", "marketListing { id }", modelVersion=own)
    await owner.mutate("unpublishModelVersion", "__typename", modelVersion=own)
    return {
        "listing": listing,
        "subscription": subscribed["marketSubscription"]["id"],
        "withdrawn": withdrawn["marketListing"]["id"],
    }


async def finished_batch(owner: Api, data_dir: Path) -> str:
    """The id of a batch service that has done its work."""
    workspace_id = await owner.pool.fetchval("SELECT id FROM workspace WHERE name = $1", f"{MARK}-workspace")
    source, output = (f"workspaces/{workspace_id}/{name}" for name in ("tables", "answers"))
    batches.put(data_dir, source, {"a.csv": b"text\n"})
    rule = {"type": "object", "properties": {"data": {"type": "string", "index": 0}}}
    version = {"modelVersion": {"modelName": MARK, "version": "0.0.1"}}
    fields = batches.wish("0.0.1", source, output, target=version, mapping={"csv": {"rule": rule}})
    deployed = await batches.deploy(owner, f"{MARK}-batch", fields)
    await batches.ended(owner, f"{MARK}-batch")
    identifier: str = deployed["service"]["id"]
    return identifier


@pytest.fixture
async def world(server: RunningServer) -> World:
    """One of everything, with a service that runs."""
    owner = await server.client_of_new_workspace(f"{MARK}-workspace")
    stranger = await server.client_of_new_workspace("strangers")
    await upload_job(owner, NOTES, job=f"{MARK}-training", algorithm=MXNET)
    await owner.import_version(f"{MARK}-training", "V0001", name=MARK, version="0.0.9")
    await owner.import_version(f"{MARK}-training", "V0001", name=MARK, version="0.0.8")
    await owner.mutate("deleteModelVersion", "__typename", modelVersion={"modelName": MARK, "version": "0.0.8"})
    await owner.import_version(f"{MARK}-training", "V0001", name=f"{MARK}-gone")
    await owner.mutate("deleteModel", "__typename", modelName=f"{MARK}-gone")
    files = package(ECHO)
    await import_version(owner, files, model=MARK, version="0.0.1")
    service = await running(owner, MARK, target("0.0.1", model=MARK))
    await owner.mutate(
        "createUpload", "upload { id }", trainingJobName=f"{MARK}-training", versionName="V0001", files=[FILE]
    )
    lists = {
        "job": "trainingJobs",
        "run": "trainingJobVersions",
        "model": "models",
        "version": "modelVersions",
        "operation": "backgroundOperations",
    }
    ids: dict[str, Any] = {name: await first_id(owner, field) for name, field in lists.items()}
    ids["upload"] = (await owner.ask("{ uploads(first: 1) { nodes { id } } }"))["uploads"]["nodes"][0]["id"]
    ids["service"] = service["id"]
    ids["batch"] = await finished_batch(owner, server.settings.data_dir)
    ids["pool"] = (await create_pool(owner, MARK, cpuCount=1, memoryBytes=2**30))["id"]
    own_size = {"name": f"{MARK}-size", "cpuCount": 1, "memoryBytes": 2**30}
    assert (await owner.mutate("createInferenceSpecification", "__typename", **own_size))["errors"] == []
    registered = await owner.mutate("registerEdgeNode", "edgeNode { id }", name=MARK)
    ids["edge"] = registered["edgeNode"]["id"]
    version = {"modelVersion": {"modelName": MARK, "version": "0.0.1"}}
    on_edge = {"name": f"{MARK}-edge", "target": version, "nodes": [MARK]}
    deployed = await owner.mutate("deployEdgeService", "service { id } errors { message }", **on_edge)
    ids["edge_service"] = deployed["service"]["id"]
    ids |= await ids_of_the_market(server, owner)
    ids["workspace"] = (await owner.ask("{ modelyard { workspace { id } } }"))["modelyard"]["workspace"]["id"]
    ids["all"] = [identifier for name, identifier in ids.items() if name not in OF_THE_MARKET]
    key = (await owner.ask("{ trainingJobVersions(last: 1) { nodes { output { key } } } }"))["trainingJobVersions"]
    return World(owner, stranger, ids, key["nodes"][0]["output"]["key"], service["predictionUrl"])


def mutations(world: World) -> Mapping[str, tuple[dict[str, Any], str]]:
    """For each field of Mutation an input that reaches for what is the owner's, and the codes that refuse it."""
    job = {"trainingJobName": f"{MARK}-training", "versionName": "V0001"}
    version = {"modelName": MARK, "version": "0.0.1"}
    output = {"key": world.output_key}
    return {
        "recordTrainingJobVersion": (
            {"trainingJobName": "own", "algorithm": FRAMEWORK, "output": output},
            "LOCATION_REFUSED",
        ),
        "reportTrainingJobVersion": ({**job, "statusMessage": "mine now"}, "NOT_FOUND"),
        "createUpload": ({**job, "files": [FILE]}, "NOT_FOUND"),
        "completeUpload": ({"uploadId": world.ids["upload"]}, "NOT_FOUND"),
        "importModel": ({"name": "own", "source": {"trainingJob": job}}, "NOT_FOUND"),
        "retryImport": ({"modelVersion": {**version, "version": "0.0.9"}}, "NOT_FOUND"),
        "updateModelVersion": ({"modelVersion": version, "description": "mine now"}, "NOT_FOUND"),
        "deleteModelVersion": ({"modelVersion": {**version, "version": "0.0.9"}}, "NOT_FOUND"),
        "restoreModelVersion": ({"modelVersion": {**version, "version": "0.0.8"}}, "NOT_FOUND"),
        "deleteModel": ({"modelName": MARK}, "NOT_FOUND"),
        "restoreModel": ({"modelName": f"{MARK}-gone"}, "NOT_FOUND"),
        "setModelAlias": ({**version, "alias": "production"}, "NOT_FOUND"),
        "removeModelAlias": ({"modelName": MARK, "alias": "production"}, "NOT_FOUND"),
        "verifyModelVersion": ({"modelVersion": version}, "NOT_FOUND"),
        "deployBatchService": (
            {
                "name": "own",
                "target": {"modelVersion": version},
                "input": {"key": world.output_key},
                "output": {"key": world.output_key},
                "mapping": {"file": {}},
            },
            "LOCATION_REFUSED NOT_FOUND",
        ),
        "updateBatchService": ({"serviceName": MARK}, "NOT_FOUND"),
        "deployRealTimeService": ({"name": "own", "targets": [{"modelVersion": version}]}, "NOT_FOUND"),
        "publishModelVersion": ({"modelVersion": version}, "NOT_FOUND"),
        "unpublishModelVersion": ({"modelVersion": version}, "NOT_FOUND"),
        "subscribeToListing": ({"listingId": world.ids["withdrawn"]}, "NOT_FOUND"),
        "unsubscribeFromListing": ({"subscriptionId": world.ids["subscription"]}, "NOT_FOUND"),
        "deployEdgeService": ({"name": "own", "target": {"modelVersion": version}, "nodes": [MARK]}, "NOT_FOUND"),
        "updateEdgeService": ({"serviceName": MARK, "nodes": [MARK]}, "NOT_FOUND"),
        "startEdgeDeployment": ({"serviceName": MARK, "nodeName": MARK}, "NOT_FOUND"),
        "stopEdgeDeployment": ({"serviceName": MARK, "nodeName": MARK}, "NOT_FOUND"),
        "registerEdgeNode": ({"name": "a b"}, "INVALID_INPUT"),
        "renewEdgeNodeToken": ({"nodeName": MARK}, "NOT_FOUND"),
        "updateEdgeNode": ({"nodeName": MARK, "description": "mine now"}, "NOT_FOUND"),
        "deleteEdgeNode": ({"nodeName": MARK}, "NOT_FOUND"),
        "updateRealTimeService": ({"serviceName": MARK, "description": "mine now"}, "NOT_FOUND"),
        "rollBackService": ({"serviceName": MARK}, "NOT_FOUND"),
        "restartService": ({"serviceName": MARK}, "NOT_FOUND"),
        "startService": ({"serviceName": MARK}, "NOT_FOUND"),
        "stopService": ({"serviceName": MARK}, "NOT_FOUND"),
        "deleteService": ({"serviceName": MARK}, "NOT_FOUND"),
        "predict": ({"serviceName": MARK, "json": {}}, "NOT_FOUND"),
        "createResourcePool": ({"name": "a b", "cpuCount": 1, "memoryBytes": 2**30}, "INVALID_INPUT"),
        "updateResourcePool": ({"name": MARK, "cpuCount": 2}, "NOT_FOUND"),
        "deleteResourcePool": ({"name": MARK}, "NOT_FOUND"),
        "createInferenceSpecification": ({"name": "a b", "cpuCount": 1, "memoryBytes": 2**30}, "INVALID_INPUT"),
        "deleteInferenceSpecification": ({"name": f"{MARK}-size"}, "NOT_FOUND"),
        "cancelBackgroundOperation": ({"operationId": world.ids["operation"]}, "NOT_FOUND"),
        # These two are about the caller's own workspace, whatever their input.
        "updateWorkspace": ({"scanPolicy": {"suspicious": "ALLOW"}, "expectedRevision": 2}, "CONFLICT"),
        "cleanUp": ({"idempotencyKey": ""}, "INVALID_INPUT"),
    }


def variables_of(document: str, world: World) -> dict[str, Any]:
    return {name: value for name, value in world.ids.items() if f"${name}:" in document}


def shown(answer: Any) -> bool:
    """Whether an answer holds anything: a value that is neither null, nor zero, nor empty."""
    if isinstance(answer, dict):
        return any(shown(value) for value in answer.values())
    if isinstance(answer, list):
        return any(shown(value) for value in answer)
    return bool(answer)


async def refuses_every_mutation(world: World) -> None:
    before = await world.owner.counts()
    for name, (fields, code) in mutations(world).items():
        errors = await world.stranger.refused(name, **fields)
        assert {error["code"] for error in errors} == set(code.split()), name
        assert "V0001" not in (errors[0]["hint"] or ""), name
    assert await world.owner.counts() == before


async def shows_nothing(world: World) -> None:
    for name, document in QUERIES.items():
        variables = variables_of(document, world)
        mine = await world.owner.ask(document, **variables)
        assert all(shown(value) for value in mine.values()), name
        theirs = await world.stranger.ask(document, **variables)
        assert name in OF_THE_INSTALLATION or not shown(theirs), (name, theirs)
        text = json.dumps(theirs)
        assert MARK not in text, (name, theirs)
        assert not any(key in text for key in world.ids["all"]), (name, theirs)


async def test_whoever_is_of_another_workspace_sees_and_reaches_nothing(world: World) -> None:
    await shows_nothing(world)
    await refuses_every_mutation(world)

    kinds = await world.owner.ask(
        'query ($all: [ID!]!) { nodes(ids: $all) { __typename } __type(name: "Node") { possibleTypes { name } } }',
        all=[*world.ids["all"], world.ids["listing"]],
    )
    there_are = {kind["name"] for kind in kinds["__type"]["possibleTypes"]}
    assert {node["__typename"] for node in kinds["nodes"]} == there_are, "a kind of node has no id in this test"

    assert (await world.owner.http.post(world.prediction_url, json={"a": 1})).status_code == 200
    foreign = await world.stranger.http.post(world.prediction_url, json={"a": 1})
    absent = await world.stranger.http.post(world.prediction_url.replace(MARK, "nobody"), json={"a": 1})
    assert foreign.status_code == absent.status_code
    assert foreign.status_code in (403, 404)
    assert (await world.owner.service(MARK))["status"] == "RUNNING"


async def test_every_field_of_the_roots_has_a_case(api: Api) -> None:
    roots = (
        await api.ask(
            """{ __schema { queryType { fields { name } } mutationType { fields { name } }
            subscriptionType { fields { name } } } }"""
        )
    )["__schema"]
    assert {field["name"] for field in roots["queryType"]["fields"]} == QUERIES.keys()
    ids = dict.fromkeys(("upload", "withdrawn", "subscription", "operation"), "")
    cases = mutations(World(api, api, ids, "", ""))
    assert {field["name"] for field in roots["mutationType"]["fields"]} == cases.keys()
    assert roots["subscriptionType"] is None


async def test_a_prefix_that_one_workspace_was_granted_is_not_another_ones(server: RunningServer, api: Api) -> None:
    stranger = await server.client_of_new_workspace("strangers")
    await grant_prefix(server.pool, name="default", store="default", prefix="shared")
    await api.record_job(output={"key": "shared/job"})
    before = await api.counts()
    (error,) = await stranger.refused(
        "recordTrainingJobVersion", trainingJobName="iris", algorithm=FRAMEWORK, output={"key": "shared/job"}
    )
    assert error["code"] == "LOCATION_REFUSED"
    assert await api.counts() == before


async def test_names_numbers_and_keys_of_one_workspace_are_free_in_another(server: RunningServer, api: Api) -> None:
    stranger = await server.client_of_new_workspace("strangers")
    fields = {"idempotencyKey": "key", "algorithm": MXNET}
    assert [await api.record_job("iris", **fields), await api.record_job("iris")] == ["V0001", "V0002"]
    assert await stranger.record_job("iris", **{**fields, "status": "COMPLETED", "description": "other"}) == "V0001"
    for client in (api, stranger):
        await client.upload("iris", "V0001", NOTES)
    assert [await client.import_version("iris", "V0001") for client in (api, stranger)] == ["0.0.1", "0.0.1"]
    for client, total in ((api, 2), (stranger, 1)):
        found = await client.ask("{ trainingJobVersions { totalCount } models { totalCount } }")
        assert found == {"trainingJobVersions": {"totalCount": total}, "models": {"totalCount": 1}}


async def test_the_header_picks_one_of_several_workspaces(server: RunningServer) -> None:
    for name in ("red", "blue", "green"):
        await create_workspace(server.pool, name=name)
    token = await create_token(server.pool, name="both", workspaces=["red", "blue"])
    red, blue = server.client(token, "red"), server.client(token, "blue")
    await red.record_job("only-red")
    document = "{ modelyard { workspace { name } workspaces { name } } trainingJobs { nodes { name } } }"
    several = [{"name": "blue"}, {"name": "red"}]
    assert await red.ask(document) == {
        "modelyard": {"workspace": {"name": "red"}, "workspaces": several},
        "trainingJobs": {"nodes": [{"name": "only-red"}]},
    }
    assert await blue.ask(document) == {
        "modelyard": {"workspace": {"name": "blue"}, "workspaces": several},
        "trainingJobs": {"nodes": []},
    }
    before = await red.counts()
    mutation = """mutation { recordTrainingJobVersion(input: {trainingJobName: "iris",
        algorithm: {framework: {aiEngine: ONNX}}}) { __typename } }"""
    for workspace in (None, "green", "default", "RED", "absent"):
        response = await server.client(token, workspace).http.post("/graphql", json={"query": mutation})
        assert response.status_code == 403, workspace
        assert "data" not in response.json()
        assert "green" not in response.text.replace("named 'green'", ""), workspace
    assert await red.counts() == before


async def test_a_revoked_token_is_good_for_nothing(server: RunningServer) -> None:
    client = await server.client_of_new_workspace("strangers")
    await client.record_job()
    await revoke_token(server.pool, name="strangers-token")

    async def is_refused() -> bool:
        response: httpx.Response = await client.http.post("/graphql", json={"query": "{ __typename }"})
        return response.status_code == 401

    await wait_for(is_refused, within_seconds=10)
