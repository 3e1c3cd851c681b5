"""What instances print: kept with the version and the instance that printed it, found again, and let go of in time."""

import re
from datetime import datetime
from typing import Any

from db.connection import Pool
from tests.api import Api, wait_for
from tests.services import act, deploy, import_version, is_gone, key_of, package, running, target

LINES = """query ($name: String!, $filter: LogLineFilter) {
  service(by: { name: $name }) {
    logs(filter: $filter, first: 100) {
      totalCount
      nodes { number text writtenAt instanceId instanceNumber modelVersion { id version } }
    }
  }
}"""
INSTANCES = "... on RealTimeService { targets { modelVersion { id } instances { id number isolation } } }"
GREETS = "import os\nprint('hello from', os.getpid(), '100%', flush=True)"
FLOODS = "import os\nos.write(1, b''.join(b'line %d\\n' % number for number in range(5000)))"


async def lines(api: Api, name: str = "iris", **restrictions: Any) -> list[dict[str, Any]]:
    found = (await api.ask(LINES, name=name, filter=restrictions))["service"]["logs"]
    assert found["totalCount"] == len(found["nodes"])
    nodes: list[dict[str, Any]] = found["nodes"]
    return nodes


async def greetings(api: Api, count: int, **restrictions: Any) -> list[dict[str, Any]]:
    """The lines that a filter finds, once so many instances have printed theirs."""

    async def look() -> list[dict[str, Any]] | None:
        return await lines(api, **restrictions) if len(await lines(api, text="hello from")) == count else None

    found: list[dict[str, Any]] = await wait_for(look)
    return found


async def test_lines_are_found_by_version_instance_text_and_time(api: Api) -> None:
    first = await import_version(api, package("return 1", constructor=GREETS))
    second = await import_version(api, package("return 2", constructor=GREETS))
    await running(api, "iris", target(first, weight=50, instanceCount=2), target(second, weight=50))

    said = await greetings(api, 3, text="hello from")
    assert sorted(line["modelVersion"]["version"] for line in said) == [first, first, second]
    assert sorted(line["instanceNumber"] for line in said) == [1, 2, 3]
    assert [line["number"] for line in said] == sorted(line["number"] for line in said)
    for line in said:
        of_instance = await lines(api, instanceId=line["instanceId"], text="hello")
        of_version = await lines(api, modelVersionId=line["modelVersion"]["id"], text="hello")
        assert of_instance == [line]
        assert line in of_version
        assert {each["modelVersion"]["id"] for each in of_version} == {line["modelVersion"]["id"]}
    assert await lines(api, text="100%") == said
    assert await lines(api, text="hello%") == []

    moment = said[1]["writtenAt"]
    after, before = (
        await lines(api, text="hello", writtenAfter=moment),
        await lines(api, text="hello", writtenBefore=moment),
    )
    assert said[1] in after
    assert sorted(line["number"] for line in after + before) == [line["number"] for line in said]
    assert all(datetime.fromisoformat(line["writtenAt"]) >= datetime.fromisoformat(moment) for line in after)

    targets = (await api.service("iris", INSTANCES))["targets"]
    instances = {each["id"]: each["number"] for one in targets for each in one["instances"]}
    assert {line["instanceId"]: line["instanceNumber"] for line in said} == instances


async def test_a_filter_by_what_is_no_instance_is_told(api: Api) -> None:
    version = await import_version(api, package("return 1"))
    await deploy(api, "iris", target(version))
    answer = await api.send(LINES, name="iris", filter={"instanceId": "svc_1"})
    assert "is not an id here" in answer["errors"][0]["message"]


async def test_an_instance_that_floods_its_log_is_told_what_was_left_out(api: Api) -> None:
    version = await import_version(api, package("return 1", constructor=FLOODS))
    service = await running(api, "iris", target(version))

    async def last_line() -> object:
        return await lines(api, text="line 4999")

    await wait_for(last_line)
    query = "SELECT text FROM service_log_line WHERE service_id = $1 ORDER BY number"
    texts = [row["text"] for row in await api.pool.fetch(query, key_of(service))]
    left_out = [int(found[1]) for text in texts if (found := re.match(r"… (\d+) lines were left out", text))]
    kept = [int(text.split()[1]) for text in texts if text.startswith("line ")]
    assert len(kept) <= 1000
    assert kept == sorted(kept)
    assert kept[-1] == 4999
    # Other lines of the instance may be among what was left out.
    assert sum(left_out) + len(kept) >= 5000


async def test_a_clean_up_lets_old_lines_go_those_of_deleted_services_too(api: Api, pool: Pool) -> None:
    version = await import_version(api, package("return 1", constructor=GREETS))
    await running(api, "iris", target(version))
    gone = await running(api, "gone", target(version))
    await greetings(api, 1)
    await act(api, "deleteService", "gone")
    await wait_for(lambda: is_gone(api, "gone"))
    query = "SELECT count(*) FROM service_log_line WHERE service_id = $1"
    assert await pool.fetchval(query, key_of(gone)) > 0
    await pool.execute("UPDATE service_log_line SET written_at = now() - interval '15 days' WHERE text LIKE 'hello%'")
    kept = await pool.fetchval("SELECT count(*) FROM service_log_line WHERE text NOT LIKE 'hello%'")

    payload = await api.mutate("cleanUp", "operation { id }")
    assert payload["errors"] == []

    async def ended() -> bool:
        document = "query ($id: ID!) { backgroundOperation(id: $id) { state } }"
        state = (await api.ask(document, id=payload["operation"]["id"]))["backgroundOperation"]["state"]
        assert state != "FAILED"
        return bool(state == "SUCCEEDED")

    await wait_for(ended)
    assert await pool.fetchval("SELECT count(*) FROM service_log_line WHERE text LIKE 'hello%'") == 0
    assert await pool.fetchval("SELECT count(*) FROM service_log_line WHERE text NOT LIKE 'hello%'") >= kept > 0
