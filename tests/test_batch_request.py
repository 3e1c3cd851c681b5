"""What batch services send and read: forms, rows as requests, and manifests, each by itself."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from artifacts.batch_manifest import LINE_LIMIT_BYTES, Source, read_lines
from artifacts.csv_mapping import RowRefused, read_mapping
from engines.instance_client import AnswerTooLarge, InstanceClient, InstanceGone, InstanceRequest
from engines.instance_link import Link
from resolvers.batch_file import ByteBudget, Room
from resolvers.batch_form import file_form
from tests.instance_process import Start, write_code

pytest_plugins = ["tests.instance_fixture"]

ROW = {"a": {"type": "number", "index": 0}, "b": {"type": "boolean", "index": 1}, "c": {"type": "string", "index": 2}}
NESTED = {
    "type": "object",
    "properties": {
        "data": {"type": "object", "properties": {"req_data": {"type": "array", "items": [{"properties": ROW}]}}}
    },
}


async def test_a_file_arrives_as_the_parameter_of_a_form(start: Start, package: Path) -> None:
    write_code(
        package,
        """
        from model_service.model_service import SingleNodeService

        class Service(SingleNodeService):
            def inference(self, data):
                ((field, files),) = data.items()
                return {field: {name: file.read().hex() for name, file in files.items()}}
        """,
    )
    instance = start(engine="PYTORCH")
    link = Link("one", f"unix:{instance.socket_path}")
    client = InstanceClient(link, timeout_seconds=5, max_answer_bytes=1_000)
    data = bytes(range(256)) + b"\r\n--x--"
    request = InstanceRequest("POST", "/", *file_form("images", 'a "b" ü.png', data))
    room = Room(ByteBudget(0), 0)
    answer = await client.ask(request, room)
    assert (answer.status, answer.body.decode()) == (200, f'{{"images":{{"a %22b%22 ü.png":"{data.hex()}"}}}}')
    with pytest.raises(AnswerTooLarge):
        await client.ask(InstanceRequest("POST", "/", *file_form("images", "large", b"x" * 1_000)), room)
    instance.process.kill()
    instance.process.wait()
    with pytest.raises(InstanceGone):
        await client.ask(request, room)
    instance.socket_path.unlink(missing_ok=True)
    with pytest.raises(InstanceGone) as gone:
        await client.ask(request, room)
    assert not gone.value.may_have_begun
    link.close()


@pytest.mark.parametrize(
    ("row", "body"),
    [
        (["1.5", "TRUE", " x"], {"a": 1.5, "b": True, "c": " x"}),
        (["1e3", "0", ""], {"a": 1000.0, "b": False, "c": ""}),
    ],
)
def test_a_row_becomes_the_request_of_the_rule(row: list[str], body: object) -> None:
    mapping = read_mapping(NESTED)
    assert mapping.problems == ()
    assert mapping.body(row) == {"data": {"req_data": [body]}}


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (["1", "true"], "The row has 2 columns"),
        (["", "true", ""], "a takes a value of type number"),
        (["nan", "true", ""], "a takes a value of type number"),
        (["inf", "true", ""], "a takes a value of type number"),
        (["1", "perhaps", ""], "b takes a value of type boolean"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_with_its_reason(row: list[str], told: str) -> None:
    with pytest.raises(RowRefused, match=told):
        read_mapping(NESTED).body(row)


async def chunks(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.mark.parametrize("size", [1, 7, 1_000])
async def test_a_manifest_is_read_in_any_pieces(size: int) -> None:
    text = '\ufeff{"source": "/a/b.png"}\r\n\n{"source": "s3://bucket/c d.png"}'.encode()
    read = [line async for line in read_lines(chunks(text, size))]
    assert [(line.number, line.source) for line in read] == [
        (1, Source("/a/b.png", None, "a/b.png")),
        (3, Source("s3://bucket/c d.png", "bucket", "c d.png")),
    ]


@pytest.mark.parametrize(
    "line",
    ["", "[]", "{}", '{"source": 1}', '{"source": ""}', '{"source": "a/"}', '{"source": "../a"}', '{"source": "obs://b"}',
     '{"source": "https://example.com/a"}', '{"source": "' + "x" * LINE_LIMIT_BYTES + '"}', "[" * 5_000],
)  # fmt: skip
async def test_a_wrong_line_is_told_with_its_number(line: str) -> None:
    text = f'{{"source": "a"}}\n{line or "x"}\n'.encode()
    (_, wrong) = [read async for read in read_lines(chunks(text, 1_000))]
    assert (wrong.number, wrong.source) == (2, None)
    assert wrong.fault
