"""Callers of an instance that go away before their prediction has begun."""

from contextlib import closing
from pathlib import Path
from socket import AF_UNIX, socket

from tests.instance_process import Instance, Start, wait_for, write_code

pytest_plugins = ("tests.instance_fixture",)

# The first prediction waits for a file; each one tells in the log that it has begun.
CODE = """
    import os, time
    from model_service.model_service import SingleNodeService

    class Service(SingleNodeService):
        def inference(self, data):
            print("began", data["name"], flush=True)
            while data["name"] == "first" and not os.path.exists(data["gate"]):
                time.sleep(0.01)
            return {"name": data["name"]}
"""


def ask(instance: Instance, name: str, gate: Path) -> socket:
    connection = socket(AF_UNIX)
    connection.connect(str(instance.socket_path))
    body = f'{{"name": "{name}", "gate": "{gate}"}}'.encode()
    head = f"POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)
    return connection


def answer(connection: socket) -> bytes:
    received = b""
    while not received.endswith(b"}"):
        part = connection.recv(4096)
        assert part, received
        received += part
    return received


def test_what_has_not_begun_when_its_caller_goes_never_begins(package: Path, start: Start, tmp_path: Path) -> None:
    write_code(package, CODE)
    instance = start()
    gate = tmp_path / "gate"
    with closing(ask(instance, "first", gate)) as first:
        wait_for(lambda: "began first" in instance.log(), "the first prediction")
        gone = [ask(instance, "gone", gate) for _ in range(3)]
        with closing(ask(instance, "staying", gate)) as staying:
            # What was sent before has been read by then: the loop serves connections in turn.
            assert instance.is_healthy()
            for connection in gone:
                connection.close()
            assert instance.is_healthy()
            gate.touch()
            assert answer(first).endswith(b'{"name":"first"}')
            assert answer(staying).endswith(b'{"name":"staying"}')
    assert "began gone" not in instance.log()
