"""Reading: pages, cursors, counts, filters, and things by their ids."""

from typing import Any

import pytest

from tests.api import Api
from tests.packages import MXNET, NOTES, upload_job

# Every list of the roots, with what its nodes have to tell them apart.
LISTS = ("trainingJobs", "trainingJobVersions", "models", "modelVersions", "uploads", "backgroundOperations")
PAGE = "edges { cursor node { id } } nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"
ARGUMENTS = "$first: Int, $after: String, $last: Int, $before: String"
PASSED = "first: $first, after: $after, last: $last, before: $before"


async def page(api: Api, name: str, selection: str = PAGE, **arguments: Any) -> Any:
    """A page of a list of the roots."""
    document = f"query ({ARGUMENTS}) {{ {name}({PASSED}) {{ {selection} }} }}"
    return (await api.ask(document, **arguments))[name]


def ids(connection: Any) -> list[str]:
    return [edge["node"]["id"] for edge in connection["edges"]]


async def bad_input(api: Api, document: str, **variables: Any) -> None:
    answer = await api.send(document, **variables)
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["BAD_USER_INPUT"], answer


async def fill(api: Api) -> None:
    """Five of everything that a list of the roots holds; the imports fail soon."""
    for number in range(5):
        job = f"job-{number}"
        version = await api.record_job(job, algorithm=MXNET)
        await api.upload(job, version, {"model/a": b"x"})
        await api.import_version(job, version)


async def test_a_list_is_read_in_pages_forward_and_backward(api: Api) -> None:
    await fill(api)
    for name in LISTS:
        everything = await page(api, name)
        keys = ids(everything)
        assert len(set(keys)) == 5, name
        assert [node["id"] for node in everything["nodes"]] == keys
        assert keys == sorted(keys, reverse=True), name
        assert everything["pageInfo"] == {
            "hasNextPage": False,
            "hasPreviousPage": False,
            "startCursor": everything["edges"][0]["cursor"],
            "endCursor": everything["edges"][-1]["cursor"],
        }
        forward: list[str] = []
        cursor, has_more = None, True
        while has_more:
            found = await page(api, name, first=2, after=cursor)
            assert found["pageInfo"]["hasPreviousPage"] is (cursor is not None)
            forward += ids(found)
            cursor, has_more = found["pageInfo"]["endCursor"], found["pageInfo"]["hasNextPage"]
        assert forward == keys, name
        backward: list[str] = []
        cursor, has_more = None, True
        while has_more:
            found = await page(api, name, last=2, before=cursor)
            assert found["pageInfo"]["hasNextPage"] is (cursor is not None)
            backward = ids(found) + backward
            cursor, has_more = found["pageInfo"]["startCursor"], found["pageInfo"]["hasPreviousPage"]
        assert backward == keys, name


async def test_a_page_may_lie_between_two_cursors(api: Api) -> None:
    for number in range(5):
        await api.record_job(f"job-{number}")
    edges = (await page(api, "trainingJobs"))["edges"]
    between = await page(api, "trainingJobs", after=edges[0]["cursor"], before=edges[4]["cursor"])
    assert ids(between) == [edge["node"]["id"] for edge in edges[1:4]]
    backward = await page(api, "trainingJobs", after=edges[0]["cursor"], before=edges[4]["cursor"], last=1)
    assert ids(backward) == [edges[3]["node"]["id"]]


async def test_new_things_do_not_shift_the_pages_that_follow(api: Api) -> None:
    for number in range(3):
        await api.record_job(f"job-{number}")
    first = await page(api, "trainingJobs", "nodes { name } pageInfo { endCursor }", first=1)
    await api.record_job("job-3")
    rest = await page(api, "trainingJobs", "nodes { name }", after=first["pageInfo"]["endCursor"])
    assert [node["name"] for node in first["nodes"] + rest["nodes"]] == ["job-2", "job-1", "job-0"]


async def test_an_empty_list_and_an_empty_page_have_no_cursors(api: Api) -> None:
    empty = {"hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": None}
    for name in (*LISTS, "services"):
        found = await page(api, name, "totalCount totalCountIsExact " + PAGE)
        assert found == {"totalCount": 0, "totalCountIsExact": True, "edges": [], "nodes": [], "pageInfo": empty}
    await api.record_job()
    assert (await page(api, "trainingJobs", first=0))["pageInfo"] == {**empty, "hasNextPage": True}
    assert (await page(api, "trainingJobs", last=0))["pageInfo"] == {**empty, "hasPreviousPage": True}


@pytest.mark.parametrize("arguments", [{"first": -1}, {"first": 101}, {"last": -1}, {"last": 101}])
async def test_a_page_has_at_most_a_hundred_nodes(api: Api, arguments: dict[str, int]) -> None:
    for name in (*LISTS, "services", "auditEvents"):
        await bad_input(
            api, f"query ({ARGUMENTS}) {{ {name}({PASSED}) {{ pageInfo {{ hasNextPage }} }} }}", **arguments
        )


# Nothing, no key, half a key, a number's, another order's, too many keys, and no cursors at all.
KEY = "0" * 32
FOREIGN_CURSORS = (
    *("", "id_", "id_0a", "number_1", f"name_61_{KEY}", f"id_{KEY}_1", "!", "é", "x" * 5_000, "\0"),
    # Not as it was written, though Python reads it.
    *(
        f"id_{KEY}\n",
        f"id_{KEY} ",
        f"id_ {KEY}",
        f"id_{KEY[:31]}\uff11",
        f"id_{'0 ' * 32}",
        f"id_{'AB' * 16}",
        f"\nid_{KEY}",
    ),
)
BADLY_WRITTEN = (
    " 12",
    "12 ",
    "+5",
    "1_2",
    "\uff11\uff12",
    "\u0661\u0662",
    "12\n",
    "",
    "-",
    "--1",
    "0x1",
    "1e1",
    "12.0",
)


async def test_a_cursor_of_no_list_or_of_another_one_is_the_callers_mistake(api: Api) -> None:
    document = f"query ({ARGUMENTS}) {{ trainingJobs({PASSED}) {{ nodes {{ id }} }} }}"
    for cursor in FOREIGN_CURSORS:
        await bad_input(api, document, after=cursor)
        await bad_input(api, document, before=cursor)


async def test_a_cursor_of_numbers_is_taken_only_as_it_is_written(api: Api) -> None:
    version = await upload_job(api, NOTES, algorithm=MXNET)
    await api.import_version("iris", version)
    versions = """query ($cursor: String) {
        model(by: {name: "iris"}) { versions(after: $cursor) { nodes { version } } } }"""
    logs = "query ($cursor: String) { auditEvents(after: $cursor) { nodes { number } } }"
    for number, nodes in (("12", [{"version": "0.0.1"}]), ("-12", []), ("0", [])):
        found = await api.ask(versions, cursor=f"version_{number}")
        assert found["model"]["versions"]["nodes"] == nodes
    for document, name in ((versions, "version"), (logs, "number")):
        for written in BADLY_WRITTEN:
            await bad_input(api, document, cursor=f"{name}_{written}")
            await bad_input(api, document.replace("(after:", "(before:"), cursor=f"{name}_{written}")


async def test_a_number_beyond_every_number_is_a_cursor_behind_or_before_all(api: Api) -> None:
    version = await upload_job(api, NOTES, algorithm=MXNET)
    await api.import_version("iris", version)
    for cursor in ("version_999999999999", "version_2147483648"):
        document = """query ($cursor: String) { model(by: {name: "iris"}) {
            after: versions(after: $cursor) { nodes { version } }
            before: versions(before: $cursor) { nodes { version } } } }"""
        found = (await api.ask(document, cursor=cursor))["model"]
        assert found == {"after": {"nodes": [{"version": "0.0.1"}]}, "before": {"nodes": []}}
    await bad_input(
        api,
        'query ($cursor: String) { model(by: {name: "iris"}) { versions(after: $cursor) { nodes { id } } } }',
        cursor="version_" + "9" * 21,
    )


async def test_a_count_stops_at_ten_thousand_and_says_so(api: Api) -> None:
    await api.record_job()
    await api.pool.execute(
        """INSERT INTO training_job (workspace_id, name, created_by)
        SELECT workspace_id, 'job-' || number, 'test' FROM training_job, generate_series(2, 10000) AS number"""
    )
    counted = "totalCount totalCountIsExact"
    assert await page(api, "trainingJobs", counted, first=1) == {"totalCount": 10_000, "totalCountIsExact": True}
    await api.record_job("one-more")
    assert await page(api, "trainingJobs", counted, first=1) == {"totalCount": 10_000, "totalCountIsExact": False}


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (None, ["b", "a", "iris"]),
        ({}, ["b", "a", "iris"]),
        ({"status": None}, ["b", "a", "iris"]),
        ({"status": []}, []),
        ({"status": ["RUNNING"]}, ["a"]),
        ({"status": "RUNNING"}, ["a"]),
        ({"status": ["RUNNING", "COMPLETED", "RUNNING"]}, ["a", "iris"]),
        ({"status": ["STOPPED"]}, []),
    ],
)
async def test_a_filter_narrows_the_list_and_its_count(api: Api, given: Any, names: list[str]) -> None:
    await upload_job(api, NOTES)
    await api.record_job("a", status="RUNNING")
    await api.record_job("b", status="LOST")
    document = """query ($filter: TrainingJobVersionFilter) {
        trainingJobVersions(filter: $filter) { totalCount nodes { trainingJob { name } } } }"""
    found = (await api.ask(document, filter=given))["trainingJobVersions"]
    assert [node["trainingJob"]["name"] for node in found["nodes"]] == names
    assert found["totalCount"] == len(names)


@pytest.mark.parametrize("is_planned_before", [True, False])
async def test_a_filter_takes_at_most_a_hundred_values(api: Api, is_planned_before: bool) -> None:
    await api.record_job("iris")
    document = """query ($filter: TrainingJobVersionFilter) {
        trainingJobVersions(filter: $filter) { totalCount nodes { trainingJob { name } } } }"""
    if is_planned_before:
        for number in (2, 100):
            found = await api.ask(document, filter={"status": ["COMPLETED"] * number})
            assert found["trainingJobVersions"] == {"totalCount": 1, "nodes": [{"trainingJob": {"name": "iris"}}]}
    await bad_input(api, document, filter={"status": ["COMPLETED"] * 101})
    written = f"{{status: [{'RUNNING ' * 101}]}}"
    await bad_input(api, f"{{ trainingJobVersions(filter: {written}) {{ totalCount }} }}")


async def test_filters_know_only_states_that_there_are(api: Api) -> None:
    for name, kind in (
        ("trainingJobVersions", "TrainingJobVersionFilter"),
        ("modelVersions", "ModelVersionFilter"),
        ("services", "ServiceFilter"),
    ):
        document = f"query ($filter: {kind}) {{ {name}(filter: $filter) {{ nodes {{ id }} }} }}"
        await bad_input(api, document, filter={"status": ["NONSENSE"]})
        await bad_input(api, document, filter={"status": [None]})


async def test_operations_and_model_versions_are_found_by_their_state(api: Api) -> None:
    version = await upload_job(api, NOTES, algorithm=MXNET)
    await api.import_version("iris", version)
    await api.imported("iris", "0.0.1")
    document = """query ($state: BackgroundOperationState, $status: [ModelVersionStatus!]) {
        backgroundOperations(filter: {state: $state}) { totalCount nodes { kind state } }
        modelVersions(filter: {status: $status}) { totalCount nodes { version } } }"""
    found = await api.ask(document, state="FAILED", status=["IMPORT_FAILED"])
    assert found == {
        "backgroundOperations": {"totalCount": 1, "nodes": [{"kind": "IMPORT_MODEL", "state": "FAILED"}]},
        "modelVersions": {"totalCount": 1, "nodes": [{"version": "0.0.1"}]},
    }
    found = await api.ask(document, state="QUEUED", status=["NORMAL", "BUILDING"])
    assert (found["backgroundOperations"]["totalCount"], found["modelVersions"]["totalCount"]) == (0, 0)


async def test_everything_with_an_id_is_found_by_it(api: Api) -> None:
    await fill(api)
    found = [key for name in LISTS for key in ids(await page(api, name))]
    workspace = (await api.ask("{ modelyard { workspace { id } } }"))["modelyard"]["workspace"]["id"]
    found.append(workspace)
    absent = f"job_{'0' * 32}"
    document = "query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }"
    nodes = (await api.ask(document, ids=[absent, *found, found[0]]))["nodes"]
    assert nodes[0] is None
    assert [node["id"] for node in nodes[1:]] == [*found, found[0]]
    assert {node["__typename"] for node in nodes[1:]} == {
        "TrainingJob",
        "TrainingJobVersion",
        "Model",
        "ModelVersion",
        "Upload",
        "BackgroundOperation",
        "Workspace",
    }
    one = "query ($id: ID!) { node(id: $id) { __typename id } }"
    for node in nodes[1:]:
        assert (await api.ask(one, id=node["id"]))["node"] == node
    assert (await api.ask(one, id=absent))["node"] is None


async def test_an_id_of_one_kind_is_none_of_another(api: Api) -> None:
    await api.record_job()
    (job,) = ids(await page(api, "trainingJobs"))
    digits = job.partition("_")[2]
    document = "query ($id: ID!) { node(id: $id) { id } }"
    for prefix in ("run", "upl", "mdl", "ver", "svc", "opn", "wsp", "ins"):
        assert (await api.ask(document, id=f"{prefix}_{digits}"))["node"] is None, prefix


DIGITS = "019b00ab" * 4
NO_IDS = (
    *("", "_", "job", "job_", "job_" + "0" * 31, "job_" + "x" * 32, "Job_" + "0" * 32, "0" * 32, "\0", "x" * 9_000),
    # Python reads each of these as a number.
    *(
        f"{prefix}_{digits}"
        for prefix in ("job", "mdl", "ver", "svc", "opn")
        for digits in (
            f"+{DIGITS[1:]}",
            f" {DIGITS[1:]}",
            f"{DIGITS[1:]}\n",
            f"{DIGITS}\n",
            DIGITS.upper(),
            f"{DIGITS[:8]}_{DIGITS[9:]}",
            f"{{{DIGITS[2:]}}}",
            "\u0660" * 32,
            f"{DIGITS[1:]}\uff11",
        )
    ),
)


@pytest.mark.parametrize(
    "document",
    [
        "query ($id: ID!) { node(id: $id) { id } }",
        "query ($id: ID!) { nodes(ids: [$id]) { id } }",
        "query ($id: ID!) { trainingJob(by: {id: $id}) { id } }",
        "query ($id: ID!) { model(by: {id: $id}) { id } }",
        "query ($id: ID!) { modelVersion(by: {id: $id}) { id } }",
        "query ($id: ID!) { service(by: {id: $id}) { id } }",
        "query ($id: ID!) { backgroundOperation(id: $id) { id } }",
    ],
)
async def test_what_is_no_id_is_the_callers_mistake(api: Api, document: str) -> None:
    for identifier in NO_IDS:
        await bad_input(api, document, id=identifier)
    if "node" not in document:
        await bad_input(api, document, id="upl_" + "0" * 32)


async def test_at_most_a_hundred_ids_are_looked_up_at_once(api: Api) -> None:
    document = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    identifiers = [f"job_{number:032x}" for number in range(101)]
    assert (await api.ask(document, ids=identifiers[:100]))["nodes"] == [None] * 100
    assert (await api.ask(document, ids=[]))["nodes"] == []
    await bad_input(api, document, ids=identifiers)


@pytest.mark.parametrize(
    ("field", "by"),
    [
        ("trainingJob", 'name: "absent"'),
        ("trainingJob", r'name: "half\u0000"'),
        ("trainingJob", 'name: ""'),
        ("model", 'name: "absent"'),
        ("model", r'name: "half\u0000"'),
        ("modelVersion", 'name: {modelName: "absent", version: "0.0.1"}'),
        ("modelVersion", r'name: {modelName: "half\u0000", version: "0.0.1"}'),
        ("modelVersion", 'name: {modelName: "absent", version: "latest"}'),
        ("modelVersion", r'name: {modelName: "absent", version: "0.0.1\u0000"}'),
        ("modelVersion", 'name: {modelName: "absent", version: "99.99.100"}'),
        ("service", 'name: "absent"'),
        ("service", r'name: "half\u0000"'),
    ],
)
async def test_what_is_not_there_is_null(api: Api, field: str, by: str) -> None:
    assert await api.ask(f"{{ {field}(by: {{{by}}}) {{ id }} }}") == {field: None}


async def test_a_thing_is_asked_for_in_one_way_at_a_time(api: Api) -> None:
    for field in ("trainingJob", "model", "service"):
        for by in ("{}", '{id: "x", name: "y"}', "{name: null}"):
            answer = await api.send(f"{{ {field}(by: {by}) {{ id }} }}")
            assert answer["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED", (field, by)


async def test_a_mistake_in_what_a_payload_is_asked_for_is_told_before_anything_is_done(api: Api) -> None:
    document = """mutation ($input: RecordTrainingJobVersionInput!, $after: String) {
        recordTrainingJobVersion(input: $input) {
            trainingJobVersion { name trainingJob { versions(after: $after) { nodes { name } } } }
            errors { code } } }"""
    given = {"trainingJobName": "iris", "algorithm": {"framework": {"aiEngine": "SCIKIT_LEARN"}}}
    before = await api.counts()
    answer = await api.send(document, input=given, after="bad")
    assert "data" not in answer, answer
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["BAD_USER_INPUT"]
    assert await api.counts() == before

    answered = (await api.ask(document, input=given, after=None))["recordTrainingJobVersion"]
    assert answered["trainingJobVersion"]["trainingJob"] == {"versions": {"nodes": [{"name": "V0001"}]}}
