"""What a workspace keeps in storage, counted when it is asked for."""

from typing import Any

from db.connection import Pool
from tests.api import Api, RunningServer
from tests.packages import import_package, mxnet_package

USAGE = "storageUsage { modelBytes storedBytes deletedBytes uploadBytes modelVersionCount fileCount }"
NOTHING = {
    "modelBytes": 0,
    "storedBytes": 0,
    "deletedBytes": 0,
    "uploadBytes": 0,
    "modelVersionCount": 0,
    "fileCount": 0,
}
PACKAGE = mxnet_package()
SIZE_BYTES = sum(map(len, PACKAGE.values()))


async def usage(api: Api) -> Any:
    return (await api.ask(f"{{ modelyard {{ workspace {{ {USAGE} }} }} }}"))["modelyard"]["workspace"]["storageUsage"]


async def test_a_new_workspace_keeps_nothing(api: Api) -> None:
    assert await usage(api) == NOTHING


async def test_files_count_for_each_version_and_are_stored_once(api: Api) -> None:
    await import_package(api, PACKAGE)
    await import_package(api, {**PACKAGE, "model/more.bin": b"more"})
    assert await usage(api) == NOTHING | {
        "modelBytes": 2 * SIZE_BYTES + 4,
        "storedBytes": SIZE_BYTES + 4,
        "modelVersionCount": 2,
        "fileCount": 2 * len(PACKAGE) + 1,
    }


async def test_deleted_versions_are_told_apart_until_they_are_let_go(api: Api, pool: Pool) -> None:
    await import_package(api, PACKAGE)
    await import_package(api, {"model/more.bin": b"more", **PACKAGE})
    deleted = await api.mutate(
        "deleteModelVersion", "__typename", modelVersion={"modelName": "iris", "version": "0.0.2"}
    )
    assert deleted["errors"] == []
    left = NOTHING | {
        "modelBytes": SIZE_BYTES,
        "storedBytes": SIZE_BYTES,
        "modelVersionCount": 1,
        "fileCount": len(PACKAGE),
    }
    assert await usage(api) == left | {"storedBytes": SIZE_BYTES + 4, "deletedBytes": SIZE_BYTES + 4}
    # As a clean-up does it.
    await pool.execute("UPDATE model_version SET purged_at = now() WHERE deleted_at IS NOT NULL")
    await pool.execute(
        "DELETE FROM model_file WHERE model_version_id IN (SELECT id FROM model_version WHERE purged_at IS NOT NULL)"
    )
    assert await usage(api) == left


async def test_announced_files_count_until_their_upload_ends(api: Api, pool: Pool) -> None:
    version = await api.record_job()
    files = [{"path": "model/a", "sizeBytes": 1000}, {"path": "model/b", "sizeBytes": 2**40}]
    payload = await api.mutate(
        "createUpload", "upload { id }", trainingJobName="iris", versionName=version, files=files
    )
    assert payload["errors"] == []
    assert await usage(api) == NOTHING | {"uploadBytes": 2**40 + 1000}
    await pool.execute("UPDATE upload SET state = 'EXPIRED'")
    assert await usage(api) == NOTHING


async def test_each_workspace_of_a_token_has_its_own(server: RunningServer, api: Api) -> None:
    await import_package(api, PACKAGE)
    other = await server.client_of_new_workspace("other")
    assert await usage(other) == NOTHING
    identifier = (await api.ask("{ modelyard { workspace { id } } }"))["modelyard"]["workspace"]["id"]
    document = f"query ($id: ID!) {{ node(id: $id) {{ ... on Workspace {{ {USAGE} }} }} }}"
    assert (await api.ask(document, id=identifier))["node"]["storageUsage"]["modelBytes"] == SIZE_BYTES
    assert await other.ask(document, id=identifier) == {"node": None}
