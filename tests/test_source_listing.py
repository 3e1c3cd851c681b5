"""What lies at a package's source is listed no further than it has to be, whoever goes on writing there."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import cast

import pytest

from artifacts.object_store import ObjectInfo, ObjectStore
from resolvers import source_state
from resolvers.operation_attempt import ImportFailed
from resolvers.source_change import PROBLEM_LIMIT, refuse_changes
from tests.api import Api, wait_for
from tests.object_stores import chunks, folder_store, opened
from tests.packages import import_package, mxnet_package

NAME = {"modelName": "iris", "version": "0.0.1"}


class CountingStore:
    """A folder that counts what was taken from its listings."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self.listed = 0

    async def list(self, prefix: str) -> AsyncGenerator[ObjectInfo, None]:
        async for info in self._store.list(prefix):
            self.listed += 1
            yield info


async def test_changes_are_looked_for_until_there_are_enough(tmp_path: Path) -> None:
    async with opened(folder_store(tmp_path)) as store:
        for number in range(PROBLEM_LIMIT * 2):
            await store.put(f"job/model/{number}", chunks(b"new"))
        counting = CountingStore(store)
        with pytest.raises(ImportFailed) as failed:
            await refuse_changes(cast(ObjectStore, counting), "job/model", {})
    assert len(failed.value.problems) == PROBLEM_LIMIT
    assert counting.listed == PROBLEM_LIMIT


async def source_of(api: Api) -> dict[str, object]:
    """What a verification says of the version's source."""
    payload = await api.mutate("verifyModelVersion", "operation { id }", modelVersion=NAME)
    assert payload["errors"] == []

    async def look() -> dict[str, object] | None:
        shown = await api.version(
            "iris", "0.0.1", "integrity { source { state changedFiles } } operation { id kind state }"
        )
        is_done = shown["operation"]["state"] == "SUCCEEDED" and shown["operation"]["id"] == payload["operation"]["id"]
        return dict(shown["integrity"]["source"]) if is_done else None

    return dict(await wait_for(look))


async def test_of_a_source_that_is_not_listed_to_its_end_only_what_was_seen_is_told(
    api: Api, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await import_package(api, mxnet_package())
    (config,) = (data_dir / "objects").rglob("model/config.json")
    (config.parent / "0.txt").write_bytes(b"beside it")
    monkeypatch.setattr(source_state, "OBJECT_LIMIT", 4)
    assert await source_of(api) == {"state": "UNCHANGED", "changedFiles": []}
    monkeypatch.setattr(source_state, "OBJECT_LIMIT", 2)
    assert await source_of(api) == {"state": "UNKNOWN", "changedFiles": []}
    config.write_bytes(b"{}")
    assert await source_of(api) == {"state": "CHANGED", "changedFiles": ["config.json"]}
