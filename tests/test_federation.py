"""Federation: the graph as gateways compose it, and the objects that they ask it for by type and key."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLError, build_schema

from db.connection import Pool
from gql.fault_code import FaultCode
from gql.federation import (
    REPRESENTATIONS_LIMIT,
    Keys,
    Representation,
    client_sdl,
    entity_keys,
    read_representation,
    subgraph_sdl,
)
from gql.limits import Limits
from gql.schema import build_schema as build_own_schema
from tests.api import Api, RunningServer, running_server
from tests.federation.supergraph import service_definition
from tests.packages import NOTES, upload_job

ENTITIES = """query ($representations: [_Any!]!) { _entities(representations: $representations) {
    __typename
    ... on TrainingJob { name }
    ... on TrainingJobVersion { runName: name }
    ... on Model { name }
    ... on ModelVersion { modelName version }
    ... on Service { serviceName: name }
} }"""
MODEL_KEYS: Keys = {"Model": [("id",), ("name",)], "ModelVersion": [("id",), ("modelName", "version")]}
UNKNOWN_ID = "mdl_00000000000000000000000000000000"


async def entities(api: Api, *representations: Mapping[str, Any]) -> tuple[Any, list[dict[str, Any]]]:
    """What `_entities` answers, and its errors."""
    answer = await api.send(ENTITIES, representations=list(representations))
    return (answer["data"] or {}).get("_entities"), answer.get("errors", [])


def model(name: str) -> dict[str, str]:
    return {"__typename": "Model", "name": name}


@pytest.fixture
async def iris(api: Api) -> str:
    """The number of a version of the model iris, of version V0001 of the training job iris-training."""
    return await api.import_version("iris-training", await upload_job(api, NOTES, job="iris-training"), name="iris")


async def test_a_representation_is_read_by_the_first_key_that_it_holds_whole() -> None:
    def read(**fields: object) -> Representation:
        return read_representation({"__typename": "ModelVersion", **fields}, MODEL_KEYS)

    natural = {"modelName": "iris", "version": "0.0.1"}
    assert read(id="ver_1", **natural) == Representation("ModelVersion", {"id": "ver_1"})
    assert read(**natural) == Representation("ModelVersion", natural)
    assert read(id=None, **natural) == Representation("ModelVersion", natural)
    assert read(id="ver_1", version="0.0.1", rating=[{"stars": 5}]) == Representation("ModelVersion", {"id": "ver_1"})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "A representation is an object with a __typename and the fields of a key."),
        ("Model", "A representation is an object with a __typename and the fields of a key."),
        ([model("iris")], "A representation is an object with a __typename and the fields of a key."),
        ({"name": "iris"}, "A representation names its type in __typename."),
        ({"__typename": ["Model"], "name": "iris"}, "A representation names its type in __typename."),
        ({"__typename": "Upload", "id": "upl_1"}, "'Upload' is not the name of an entity here."),
        ({"__typename": "Model"}, "A representation of a Model holds a key: id, or name."),
        ({"__typename": "Model", "name": None}, "A representation of a Model holds a key: id, or name."),
        (
            {"__typename": "ModelVersion", "modelName": "iris"},
            "A representation of a ModelVersion holds a key: id, or modelName and version.",
        ),
        ({"__typename": "Model", "name": 7}, "The key of a Model is of strings: name."),
        ({"__typename": "Model", "id": {"a": 1}}, "The key of a Model is of strings: id."),
    ],
)
def test_what_is_no_representation_is_refused_in_one_sentence(value: object, message: str) -> None:
    with pytest.raises(GraphQLError, match=re.escape(message)) as raised:
        read_representation(value, MODEL_KEYS)
    assert raised.value.extensions == {"code": FaultCode.BAD_USER_INPUT}


def test_the_keys_are_those_of_the_types() -> None:
    by_name = [("id",), ("name",)]
    assert entity_keys(build_own_schema(Limits())) == {
        "TrainingJob": by_name,
        "TrainingJobVersion": [("id",)],
        "Model": by_name,
        "ModelVersion": [("id",), ("modelName", "version")],
        "Service": by_name,
        "RealTimeService": by_name,
        "BatchService": by_name,
        "EdgeService": by_name,
    }


def test_what_gateways_compose_has_no_machinery_and_no_relay_roots_and_keeps_descriptions() -> None:
    sdl = subgraph_sdl(build_own_schema(Limits()))
    assert not re.search(r"\b(_Any|_Entity|_Service|_FieldSet|link__Import|_entities|_service)\b", sdl)
    assert not re.search(r"^  node\w*\(", sdl, re.MULTILINE)
    assert 'type Model implements Node @key(fields: "id") @key(fields: "name")' in sdl
    assert 'interface Service implements Node @key(fields: "id") @key(fields: "name")' in sdl
    assert "type PageInfo @shareable" in sdl
    assert "What can be read." in sdl


def test_what_clients_see_can_be_read_by_any_tool() -> None:
    sdl = client_sdl(build_own_schema(Limits()))
    query = build_schema(sdl).query_type
    assert query is not None
    assert {"node", "nodes", "models"} <= set(query.fields)
    assert not re.search(r"@key|@shareable|@link|\b_\w+", sdl)


async def test_a_reader_of_the_schema_meets_no_scalars_of_directives(api: Api) -> None:
    schema = (await api.ask("{ __schema { types { name } directives { name } } }"))["__schema"]
    names = {kind["name"] for kind in schema["types"] if not kind["name"].startswith("__")}
    assert {name for name in names if "_" in name} == {"_Any", "_Entity", "_Service"}
    assert {"key", "link", "shareable"}.isdisjoint(directive["name"] for directive in schema["directives"])


async def test_objects_are_found_by_each_of_their_keys_in_the_order_asked_for(api: Api, iris: str) -> None:
    ids = await api.ask("""{ model(by: {name: "iris"}) { id latestJob: versions { nodes { id } } }
        trainingJob(by: {name: "iris-training"}) { id latestVersion { id } } }""")
    job, found = ids["trainingJob"], ids["model"]
    data, errors = await entities(
        api,
        {"__typename": "ModelVersion", "modelName": "iris", "version": iris},
        {"__typename": "TrainingJob", "id": job["id"]},
        model("iris"),
        {"__typename": "TrainingJobVersion", "id": job["latestVersion"]["id"]},
        {"__typename": "Model", "id": found["id"]},
        {"__typename": "ModelVersion", "id": found["latestJob"]["nodes"][0]["id"]},
        {"__typename": "TrainingJob", "name": "iris-training"},
    )
    version = {"__typename": "ModelVersion", "modelName": "iris", "version": iris}
    training = {"__typename": "TrainingJob", "name": "iris-training"}
    assert errors == []
    assert data == [
        version,
        training,
        model("iris"),
        {"__typename": "TrainingJobVersion", "runName": "V0001"},
        model("iris"),
        version,
        training,
    ]


async def test_what_is_not_there_is_null_without_an_error(api: Api, iris: str) -> None:
    nowhere = [
        model("other"),
        {"__typename": "Model", "id": UNKNOWN_ID},
        {"__typename": "ModelVersion", "modelName": "iris", "version": "9.9.9"},
        {"__typename": "ModelVersion", "modelName": "iris", "version": "newest"},
        {"__typename": "Service", "name": "iris"},
        {"__typename": "TrainingJob", "name": "nul\0"},
    ]
    assert await entities(api, *nowhere) == ([None] * len(nowhere), [])


@pytest.mark.parametrize(
    "wrong",
    [
        {"__typename": "Nothing", "id": "x"},
        {"__typename": "Upload", "id": "x"},
        {"__typename": "Model"},
        {"__typename": "Model", "name": 7},
        {"__typename": "Model", "id": "7"},
        {"__typename": "ModelVersion", "id": UNKNOWN_ID},
    ],
)
async def test_a_wrong_representation_nulls_its_own_slot_only(api: Api, iris: str, wrong: Mapping[str, Any]) -> None:
    data, errors = await entities(api, model("iris"), wrong, model("iris"))
    assert data == [model("iris"), None, model("iris")]
    (error,) = errors
    assert (error["path"], error["extensions"]["code"]) == (["_entities", 1], "BAD_USER_INPUT")
    assert error["message"].endswith(".")


async def test_fields_that_are_no_key_are_ignored(api: Api, iris: str) -> None:
    seen = {"__typename": "ModelVersion", "modelName": "iris", "version": iris}
    assert await entities(api, {**seen, "reviews": [{"stars": 5}], "digest": 7}) == ([seen], [])


async def test_the_number_of_representations_has_a_limit(api: Api, iris: str) -> None:
    data, errors = await entities(api, *[model("iris")] * REPRESENTATIONS_LIMIT)
    assert (data, errors) == ([model("iris")] * REPRESENTATIONS_LIMIT, [])
    data, errors = await entities(api, *[model("iris")] * (REPRESENTATIONS_LIMIT + 1))
    assert data is None
    (error,) = errors
    assert error["message"] == "At most 1000 representations at once; these are 1001."
    assert error["extensions"]["code"] == "BAD_USER_INPUT"


async def test_representations_may_be_written_into_the_document(api: Api, iris: str) -> None:
    document = """query ($name: String!) { _entities(representations: [
        {__typename: "Model", name: $name}, {__typename: "Model", name: "other"}, {__typename: "Nothing"}
    ]) { ... on Model { name } } }"""
    answer = await api.send(document, name="iris")
    assert answer["data"] == {"_entities": [{"name": "iris"}, None, None]}
    assert [error["path"] for error in answer["errors"]] == [["_entities", 2]]


async def test_one_statement_reads_all_that_is_asked_for(pool: Pool, database_url: str, data_dir: Path) -> None:
    async with running_server(pool, database_url, data_dir, explain=True) as explaining:
        api = explaining.client()
        job = await upload_job(api, NOTES, job="iris-training")
        version = await api.import_version("iris-training", job, name="iris")
        seen = [
            {"__typename": "ModelVersion", "modelName": "iris", "version": version},
            {"__typename": "TrainingJob", "name": "iris-training"},
            model("iris"),
            {"__typename": "Service", "name": "iris"},
        ]
        answer = await api.send(ENTITIES, representations=seen * (REPRESENTATIONS_LIMIT // len(seen)))
    assert answer["data"]["_entities"] == [*seen[:3], None] * (REPRESENTATIONS_LIMIT // len(seen))
    # Only what one statement answers is explained.
    assert set(answer["extensions"]["explain"]) == {"sql", "plan"}


async def test_another_workspace_has_none_of_the_objects(server: RunningServer, api: Api, iris: str) -> None:
    stranger = await server.client_of_new_workspace("strangers")
    known = (await api.ask('{ model(by: {name: "iris"}) { id } }'))["model"]
    asked = [{"__typename": "Model", **known}, model("iris")]
    assert await entities(api, *asked) == ([model("iris")] * 2, [])
    assert await entities(stranger, *asked) == ([None, None], [])


async def test_the_relay_roots_are_answered_though_gateways_do_not_see_them(api: Api, iris: str) -> None:
    known = (await api.ask('{ model(by: {name: "iris"}) { id __typename } }'))["model"]
    document = "query ($id: ID!) { node(id: $id) { id __typename } nodes(ids: [$id]) { id __typename } }"
    assert await api.ask(document, id=known["id"]) == {"node": known, "nodes": [known]}
    assert "node(" not in await service_definition(api)


async def test_the_definition_is_closed_together_with_introspection(
    pool: Pool, database_url: str, data_dir: Path
) -> None:
    async with running_server(pool, database_url, data_dir, introspection=False) as closed:
        api = closed.client()
        answer = await api.send("{ _service { sdl } }")
        assert "data" not in answer
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["GRAPHQL_VALIDATION_FAILED"]
        assert await entities(api, model("none")) == ([None], [])
