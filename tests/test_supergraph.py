"""A gateway before this graph and a neighbour's: queries cross both ways, and who asks is handed on."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from db.connection import Pool
from gql.federation import subgraph_sdl
from gql.limits import Limits
from gql.schema import build_schema
from resolvers.workspace import create_token, create_workspace
from tests.api import Api, RunningServer
from tests.federation.supergraph import CompositionFailure, Supergraph, Toolbox, supergraph
from tests.npm import CHECKOUT, have_packages, required_node
from tests.packages import NOTES, upload_job
from tests.services import ECHO, deploy, import_version, package, target

pytestmark = pytest.mark.slow


@pytest.fixture
async def iris(api: Api) -> str:
    """The number of a version of the model iris, of version V0001 of the training job iris-training."""
    return await api.import_version("iris-training", await upload_job(api, NOTES, job="iris-training"), name="iris")


@pytest.fixture(scope="session")
def toolbox(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Toolbox:
    """The npm packages, once for the whole run."""
    node = required_node()
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "npm"
    have_packages(node, folder)
    return Toolbox.laid_out(node, folder)


@pytest.fixture
async def graph(server: RunningServer, toolbox: Toolbox, tmp_path: Path) -> AsyncIterator[Supergraph]:
    async with supergraph(server, toolbox, tmp_path) as running:
        yield running


async def test_a_query_crosses_to_the_neighbour_and_back(graph: Supergraph, iris: str) -> None:
    graph.neighbour.write("Works well.", "iris", iris)
    graph.neighbour.write("Of no model here.", "tulip", "1.0.0")
    client = graph.client()
    there = """{ model(by: {name: "iris"}) { versions { nodes {
        version reviews { nodes { text modelVersion { model { name } } } pageInfo { hasNextPage } } } } } }"""
    (version,) = (await client.ask(there))["model"]["versions"]["nodes"]
    review = {"text": "Works well.", "modelVersion": {"model": {"name": "iris"}}}
    assert version == {"version": iris, "reviews": {"nodes": [review], "pageInfo": {"hasNextPage": False}}}
    back = "{ reviews { text modelVersion { version revision reviews { nodes { id } } } } }"
    of_iris, of_nothing = (await client.send(back))["data"]["reviews"]
    assert of_iris["modelVersion"]["revision"] >= 0
    assert of_iris["modelVersion"]["reviews"] == {"nodes": [{"id": "review-1"}]}
    assert of_nothing == {"text": "Of no model here.", "modelVersion": None}


async def test_a_service_is_known_to_the_neighbour_by_its_id(graph: Supergraph, api: Api) -> None:
    version = await import_version(api, package(ECHO))
    service = await deploy(api, "iris", target(version))
    graph.neighbour.paid_services.append(service["id"])
    client = graph.client()
    paid = (await client.ask("{ costCentre { id services { __typename id name } } }"))["costCentre"]
    assert paid == {
        "id": "vision",
        "services": [{"__typename": "RealTimeService", "id": service["id"], "name": "iris"}],
    }
    found = await client.ask('{ service(by: {name: "iris"}) { name costCentre { id } } }')
    assert found["service"] == {"name": "iris", "costCentre": {"id": "vision"}}


async def test_a_mutation_passes_the_gateway_and_its_payload_crosses(graph: Supergraph) -> None:
    graph.neighbour.write("Awaited.", "iris", "0.0.1")
    client = graph.client()
    await upload_job(client, NOTES)
    source = {"trainingJob": {"trainingJobName": "iris", "versionName": "V0001"}}
    selection = "modelVersion { version reviews { nodes { text } } }"
    payload = await client.mutate("importModel", selection, name="iris", source=source)
    assert payload["errors"] == []
    assert payload["modelVersion"] == {"version": "0.0.1", "reviews": {"nodes": [{"text": "Awaited."}]}}
    assert await client.count("model_version") == 1


async def test_the_gateway_hands_on_who_asks_and_in_which_workspace(graph: Supergraph, iris: str, pool: Pool) -> None:
    await create_workspace(pool, name="strangers")
    token = await create_token(pool, name="of-both", workspaces=["default", "strangers"])
    graph.neighbour.write("Works well.", "iris", iris)
    document = "{ reviews { text modelVersion { status } } models { totalCount } }"
    ours = await graph.client(token, "default").ask(document)
    theirs = (await graph.client(token, "strangers").send(document))["data"]
    assert ours["reviews"][0]["modelVersion"]["status"]
    assert ours["models"] == {"totalCount": 1}
    assert theirs == {"reviews": [{"text": "Works well.", "modelVersion": None}], "models": {"totalCount": 0}}
    refused = await graph.client("nobody").send(document)
    assert refused["data"] is None
    assert {error["extensions"]["code"] for error in refused["errors"]} == {"UNAUTHENTICATED"}


def example() -> str:
    """The neighbour in the documentation."""
    (block,) = re.findall(r"```gql\n(.*?)```", (CHECKOUT / "docs" / "federation.md").read_text(), re.DOTALL)
    return str(block)


async def test_the_documented_neighbour_composes_with_ours(toolbox: Toolbox, tmp_path: Path) -> None:
    ours = ("http://ours", subgraph_sdl(build_schema(Limits())))
    composed = await toolbox.composed(tmp_path, {"modelyard": ours, "neighbour": ("http://theirs", example())})
    assert "costCentre" in composed
    closed = example().replace("PageInfo @shareable", "PageInfo")
    with pytest.raises(CompositionFailure, match=r"PageInfo\.hasNextPage"):
        await toolbox.composed(tmp_path, {"modelyard": ours, "neighbour": ("http://theirs", closed)})
