"""Runs of batch services, with real instances and a folder for a store."""

import json
from pathlib import Path
from typing import Any

from db.connection import Pool
from tests import batches
from tests.api import Api, running_server, wait_for
from tests.batches import RULE, deploy, ended, file_version, lines, own, put, row_version, service, wish, written
from tests.object_stores import chunks, opened, read, s3_location, s3_server, s3_store
from tests.services import act, events_of, log_of

DOUBLES = "return {'double': 2 * data['value']}"


def numbers(count: int) -> dict[str, bytes]:
    return {f"{number:05}.json": json.dumps({"value": number}).encode() for number in range(count)}


async def test_each_file_below_the_input_has_its_result_at_the_output(api: Api, pool: Pool, data_dir: Path) -> None:
    version = await file_version(api, DOUBLES)
    source, output = await own(pool, "questions"), await own(pool, "answers")
    put(data_dir, source, {"a.json": b'{"value": 1}', "more/a.json": b'{"value": 2}', "more/b.json": b'{"value": 3}'})
    await deploy(api, "doubling", wish(version, source, output))
    found = await ended(api, "doubling")
    assert (found["status"], found["statusMessage"], found["progress"]) == ("FINISHED", None, 1)
    run = found["run"]
    assert (run["state"], run["inputCount"], run["succeededCount"], run["failedCount"]) == ("FINISHED", 3, 3, 0)
    assert written(data_dir, output) == {
        "a.json_result.txt": b'{"double":2}',
        "more/a.json_result.txt": b'{"double":4}',
        "more/b.json_result.txt": b'{"double":6}',
    }
    first = run["inputs"]["nodes"][0]
    assert first["location"] == {"store": "default", "key": f"{source}/a.json"}
    assert first["result"] == {"store": "default", "key": f"{output}/a.json_result.txt"}
    assert (first["number"], first["state"], first["sizeBytes"]) == (1, "SUCCEEDED", 12)
    assert found["target"]["instances"] == []
    assert (found["operation"]["state"], found["operation"]["progress"]) == ("SUCCEEDED", 1)
    events = await events_of(api, found)
    assert [event for event in events if event.startswith("BATCH")] == ["BATCH_RUN_STARTED", "BATCH_RUN_FINISHED"]
    assert events[-1] == "SERVICE_FINISHED"


async def test_what_fails_is_told_of_its_input_and_the_run_goes_on(api: Api, pool: Pool, data_dir: Path) -> None:
    version = await file_version(api, f"assert data['value'] != 2, 'two is too many'\n{DOUBLES}")
    source, output = await own(pool, "questions"), await own(pool, "answers")
    put(data_dir, source, {**numbers(3), "broken.json": b"{", "large.json": b" " * (12 * 2**20 + 1)})
    await deploy(api, "doubling", wish(version, source, output))
    found = await ended(api, "doubling")
    assert (found["status"], found["statusMessage"]) == ("FINISHED", "3 of 5 inputs failed.")
    assert (found["run"]["succeededCount"], found["run"]["failedCount"]) == (2, 3)
    failed = {
        node["location"]["key"].rpartition("/")[2]: node["error"]
        for node in found["run"]["inputs"]["nodes"]
        if node["state"] == "FAILED"
    }
    assert {name: error["code"] for name, error in failed.items()} == {
        "00002.json": "PREDICTION_FAILED",
        "broken.json": "PREDICTION_FAILED",
        "large.json": "FILE_TOO_LARGE",
    }
    assert "two is too many" in failed["00002.json"]["message"]
    assert sorted(written(data_dir, output)) == ["00000.json_result.txt", "00001.json_result.txt"]


async def test_a_run_whose_inputs_all_fail_has_failed_and_the_next_start_begins_another(
    api: Api, pool: Pool, data_dir: Path
) -> None:
    version = await file_version(api, "raise ValueError('never')")
    source, output = await own(pool, "questions"), await own(pool, "answers")
    put(data_dir, source, numbers(2))
    await deploy(api, "doubling", wish(version, source, output))
    found = await ended(api, "doubling")
    assert (found["status"], found["statusMessage"]) == ("FAILED", "All 2 inputs failed.")
    assert found["operation"]["error"]["code"] == "PREDICTION_FAILED"
    await act(api, "startService", "doubling")
    await wait_for(lambda: has_runs(api, 2, "FAILED"))
    assert (await events_of(api, found)).count("BATCH_RUN_FAILED") == 2


async def has_runs(api: Api, count: int, status: str) -> Any:
    found = await service(api, "doubling")
    runs = found["runs"]["nodes"]
    return found if len(runs) == count and runs[0]["finishedAt"] and found["status"] == status else None


async def test_a_finished_service_begins_another_run_only_with_an_empty_output(
    api: Api, pool: Pool, data_dir: Path
) -> None:
    version = await file_version(api, DOUBLES)
    source, output = await own(pool, "questions"), await own(pool, "answers")
    put(data_dir, source, numbers(1))
    await deploy(api, "doubling", wish(version, source, output))
    await ended(api, "doubling")
    await act(api, "startService", "doubling")
    found = await wait_for(lambda: has_runs(api, 2, "FAILED"))
    assert found["run"]["error"]["code"] == "OUTPUT_NOT_EMPTY"
    assert "updateBatchService" in found["run"]["error"]["hint"]
    other = await own(pool, "other-answers")
    updated = await api.mutate(
        "updateBatchService", "service { status }", serviceName="doubling", output={"key": other}
    )
    assert updated["errors"] == [], updated
    await batches.service_in(api, "doubling", "STOPPED")
    await act(api, "startService", "doubling")
    await wait_for(lambda: has_runs(api, 3, "FINISHED"))
    assert list(written(data_dir, other)) == list(written(data_dir, output)) == ["00000.json_result.txt"]


# Nine more runs of the service that has one, abandoned amid a CSV input.
ABANDONED_RUNS = """
WITH run AS (
    INSERT INTO batch_run (workspace_id, service_id, number, service_configuration_id, state, is_reported)
    SELECT workspace_id, service_id, number + more, service_configuration_id, 'ABANDONED', true
    FROM batch_run, generate_series(1, 9) AS more
    RETURNING workspace_id, id
), input AS (
    INSERT INTO batch_input (workspace_id, batch_run_id, number, store, key)
    SELECT workspace_id, id, 1, 'default', 'table.csv'
    FROM run
    RETURNING workspace_id, batch_run_id, number
)
INSERT INTO batch_row (workspace_id, batch_run_id, input_number, number, line, is_failed)
SELECT workspace_id, batch_run_id, number, 1, '1', false
FROM input
"""


async def test_a_new_run_drops_the_inputs_of_all_but_ten_and_the_rows_of_abandoned_ones(
    api: Api, pool: Pool, data_dir: Path
) -> None:
    version = await file_version(api, DOUBLES)
    source, output = await own(pool, "questions"), await own(pool, "answers")
    put(data_dir, source, numbers(2))
    await deploy(api, "doubling", wish(version, source, output))
    await ended(api, "doubling")
    await pool.execute(ABANDONED_RUNS)
    fields = {"serviceName": "doubling", "output": {"key": await own(pool, "other-answers")}}
    assert (await api.mutate("updateBatchService", "__typename", **fields))["errors"] == []
    await act(api, "startService", "doubling")
    await wait_for(lambda: has_runs(api, 10, "FINISHED"))
    kept = "SELECT DISTINCT run.number FROM batch_input JOIN batch_run AS run ON run.id = batch_run_id ORDER BY number"
    assert [row["number"] for row in await pool.fetch(kept)] == list(range(2, 12))
    assert await api.count("batch_row") == 0
    assert await api.count("batch_run") == 11


async def test_each_row_of_csv_is_asked_by_the_rule_and_failed_rows_are_told_in_their_place(
    api: Api, pool: Pool, data_dir: Path
) -> None:
    version = await row_version(api, "return f\"{data['name']} {data['size'] * 2}\"")
    source, output = await own(pool, "tables"), await own(pool, "answers")
    table = b'1.5,first\r\nmany,second\r\n\r\n3,"third, and ""last"""\r\n4\r\n'
    put(data_dir, source, {"a.csv": b"\xef\xbb\xbf" + table, "b.CSV": b"5,fifth\n", "c.csv": b"\xff\xfe\n"})
    await deploy(api, "rows", wish(version, source, output, mapping={"csv": {"rule": RULE}}))
    found = await ended(api, "rows")
    assert (found["status"], found["statusMessage"]) == ("FINISHED", "1 of 3 inputs failed.")
    first, second, third = found["run"]["inputs"]["nodes"]
    assert (first["rowCount"], first["failedRowCount"], second["rowCount"]) == (4, 2, 1)
    assert (third["state"], third["error"]["code"]) == ("FAILED", "INPUT_UNREADABLE")
    answers = lines(written(data_dir, output)["a.csv_result.txt"])
    assert (answers[0], answers[2]) == ("first 3.0", 'third, and "last" 6.0')
    assert [answers[row]["error"]["row"] for row in (1, 3)] == [2, 4]
    assert "size takes a value of type number" in answers[1]["error"]["message"]
    assert lines(written(data_dir, output)["b.CSV_result.txt"]) == ["fifth 10.0"]
    assert await pool.fetchval("SELECT count(*) FROM batch_row") == 0


async def test_a_manifest_s_inputs_are_listed_in_the_result_s_manifest(api: Api, pool: Pool, data_dir: Path) -> None:
    version = await file_version(api, DOUBLES)
    source, output = await own(pool, "questions"), await own(pool, "answers")
    put(data_dir, source, {"a/1.json": b'{"value": 1}', "b/1.json": b'{"value": 2}'})
    named = [f"{source}/a/1.json", f"obs://default/{source}/b/1.json", f"s3://default/{source}/gone.json"]
    manifest = "\n".join(json.dumps({"source": name}) for name in named)
    put(data_dir, source, {"all.manifest": manifest.encode()})
    fields = wish(version, f"{source}/all.manifest", output, input={"kind": "MANIFEST"})
    await deploy(api, "doubling", fields)
    found = await ended(api, "doubling")
    assert (found["status"], found["statusMessage"]) == ("FINISHED", "1 of 3 inputs failed.")
    results = written(data_dir, output)
    assert results["infer-result/1/1.json_result.txt"] == b'{"double":2}'
    assert results["infer-result/2/1.json_result.txt"] == b'{"double":4}'
    told = lines(results["infer-result-1.manifest"])
    assert [line["source"] for line in told] == named
    assert told[0]["inference-loc"] == f"obs://default/{output}/infer-result/1/1.json_result.txt"
    assert [line["result"] for line in told] == ["SUCCESSFUL", "SUCCESSFUL", "FAILED"]
    assert "gone.json" in told[2]["error_message"]
    assert "inference-loc" not in told[2]


async def test_a_stopped_run_goes_on_where_it_was(api: Api, pool: Pool, data_dir: Path) -> None:
    waits = "import time\nprint('asked', data['value'], flush=True)\ntime.sleep(0.05)"
    version = await file_version(api, f"{waits}\n{DOUBLES}")
    source, output = await own(pool, "questions"), await own(pool, "answers")
    put(data_dir, source, numbers(100))
    await deploy(api, "doubling", wish(version, source, output, maxConcurrency=2))

    stopped = await stopped_between(api, "doubling", 5, 90)
    assert stopped["run"]["state"] == "STOPPED"
    assert stopped["target"]["instances"] == []
    # What is only said of it leaves the run alone.
    said = await api.mutate(
        "updateBatchService", "service { description } warnings { code }", serviceName="doubling", description="Twice."
    )
    assert said == {"service": {"description": "Twice."}, "warnings": [], "errors": []}
    await act(api, "startService", "doubling")
    found = await ended(api, "doubling")
    assert (found["status"], found["run"]["number"], found["run"]["succeededCount"]) == ("FINISHED", 1, 100)
    assert len(written(data_dir, output)) == 100
    asked = [line for line in await log_of(api, "doubling") if line.startswith("asked")]
    # What was under way when it stopped is asked once more.
    assert len(asked) - len(set(asked)) <= 2


async def stopped_between(api: Api, name: str, more_than: int, less_than: int) -> dict[str, Any]:
    """A service that was stopped when so many inputs had been answered."""

    async def has_begun() -> bool:
        run = (await service(api, name))["run"]
        return run is not None and more_than < run["succeededCount"] < less_than

    await wait_for(has_begun, within_seconds=60)
    await act(api, "stopService", name)
    stopped: dict[str, Any] = await batches.service_in(api, name, "STOPPED")
    return stopped


async def test_an_update_that_gives_up_a_run_says_that_its_results_are_in_the_way(
    api: Api, pool: Pool, data_dir: Path
) -> None:
    version = await file_version(api, f"import time\ntime.sleep(0.05)\n{DOUBLES}")
    source, output = await own(pool, "questions"), await own(pool, "answers")
    put(data_dir, source, numbers(100))
    await deploy(api, "doubling", wish(version, source, output))
    await stopped_between(api, "doubling", 0, 90)
    changed = await api.mutate("updateBatchService", "warnings { code path }", serviceName="doubling", maxConcurrency=1)
    assert changed == {"warnings": [{"code": "OUTPUT_NOT_EMPTY", "path": ["output"]}], "errors": []}
    await act(api, "startService", "doubling")
    found = await ended(api, "doubling")
    assert (found["status"], found["run"]["error"]["code"]) == ("FAILED", "OUTPUT_NOT_EMPTY")
    other = await own(pool, "other")
    changed = await api.mutate("updateBatchService", "warnings { code }", serviceName="doubling", output={"key": other})
    assert changed == {"warnings": [], "errors": []}
    await act(api, "startService", "doubling")
    found = await ended(api, "doubling")
    assert (found["status"], len(written(data_dir, other))) == ("FINISHED", 100)


async def test_an_input_that_ends_its_instance_each_time_fails_and_its_neighbours_do_not(
    api: Api, pool: Pool, data_dir: Path
) -> None:
    version = await file_version(api, f"if data['value'] == 3:\n    os._exit(1)\n{DOUBLES}")
    source, output = await own(pool, "questions"), await own(pool, "answers")
    put(data_dir, source, numbers(6))
    await deploy(api, "doubling", wish(version, source, output))
    found = await ended(api, "doubling")
    assert (found["status"], found["statusMessage"]) == ("FINISHED", "1 of 6 inputs failed.")
    (failed,) = [node for node in found["run"]["inputs"]["nodes"] if node["state"] == "FAILED"]
    assert failed["location"]["key"].endswith("00003.json")
    assert failed["error"]["code"] == "INSTANCE_LOST"


async def test_many_inputs_are_listed_and_answered_each_once(api: Api, pool: Pool, data_dir: Path) -> None:
    version = await file_version(api, DOUBLES)
    source, output = await own(pool, "questions"), await own(pool, "answers")
    put(data_dir, source, numbers(2_300))
    await deploy(api, "doubling", wish(version, source, output, maxConcurrency=16, target={"instanceCount": 2}))
    found = await ended(api, "doubling", within_seconds=180)
    assert (found["status"], found["run"]["inputCount"], found["run"]["succeededCount"]) == ("FINISHED", 2300, 2300)
    results = written(data_dir, output)
    assert len(results) == 2_300
    assert json.loads(results["02299.json_result.txt"]) == {"double": 4_598}


async def test_a_deleted_service_leaves_its_results_and_none_of_its_rows(api: Api, pool: Pool, data_dir: Path) -> None:
    version = await file_version(api, DOUBLES)
    source, output = await own(pool, "questions"), await own(pool, "answers")
    put(data_dir, source, numbers(2))
    await deploy(api, "doubling", wish(version, source, output))
    await ended(api, "doubling")
    await act(api, "deleteService", "doubling")

    async def is_gone() -> bool:
        return await service(api, "doubling") is None

    await wait_for(is_gone)
    assert await pool.fetchval("SELECT count(*) FROM batch_input") == 0
    assert len(written(data_dir, output)) == 2


async def test_a_bucket_s_objects_are_read_and_named_as_a_manifest_names_them(
    pool: Pool, database_url: str, data_dir: Path
) -> None:
    with s3_server() as endpoint:
        location = s3_location(endpoint)
        url = f"s3://{location.bucket}/objects?endpoint={endpoint}&region=us-east-1"
        async with (
            running_server(pool, database_url, data_dir, object_store_url=url) as running,
            opened(s3_store(location)) as store,
        ):
            api = running.client()
            version = await file_version(api, DOUBLES)
            source, output = await own(pool, "questions"), await own(pool, "answers")
            await store.put(f"{source}/1.json", chunks(b'{"value": 1}'))
            # As whoever knows the bucket names it: with the prefix that the installation keeps to.
            named = f"obs://{location.bucket}/objects/{source}/1.json"
            await store.put(f"{source}/all.manifest", chunks(json.dumps({"source": named}).encode()))
            await deploy(api, "doubling", wish(version, f"{source}/all.manifest", output, input={"kind": "MANIFEST"}))
            found = await ended(api, "doubling")
            assert (found["status"], found["statusMessage"]) == ("FINISHED", None)
            assert await read(store, f"{output}/infer-result/1/1.json_result.txt") == b'{"double":2}'
            (line,) = lines(await read(store, f"{output}/infer-result-1.manifest"))
            result = f"obs://{location.bucket}/objects/{output}/infer-result/1/1.json_result.txt"
            assert line == {"source": named, "inference-loc": result, "result": "SUCCESSFUL"}
