"""The end of versions and models: who prevents it, what is left, and the way back."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from db.connection import Pool
from tests.api import Api, RunningServer, running_server, wait_for
from tests.model_lives import (
    DELETION,
    accepted,
    deleted,
    events_of_model,
    named,
    refused,
    restored,
    set_alias,
    stored,
)
from tests.packages import MXNET, NOTES, event_kinds, import_package, mxnet_package, upload_job
from tests.services import ECHO, act, deploy, import_version, is_gone, package, target

LISTED = """{ models { totalCount nodes { name latestVersion { version } versions { nodes { version } } } }
    modelVersions { totalCount nodes { version } }
    deletedModelVersions { totalCount nodes { version modelName deletedBy model { name } } } }"""
SOURCE = {"trainingJob": {"trainingJobName": "iris", "versionName": "V0001"}}


@pytest.fixture
async def version(api: Api) -> str:
    """A NORMAL version of the model `iris`, its first one."""
    found = await import_package(api, mxnet_package())
    assert found["status"] == "NORMAL", found
    number: str = found["version"]
    return number


@pytest.fixture
async def deployable(api: Api) -> str:
    """A version of the model `iris` that services can run."""
    return await import_version(api, package(ECHO))


async def test_a_deleted_version_is_in_no_list_and_its_number_is_never_used_again(api: Api, version: str) -> None:
    later = (await import_package(api, mxnet_package()))["version"]
    shown = await deleted(api, later)
    assert (shown["version"], shown["status"], shown["deletedBy"]) == (later, "NORMAL", "MODELYARD_TOKEN")
    kept = datetime.fromisoformat(shown["restoreExpiresAt"]) - datetime.fromisoformat(shown["deletedAt"])
    assert kept == timedelta(days=30)
    listed = await api.ask(LISTED)
    assert listed["models"]["nodes"] == [
        {"name": "iris", "latestVersion": {"version": version}, "versions": {"nodes": [{"version": version}]}}
    ]
    assert listed["modelVersions"] == {"totalCount": 1, "nodes": [{"version": version}]}
    assert listed["deletedModelVersions"]["nodes"] == [
        {"version": later, "modelName": "iris", "deletedBy": "MODELYARD_TOKEN", "model": {"name": "iris"}}
    ]
    assert await api.version("iris", later, "id") is None
    assert await api.import_version("iris", "V0001") == "0.0.3"
    (error,) = await api.refused("importModel", name="iris", source=SOURCE, version=later)
    assert error["code"] == "ALREADY_EXISTS"


async def test_a_deleted_version_can_neither_be_deployed_nor_changed_nor_tried_again(api: Api, version: str) -> None:
    await deleted(api, version)
    for mutation, fields in (
        ("deployRealTimeService", {"name": "iris", "targets": [target(version)]}),
        ("updateModelVersion", {"modelVersion": named(version), "description": "x"}),
        ("retryImport", {"modelVersion": named(version)}),
        ("deleteModelVersion", {"modelVersion": named(version)}),
    ):
        (error,) = await refused(api, mutation, **fields)
        assert error["code"] == "NOT_FOUND", mutation


async def test_a_version_is_restored_as_it_was(api: Api, version: str) -> None:
    selection = "status digest sizeBytes files { nodes { path sha256 } } deletedAt deletedBy restoreExpiresAt"
    before = await api.version("iris", version, selection)
    await deleted(api, version)
    shown = await restored(api, version)
    assert (shown["deletedAt"], shown["restoreExpiresAt"], shown["deletedBy"]) == (None, None, None)
    assert await api.version("iris", version, selection) == before
    assert (await event_kinds(api, version))[-2:] == ["DELETED", "RESTORED"]
    (error,) = await refused(api, "restoreModelVersion", modelVersion=named(version))
    assert error["code"] == "INVALID_STATE"


async def test_what_deletes_or_restores_counts_as_a_change(api: Api, version: str) -> None:
    model = '{ model(by: {name: "iris"}) { revision } }'
    first = (await api.ask(model))["model"]["revision"]
    revision = (await api.version("iris", version, "revision"))["revision"]
    for mutation in ("deleteModelVersion", "restoreModelVersion"):
        (error,) = await refused(api, mutation, modelVersion=named(version), expectedRevision=revision - 1)
        assert (error["code"], error["actualRevision"]) == ("CONFLICT", revision), mutation
        await accepted(api, mutation, DELETION, modelVersion=named(version), expectedRevision=revision)
        revision += 1
    assert (await api.version("iris", version, "revision"))["revision"] == revision
    assert (await api.ask(model))["model"]["revision"] == first + 2


async def test_what_cannot_be_restored_is_told_apart(api: Api, version: str) -> None:
    await deleted(api, version)
    await api.pool.execute("UPDATE model_version SET restorable_until = now()")
    (error,) = await refused(api, "restoreModelVersion", modelVersion=named(version))
    assert error["code"] == "RESTORE_EXPIRED"
    await api.pool.execute("UPDATE model_version SET purged_at = now(), restorable_until = now() + interval '1 day'")
    (error,) = await refused(api, "restoreModelVersion", modelVersion=named(version))
    assert (error["code"], error["path"]) == ("NOT_FOUND", ["modelVersion", "version"])
    for name, field in ((named("9.9.9"), "version"), (named(version, "isis"), "modelName")):
        (error,) = await refused(api, "restoreModelVersion", modelVersion=name)
        assert (error["code"], error["path"]) == ("NOT_FOUND", ["modelVersion", field])


@pytest.fixture
async def forgetful_api(pool: Pool, database_url: str, data_dir: Path) -> AsyncIterator[Api]:
    async with running_server(pool, database_url, data_dir, restore_days=0) as running:
        yield running.client()


async def test_with_no_days_to_restore_a_deletion_is_for_good(forgetful_api: Api) -> None:
    version = (await import_package(forgetful_api, mxnet_package()))["version"]
    shown = await deleted(forgetful_api, version)
    assert shown["restoreExpiresAt"] == shown["deletedAt"]
    (error,) = await refused(forgetful_api, "restoreModelVersion", modelVersion=named(version))
    assert error["code"] == "RESTORE_EXPIRED"


async def test_a_version_that_services_run_is_not_deleted_and_they_are_named(api: Api, deployable: str) -> None:
    services = [await deploy(api, name, target(deployable)) for name in ("first", "second")]
    await act(api, "stopService", "second")
    await api.service_in("second", "STOPPED")
    await api.service_in("first", "RUNNING")
    (error,) = await refused(api, "deleteModelVersion", modelVersion=named(deployable))
    assert (error["__typename"], error["code"], error["path"]) == ("InUseError", "IN_USE", ["modelVersion"])
    assert error["users"] == [
        {"kind": "SERVICE", "name": service["name"], "id": service["id"], "version": deployable} for service in services
    ]
    assert "'first'" in error["message"]
    for service in services:
        await act(api, "deleteService", service["name"])
    for service in services:
        await wait_for(partial(is_gone, api, service["name"]))
    assert (await deleted(api, deployable))["version"] == deployable


async def test_an_alias_holds_its_version(api: Api, version: str) -> None:
    await set_alias(api, "production", version)
    (error,) = await refused(api, "deleteModelVersion", modelVersion=named(version))
    assert error["users"] == [{"kind": "ALIAS", "name": "production", "id": None, "version": version}]
    await accepted(api, "removeModelAlias", "__typename", modelName="iris", alias="production")
    await deleted(api, version)
    history = '{ model(by: {name: "iris"}) { aliasHistory { nodes { name modelVersion { version deletedAt } } } } }'
    (told,) = (await api.ask(history))["model"]["aliasHistory"]["nodes"]
    assert told["modelVersion"]["version"] == version
    assert told["modelVersion"]["deletedAt"]
    await api.pool.execute("UPDATE model_version SET purged_at = now()")
    assert (await api.ask(history))["model"]["aliasHistory"]["nodes"][0]["modelVersion"] is None


async def test_a_published_version_is_not_deleted(api: Api, version: str) -> None:
    await api.pool.execute(
        """INSERT INTO market_listing (workspace_id, model_id, model_version_id, publisher, model_name, version_number,
            version, published_by)
        SELECT workspace_id, model_id, id, 'default', model_name, version_number, version, 'somebody'
        FROM model_version"""
    )
    (error,) = await refused(api, "deleteModelVersion", modelVersion=named(version))
    (user,) = error["users"]
    assert (user["kind"], user["name"], user["version"]) == ("MARKET_LISTING", "iris", version)
    assert user["id"].startswith("lst_")
    await api.pool.execute("UPDATE market_listing SET withdrawn_at = now()")
    await deleted(api, version)


async def test_what_is_subscribed_to_is_left_to_its_publisher(api: Api, version: str) -> None:
    await api.pool.execute("UPDATE model_version SET origin = 'MARKET'")
    await api.pool.execute("UPDATE model SET publisher_model_id = id")
    for mutation, fields in (
        ("deleteModelVersion", {"modelVersion": named(version)}),
        ("deleteModel", {"modelName": "iris"}),
    ):
        (error,) = await refused(api, mutation, **fields)
        assert error["code"] == "MODEL_SUBSCRIBED", mutation


async def test_deleting_a_version_ends_its_import(api: Api) -> None:
    """Files enough that the import is still at them, and the worker comes back to a version that is gone."""
    files = mxnet_package() | {f"model/extra/{number}.bin": b"x" * 50_000 for number in range(300)}
    source = await upload_job(api, files, algorithm=MXNET)
    number = await api.import_version("iris", source)

    async def is_copying() -> bool:
        return await api.count("operation WHERE state = 'RUNNING'") == 1

    await wait_for(is_copying)
    shown = await deleted(api, number)
    assert shown["status"] == "IMPORT_FAILED"

    async def is_idle() -> bool:
        return await api.count("pgqueuer") == 0

    await wait_for(is_idle)
    selection = "deletedModelVersions { nodes { status operation { state } problems { code } } }"
    (found,) = (await api.ask(f"{{ {selection} }}"))["deletedModelVersions"]["nodes"]
    assert found == {
        "status": "IMPORT_FAILED",
        "operation": {"state": "CANCELLED"},
        "problems": [{"code": "IMPORT_CANCELLED"}],
    }
    await restored(api, number)
    await accepted(api, "retryImport", "modelVersion { status }", modelVersion=named(number))
    assert (await api.imported("iris", number))["status"] == "NORMAL"


async def test_a_deletion_that_is_refused_lets_the_import_go_on(api: Api) -> None:
    source = await upload_job(api, mxnet_package(), algorithm=MXNET)
    number = await api.import_version("iris", source)
    errors = await api.refused("deleteModelVersion", modelVersion=named(number), expectedRevision=999)
    assert [error["code"] for error in errors] == ["CONFLICT"]
    assert (await api.imported("iris", number))["status"] == "NORMAL"


async def test_a_deployment_and_a_deletion_at_once_do_not_both_win(api: Api, deployable: str) -> None:
    won = []
    for attempt in range(12):
        name = f"service-{attempt}"
        targets = [target(deployable)]
        pair = (
            api.mutate("deployRealTimeService", "__typename", name=name, targets=targets),
            api.mutate("deleteModelVersion", "__typename", modelVersion=named(deployable)),
        )
        deployment, deletion = await asyncio.gather(*(pair if attempt % 2 else reversed(pair)))
        if not attempt % 2:
            deployment, deletion = deletion, deployment
        assert [bool(deployment["errors"]), bool(deletion["errors"])] in ([True, False], [False, True]), attempt
        won.append("deletion" if deployment["errors"] else "deployment")
        if deployment["errors"]:
            assert deployment["errors"][0]["code"] == "NOT_FOUND"
            await restored(api, deployable)
        else:
            assert deletion["errors"][0]["code"] == "IN_USE"
            await act(api, "deleteService", name)
            await wait_for(partial(is_gone, api, name))


async def test_an_alias_and_a_deletion_at_once_do_not_both_win(api: Api, version: str) -> None:
    for _ in range(10):
        alias, deletion = await asyncio.gather(
            api.mutate("setModelAlias", "__typename", modelName="iris", alias="production", version=version),
            api.mutate("deleteModelVersion", "__typename", modelVersion=named(version)),
        )
        assert [bool(alias["errors"]), bool(deletion["errors"])] in ([True, False], [False, True])
        if alias["errors"]:
            await restored(api, version)
        else:
            await accepted(api, "removeModelAlias", "__typename", modelName="iris", alias="production")


async def test_a_version_is_deleted_once_whoever_asks_at_the_same_time(api: Api, version: str) -> None:
    payloads = await asyncio.gather(
        *(api.mutate("deleteModelVersion", "__typename", modelVersion=named(version)) for _ in range(5))
    )
    assert sorted(len(payload["errors"]) for payload in payloads) == [0, 1, 1, 1, 1]
    assert await api.count("event WHERE kind = 'MODEL_VERSION_DELETED'") == 1


async def test_a_model_is_deleted_with_all_of_its_versions_however_many(api: Api) -> None:
    await upload_job(api, NOTES, algorithm=MXNET)
    numbers = [await api.import_version("iris", "V0001") for _ in range(25)]
    for number in numbers:
        await api.imported("iris", number)
    payload = await accepted(
        api, "deleteModel", "model { name versionCount versions { totalCount } }", modelName="iris"
    )
    assert payload["model"] == {"name": "iris", "versionCount": 25, "versions": {"totalCount": 0}}
    listed = await api.ask(LISTED)
    assert (listed["models"]["totalCount"], listed["modelVersions"]["totalCount"]) == (0, 0)
    assert listed["deletedModelVersions"]["totalCount"] == 25
    assert (await api.ask('{ model(by: {name: "iris"}) { id } }'))["model"] is None
    assert await events_of_model(api) == [("MODEL_DELETED", {"name": "iris", "versions": 25})]
    assert await api.count("event WHERE kind = 'MODEL_VERSION_DELETED'") == 25
    (error,) = await refused(api, "deleteModel", modelName="iris")
    assert (error["code"], error["path"]) == ("NOT_FOUND", ["modelName"])


async def test_a_model_of_which_one_version_is_used_stays_whole(api: Api, version: str) -> None:
    later = (await import_package(api, mxnet_package()))["version"]
    await set_alias(api, "production", later)
    await set_alias(api, "canary", version)
    revision = (await api.ask('{ model(by: {name: "iris"}) { revision } }'))["model"]["revision"]
    errors = await refused(api, "deleteModel", modelName="iris", expectedRevision=revision + 1)
    assert [error["code"] for error in errors] == ["CONFLICT", "IN_USE"]
    assert [(user["name"], user["version"]) for user in errors[1]["users"]] == [
        ("canary", version),
        ("production", later),
    ]


async def test_an_import_under_a_deleted_models_name_brings_it_back_and_goes_on_counting(
    api: Api, version: str
) -> None:
    await accepted(api, "deleteModel", "__typename", modelName="iris")
    following = (await import_package(api, mxnet_package()))["version"]
    assert following == "0.0.2"
    model = '{ model(by: {name: "iris"}) { versionCount versions { nodes { version } } } }'
    assert (await api.ask(model))["model"] == {"versionCount": 2, "versions": {"nodes": [{"version": following}]}}
    await restored(api, version)
    nodes = (await api.ask(model))["model"]["versions"]["nodes"]
    assert [node["version"] for node in nodes] == [following, version]


async def test_restoring_a_version_restores_its_model(api: Api, version: str) -> None:
    later = (await import_package(api, mxnet_package()))["version"]
    await accepted(api, "deleteModel", "__typename", modelName="iris")
    assert (await restored(api, version))["model"] == {"name": "iris"}
    listed = await api.ask(LISTED)
    assert listed["models"]["nodes"][0]["versions"]["nodes"] == [{"version": version}]
    assert [node["version"] for node in listed["deletedModelVersions"]["nodes"]] == [later]
    assert [kind for kind, _ in await events_of_model(api)] == ["MODEL_DELETED", "MODEL_RESTORED"]


async def test_an_import_that_brings_a_model_back_is_in_its_trail(api: Api, version: str) -> None:
    await accepted(api, "deleteModel", "__typename", modelName="iris")
    await import_package(api, mxnet_package())
    await import_package(api, mxnet_package())
    assert await events_of_model(api) == [
        ("MODEL_DELETED", {"name": "iris", "versions": 1}),
        ("MODEL_RESTORED", {"name": "iris"}),
    ]


async def test_a_deleted_model_is_listed_and_comes_back_with_the_versions_that_went_with_it(
    api: Api, version: str
) -> None:
    others = [(await import_package(api, mxnet_package()))["version"] for _ in range(2)]
    await deleted(api, others[0])
    before = await api.ask("{ models { nodes { id name createdAt } } }")
    await accepted(api, "deleteModel", "__typename", modelName="iris")
    selection = "{ deletedModels { totalCount nodes { name deletedAt deletedBy } } }"
    shown = (await api.ask(selection))["deletedModels"]["nodes"]
    assert [(model["name"], model["deletedBy"]) for model in shown] == [("iris", "MODELYARD_TOKEN")]
    assert shown[0]["deletedAt"] is not None

    document = "model { name deletedAt versions { nodes { version status } } }"
    model = (await accepted(api, "restoreModel", document, modelName="iris", idempotencyKey="k"))["model"]
    assert model == {
        "name": "iris",
        "deletedAt": None,
        "versions": {"nodes": [{"version": number, "status": "NORMAL"} for number in (others[1], version)]},
    }
    assert await api.ask("{ models { nodes { id name createdAt } } }") == before
    assert await api.ask(selection) == {"deletedModels": {"totalCount": 0, "nodes": []}}
    assert await events_of_model(api) == [
        ("MODEL_DELETED", {"name": "iris", "versions": 2}),
        ("MODEL_RESTORED", {"name": "iris", "versions": 2}),
    ]
    assert (await event_kinds(api, version))[-2:] == ["DELETED", "RESTORED"]
    rows = await stored(api)
    assert (await accepted(api, "restoreModel", document, modelName="iris", idempotencyKey="k"))["model"] == model
    assert await stored(api) == rows


async def test_a_model_whose_versions_were_all_deleted_before_comes_back_empty(api: Api, version: str) -> None:
    await deleted(api, version)
    await accepted(api, "deleteModel", "__typename", modelName="iris")
    restored_model = await accepted(api, "restoreModel", "model { versions { totalCount } }", modelName="iris")
    assert restored_model["model"] == {"versions": {"totalCount": 0}}
    assert (await restored(api, version))["model"] == {"name": "iris"}


async def test_what_models_cannot_be_restored_is_told_apart(api: Api, version: str) -> None:
    revision = (await api.ask('{ model(by: {name: "iris"}) { revision } }'))["model"]["revision"]
    (error,) = await refused(api, "restoreModel", modelName="iris")
    assert (error["code"], error["path"]) == ("INVALID_STATE", ["modelName"])
    for name in ("isis", "iris\0"):
        (error,) = await refused(api, "restoreModel", modelName=name)
        assert (error["code"], error["path"]) == ("NOT_FOUND", ["modelName"])
    await accepted(api, "deleteModel", "__typename", modelName="iris")
    (error,) = await refused(api, "restoreModel", modelName="iris", expectedRevision=revision)
    assert (error["code"], error["actualRevision"]) == ("CONFLICT", revision + 1)
    await api.pool.execute("UPDATE model_version SET restorable_until = now()")
    (error,) = await refused(api, "restoreModel", modelName="iris", expectedRevision=revision + 1)
    assert (error["code"], error["path"]) == ("RESTORE_EXPIRED", ["modelName"])


async def test_deleted_versions_are_filtered(api: Api, version: str) -> None:
    other = (await import_package(api, mxnet_package(), name="isis"))["version"]
    await deleted(api, version)
    await deleted(api, other, "isis")
    document = "query ($filter: ModelVersionFilter) { deletedModelVersions(filter: $filter) { nodes { modelName } } }"
    found = await api.ask(document, filter={"modelName": "isis"})
    assert found == {"deletedModelVersions": {"nodes": [{"modelName": "isis"}]}}


async def test_deleting_a_model_while_it_is_imported_leaves_no_version_half_way(api: Api) -> None:
    """Whatever comes first: an import after the deletion brings the model back, one before it goes with it."""
    await upload_job(api, mxnet_package(), algorithm=MXNET)
    await api.import_version("iris", "V0001")

    async def delete() -> Any:
        return await api.mutate("deleteModel", "__typename", modelName="iris")

    payloads = await asyncio.gather(
        *(each for _ in range(8) for each in (api.import_version("iris", "V0001"), delete()))
    )
    codes = {error["code"] for payload in payloads if isinstance(payload, dict) for error in payload["errors"]}
    assert codes <= {"NOT_FOUND"}

    async def is_idle() -> bool:
        return await api.count("pgqueuer") == 0

    await wait_for(is_idle, within_seconds=90)
    assert await api.count("model_version WHERE status IN ('IMPORTING', 'BUILDING')") == 0
    live = await api.count("model_version WHERE deleted_at IS NULL")
    assert await api.count("model_version WHERE deleted_at IS NULL AND status = 'NORMAL'") == live
    assert (await api.count("model WHERE deleted_at IS NULL")) == (1 if live else 0)
    assert await api.count("model_version") == 9


async def test_the_same_key_answers_again(api: Api, version: str) -> None:
    first = await deleted(api, version, idempotencyKey="k")
    await restored(api, version)
    before = await stored(api)
    again = await deleted(api, version, idempotencyKey="k")
    assert (again["version"], again["deletedAt"]) == (first["version"], None)
    assert await stored(api) == before


async def test_another_workspace_reaches_none_of_it(server: RunningServer, api: Api, version: str) -> None:
    await set_alias(api, "production", version)
    other = await server.client_of_new_workspace("other")
    before = await stored(api)
    for mutation, fields in (
        ("deleteModelVersion", {"modelVersion": named(version)}),
        ("restoreModelVersion", {"modelVersion": named(version)}),
        ("deleteModel", {"modelName": "iris"}),
        ("removeModelAlias", {"modelName": "iris", "alias": "production"}),
    ):
        (error,) = await other.refused(mutation, **fields)
        assert error["code"] == "NOT_FOUND", mutation
    assert await stored(api) == before
