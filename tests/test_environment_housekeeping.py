"""Environments that nobody needs any more are removed, and no others."""

import fcntl
import os
import time
from datetime import timedelta
from pathlib import Path

from engines.engine import EnvironmentSpecification
from engines.environment import EnvironmentStore
from engines.environment_housekeeping import COMPLETE
from engines.runtime_catalogue import INSTALLED
from tests.stand_in_runtime import instance_of, new_engine, opened, settled, write_package
from tests.test_environment import SIX, build, run_in, store_in

DAY = timedelta(days=1)
OTHER = EnvironmentSpecification(INSTALLED, ("six==1.17.0",))


def age(folder: Path, *, days: float = 2) -> None:
    """As if the folder had last been used so long ago."""
    then = time.time() - days * 24 * 3600
    for path in (folder / COMPLETE, folder):
        if path.exists():
            os.utime(path, (then, then))


async def discarded(store: EnvironmentStore, *kept: EnvironmentSpecification, used: tuple[str, ...] = ()) -> list[str]:
    digests = {environment.digest for environment in kept}
    return await store.discard(kept=digests, used=used, older_than=DAY)


async def test_only_what_is_neither_kept_nor_used_nor_recent_is_removed(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    empty = EnvironmentSpecification(INSTALLED, ())
    for environment in (SIX, OTHER, empty):
        await build(store, environment)
    old, kept, used = (store.folder(environment) for environment in (SIX, OTHER, empty))
    assert await discarded(store) == []
    for folder in (old, kept, used):
        age(folder)
    cache = store.directory / ".cache"
    assert list(cache.rglob("six.py"))
    assert await discarded(store, OTHER, used=(used.name,)) == [old.name]
    assert not list(cache.rglob("six.py"))
    assert run_in(store, OTHER, "import six; print(six.__version__)") == "1.17.0"
    assert not old.exists()
    assert kept.exists()
    assert used.exists()
    assert [path.name for path in store.directory.glob("*.discarded")] == []
    assert await build(store, SIX) != ["The environment is there already."]


async def test_who_asks_for_an_environment_keeps_it(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    await build(store, SIX)
    age(store.folder(SIX))
    assert await store.is_built(SIX)
    assert await discarded(store) == []


async def test_what_is_being_built_stays_and_what_a_failed_build_left_goes(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    building, failed = store.folder(SIX), store.folder(OTHER)
    for folder in (building, failed):
        (folder / "lib").mkdir(parents=True)
        age(folder)
    descriptor = os.open(building.with_name(f"{building.name}.lock"), os.O_CREAT | os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        assert await discarded(store) == [failed.name]
    finally:
        os.close(descriptor)
    assert await discarded(store) == [building.name]


async def test_serving_libraries_go_with_the_last_environment_that_refers_to_them(tmp_path: Path) -> None:
    before = store_in(tmp_path)
    await build(before, SIX)
    serving, environment = before.serving_folder(), before.folder(SIX)
    age(serving)
    now = store_in(tmp_path, serving="# others\n")
    assert await discarded(now) == []
    age(environment)
    assert await discarded(now) == [environment.name, serving.name]
    await build(now, SIX)
    age(now.serving_folder())
    age(now.folder(SIX))
    assert await discarded(now) == [now.folder(SIX).name]
    assert now.serving_folder().exists()


async def test_a_removal_that_was_broken_off_is_finished(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    half = store.directory / f"{'0' * 32}.discarded"
    (half / "lib").mkdir(parents=True)
    await discarded(store)
    assert not half.exists()


async def test_a_folder_of_an_earlier_server_that_does_not_say_what_it_is_goes_by_its_age(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    await build(store, SIX)
    (store.folder(SIX) / COMPLETE).write_text("")
    assert await discarded(store, SIX) == []
    age(store.folder(SIX))
    assert await discarded(store, SIX) == [store.folder(SIX).name]


async def test_the_environment_of_an_instance_stays_also_when_another_engine_takes_it_over(tmp_path: Path) -> None:
    package = write_package(tmp_path / "data", "def predict(data):\n    return data\n")
    async with opened(new_engine(tmp_path, die_with_parent=False)) as first:
        await first.start(instance_of(package))
        await settled(first)
    async with opened(new_engine(tmp_path, die_with_parent=False)) as second:
        (environment,) = (
            path.parent for path in (tmp_path / "data" / "environments").glob(f"*/{COMPLETE}") if is_environment(path)
        )
        age(environment)
        assert await second.discard_environments(kept=(), older_than=DAY) == []
        await second.stop("first", grace_seconds=0)
        assert await second.discard_environments(kept=(), older_than=DAY) == [environment.name]


def is_environment(complete: Path) -> bool:
    return not complete.parent.name.startswith("serving-")
