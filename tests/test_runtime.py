"""The instance's life: how it starts, what it refuses, how it stops. Real child processes and sockets."""

import json
import pickle
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.instance_process import DEADLINE_SECONDS, PASS_THROUGH, ROOT, Start, wait_for, write_code

pytest_plugins = ("tests.instance_fixture",)


@pytest.mark.parametrize(
    ("code", "expected", "message"),
    [
        ("import no_such_library", "INFERENCE_CODE_NOT_IMPORTED", "No module named 'no_such_library'"),
        ("def broken(:", "INFERENCE_CODE_NOT_IMPORTED", "SyntaxError"),
        ("import sys; sys.exit(4)", "INFERENCE_CODE_NOT_IMPORTED", "SystemExit: 4"),
        ("import model_service.spark_model_service", "INFERENCE_CODE_NOT_IMPORTED", "Spark_MLlib is not served"),
        ("import model_service.caffe_model_service", "INFERENCE_CODE_NOT_IMPORTED", "Caffe is not served"),
        ("import mms.model_service.mxnet_model_service", "INFERENCE_CODE_NOT_IMPORTED", "MXNet is not served"),
        ("from model_service.pytorch_model_service import *", "SERVICE_CLASS_MISSING", "no subclass"),
        (
            """
            from model_service.pytorch_model_service import PTServingBaseService
            class B(PTServingBaseService): pass
            class A(PTServingBaseService): pass
            """,
            "SERVICE_CLASS_NOT_UNIQUE",
            "it has A, B",
        ),
        (
            """
            from model_service.pytorch_model_service import PTServingBaseService
            class Service(PTServingBaseService):
                def __init__(self, model_name, model_path):
                    raise ValueError("weights do not fit")
            """,
            "SERVICE_NOT_CONSTRUCTED",
            "ValueError: weights do not fit",
        ),
    ],
)
def test_code_that_cannot_start_ends_with_3_and_says_why(
    package: Path, start: Start, code: str, expected: str, message: str
) -> None:
    write_code(package, code)
    instance = start(engine="PYTORCH", ready=False)

    assert instance.process.wait(DEADLINE_SECONDS) == 3
    assert "Traceback" in instance.log()
    event = json.loads(instance.log().splitlines()[-1])
    assert (event["event"], event["code"]) == ("start_failed", expected)
    assert message in event["message"]
    assert not instance.socket_path.exists()


@pytest.mark.parametrize(
    ("content", "engine", "expected", "message"),
    [
        (None, "SCIKIT_LEARN", "MODEL_FILE_MISSING", "model.m"),
        (b"not a model", "SCIKIT_LEARN", "MODEL_NOT_LOADED", "model.m could not be loaded"),
        (pickle.dumps([1]), "SCIKIT_LEARN", "MODEL_NOT_LOADED", "a list has no predict method"),
        (b"binf\0\0", "XGBOOST", "MODEL_NOT_LOADED", "old binary format"),
        (b"{}", "XGBOOST", "MODEL_NOT_LOADED", "model.m could not be loaded"),
        (b"weights", "PYTORCH", "INFERENCE_CODE_MISSING", "A PYTORCH model needs a customize_service.py"),
    ],
)
def test_a_model_that_does_not_load_ends_with_3_and_says_why(
    package: Path, start: Start, content: bytes | None, engine: str, expected: str, message: str
) -> None:
    if content is not None:
        (package / "model.m").write_bytes(content)
    instance = start("model.m", engine=engine, ready=False)

    assert instance.process.wait(DEADLINE_SECONDS) == 3
    event = json.loads(instance.log().splitlines()[-1])
    assert (event["event"], event["code"]) == ("start_failed", expected)
    assert message in event["message"]


def test_code_that_leaves_predicting_to_its_base_class_is_not_ready_without_the_model(
    package: Path, start: Start
) -> None:
    (package / "model.m").write_bytes(b"not a model")
    write_code(
        package,
        """
        from model_service.python_model_service import XgSklServingBaseService
        class Service(XgSklServingBaseService):
            def _postprocess(self, data):
                return list(data)
        """,
    )
    instance = start("model.m", engine="SCIKIT_LEARN", ready=False)
    assert instance.process.wait(DEADLINE_SECONDS) == 3
    event = json.loads(instance.log().splitlines()[-1])
    assert (event["event"], event["code"]) == ("start_failed", "SERVICE_NOT_CONSTRUCTED")


def test_unusable_apis_and_sockets_are_named(package: Path, start: Start) -> None:
    write_code(package, PASS_THROUGH)
    (package.parent / "apis.json").write_text("7")
    broken = start("", f"--api-file={package.parent / 'apis.json'}", engine="PYTORCH", ready=False)
    assert broken.process.wait(DEADLINE_SECONDS) == 3
    assert broken.events()[-1]["code"] == "API_FILE_INVALID"
    homeless = start("", f"--socket={package / 'no' / 'folder'}", engine="PYTORCH", ready=False)
    assert homeless.process.wait(DEADLINE_SECONDS) == 3
    assert homeless.events()[-1]["code"] == "SOCKET_NOT_OPENED"


def test_a_socket_left_behind_is_replaced_and_is_the_owners_alone(package: Path, start: Start) -> None:
    write_code(package, PASS_THROUGH)
    killed = start(engine="PYTORCH")
    killed.process.kill()
    killed.process.wait(DEADLINE_SECONDS)
    assert killed.socket_path.exists()

    again = start("", f"--socket={killed.socket_path}", engine="PYTORCH")

    assert killed.client.post("/", json={"a": 1}).json() == {"a": 1}
    assert killed.socket_path.stat().st_mode & 0o777 == 0o600
    assert again.stop() == 0
    assert not killed.socket_path.exists()


# Answers when the file named in the request appears.
PATIENT = """
    import pathlib, time
    from model_service.model_service import SingleNodeService

    class Service(SingleNodeService):
        def inference(self, data):
            pathlib.Path(data["began"]).touch()
            while not pathlib.Path(data["release"]).exists():
                time.sleep(0.005)
            return "released"
"""


@dataclass(frozen=True)
class Held:
    """A prediction that takes as long as the test likes."""

    began: Path
    release: Path

    def request(self) -> dict[str, str]:
        return {"began": str(self.began), "release": str(self.release)}

    def wait_until_begun(self) -> None:
        wait_for(self.began.exists, "the prediction's begin")


@pytest.fixture
def held(tmp_path: Path) -> Held:
    return Held(tmp_path / "began", tmp_path / "release")


def test_a_prediction_over_the_limit_is_answered_and_the_instance_recovers(
    package: Path, start: Start, held: Held
) -> None:
    write_code(package, PATIENT)
    instance = start("", "--timeout-seconds=0.3", engine="PYTORCH")

    late = instance.client.post("/", json=held.request())
    assert (late.status_code, late.json()["code"]) == (504, "PREDICTION_TIMED_OUT")
    assert late.json()["message"] == "The prediction took longer than 0.3 seconds."
    health = instance.client.get("/health")
    assert (health.status_code, health.json()) == (503, {"health": "false"})
    busy = instance.client.post("/", json=held.request())
    assert (busy.status_code, busy.json()["code"]) == (503, "INSTANCE_BUSY")

    held.release.touch()
    wait_for(instance.is_healthy, "the recovery")
    assert instance.client.post("/", json=held.request()).json() == "released"


def test_waiting_for_a_thread_counts_towards_the_limit(package: Path, start: Start, held: Held) -> None:
    write_code(package, PATIENT)
    instance = start("", "--timeout-seconds=1", engine="PYTORCH")
    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(lambda _: instance.client.post("/", json=held.request()), range(2)))
    held.release.touch()
    assert {answer.json()["code"] for answer in answers} <= {"PREDICTION_TIMED_OUT", "INSTANCE_BUSY"}
    wait_for(instance.is_healthy, "the recovery")


def test_bodies_over_the_limit_are_refused_by_their_length_and_while_they_arrive(package: Path, start: Start) -> None:
    write_code(package, PASS_THROUGH)
    client = start("", "--max-body-bytes=1000", engine="PYTORCH").client

    def chunks() -> Iterator[bytes]:
        for _ in range(20):
            yield b" " * 100

    for content in (b" " * 1001, chunks()):
        response = client.post("/", content=content)
        assert (response.status_code, response.json()["code"]) == (413, "BODY_TOO_LARGE")
    assert client.post("/", content=b'{"a":' + b" " * 900 + b"1}").json() == {"a": 1}


def test_a_body_that_does_not_come_is_not_waited_for(package: Path, start: Start) -> None:
    write_code(package, PASS_THROUGH)
    instance = start("", "--timeout-seconds=0.3", engine="PYTORCH")

    def stalled() -> Iterator[bytes]:
        yield b"{"
        wait_for(lambda: time.monotonic() > asked + 1, "the time limit")
        yield b"}"

    asked = time.monotonic()
    response = instance.client.post("/", content=stalled())
    assert (response.status_code, response.json()["code"]) == (408, "BODY_TIMED_OUT")


def test_large_bodies_arrive_whole(package: Path, start: Start) -> None:
    write_code(package, PASS_THROUGH)
    value = "x" * (11 * 1024 * 1024)
    assert start(engine="PYTORCH").client.post("/", json={"a": value}).json() == {"a": value}


def test_sigterm_finishes_what_is_in_flight_and_takes_nothing_new(package: Path, start: Start, held: Held) -> None:
    write_code(package, PATIENT)
    instance = start(engine="PYTORCH")
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(instance.client.post, "/", json=held.request())
        held.wait_until_begun()
        instance.process.terminate()
        wait_for(lambda: not instance.accepts_connections(), "closing the socket")
        held.release.touch()
        assert answer.result(DEADLINE_SECONDS).json() == "released"
    assert instance.process.wait(DEADLINE_SECONDS) == 0
    assert instance.events()[-1] == {"event": "stopped"}
    assert not instance.socket_path.exists()


def test_a_second_sigterm_ends_it_at_once(package: Path, start: Start, held: Held) -> None:
    write_code(package, PATIENT)
    instance = start("", "--grace-seconds=1000", engine="PYTORCH")
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(instance.client.post, "/", json=held.request())
        held.wait_until_begun()
        instance.process.terminate()
        wait_for(lambda: not instance.accepts_connections(), "closing the socket")
        instance.process.terminate()
        assert instance.process.wait(DEADLINE_SECONDS) == 1
        with pytest.raises(httpx.TransportError):
            answer.result(DEADLINE_SECONDS)


def test_nothing_keeps_it_alive_past_its_grace(package: Path, start: Start, held: Held) -> None:
    write_code(package, PATIENT + "\n    import threading; threading.Thread(target=threading.Event().wait).start()")
    instance = start("", "--grace-seconds=1", engine="PYTORCH")
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(instance.client.post, "/", json=held.request())
        held.wait_until_begun()
        assert instance.stop() == 0
        assert answer.exception(DEADLINE_SECONDS) is not None or answer.result().status_code >= 500


def test_sigterm_while_loading_ends_it(package: Path, start: Start) -> None:
    write_code(
        package,
        """
        import threading
        print('{"event": "loading"}')
        threading.Event().wait()
        """,
    )
    instance = start(engine="PYTORCH", ready=False)
    assert instance.events() == [{"event": "loading"}]
    assert instance.stop() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="the parent's death is a signal on Linux only")
def test_it_dies_with_the_process_that_started_it(package: Path, tmp_path: Path) -> None:
    write_code(package, PASS_THROUGH)
    program = "import subprocess, sys; print(subprocess.Popen(sys.argv[1:]).pid, flush=True); sys.stdin.read()"
    with tempfile.TemporaryDirectory() as sockets, (tmp_path / "log").open("wb") as log:
        socket = Path(sockets) / "socket"
        serve = [sys.executable, str(ROOT / "runtime" / "serve.py"), f"--socket={socket}", f"--package={package}"]
        serve += ["--engine=PYTORCH", "--model-name=m", "--model-version=0.0.1", "--die-with-parent"]
        parent = subprocess.Popen(
            [sys.executable, "-c", program, *serve], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
        )
        with parent:
            assert parent.stdout is not None
            pid = int(parent.stdout.readline())
            wait_for(lambda: '"ready"' in (tmp_path / "log").read_text(), "starting")
            parent.kill()
        wait_for(lambda: not is_running(pid), "the instance's end")


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


BLOCK = re.compile(r'^```\w+ title="([^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)


def documented_blocks() -> dict[str, str]:
    return dict(BLOCK.findall((ROOT / "docs" / "packages.md").read_text()))


def test_the_model_without_code_answers_as_written(package: Path, start: Start) -> None:
    blocks = documented_blocks()
    subprocess.run([sys.executable, "-c", blocks["train.py"]], cwd=package.parent, check=True, timeout=60)
    (package / "config.json").write_text(blocks["model/config.json"])
    command = shlex.split(blocks["serve"].replace("\\\n", " "))
    assert command[:6] == [
        ".venv/bin/python",
        "runtime/serve.py",
        "--socket",
        "instance.sock",
        "--package",
        "model",
    ]
    assert command[6:8] == ["--model-path", "model.m"]

    instance = start(*command[7:])

    response = instance.client.post("/", content=blocks["request"], headers={"content-type": "application/json"})
    assert response.json() == json.loads(blocks["response"])


def test_the_inference_code_answers(package: Path, start: Start) -> None:
    blocks = documented_blocks()
    for name in ("customize_service.py", "words.py"):
        (package / name).write_text(blocks[name])
    (package / "model.json").write_text('{"minimum_length": 5}')
    instance = start("model.json", engine="CUSTOM")

    response = instance.client.post("/", files={"document": ("a.txt", b"The quick brown fox")})

    assert response.json() == {"a.txt": ["quick", "brown"]}
    assert instance.client.post("/", json={}).json()["code"] == "INVALID_INPUT"


def test_every_code_of_an_error_is_documented() -> None:
    text = (ROOT / "docs" / "packages.md").read_text()
    for file in ("request_error.py", "start_error.py"):
        codes = re.findall(r'= "([A-Z_]+)"', (ROOT / "runtime" / "modelyard_runtime" / file).read_text())
        assert codes
        assert not [code for code in codes if f"`{code}`" not in text]
