import asyncio
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from engines.build_failure import build_failure, out_of_time
from engines.engine import BuildFailed, EnvironmentSpecification
from engines.environment import EnvironmentStore
from engines.package_source import PackageSource, complete, python_with_pip
from engines.resolution import gpu_packages
from engines.runtime_catalogue import INSTALLED, default_runtime, map_errors, requirements_for, resolve, runtimes
from tests.deadline import eventually

SIX_WHEEL = "8abb2f1d86890a2dfb989f9a77cfcfd3e47c2a354b01111771326f8aa26e0254"
SIX = EnvironmentSpecification(INSTALLED, ("six==1.16.0",))


def store_in(folder: Path, source: PackageSource | None = None, *, serving: str = "") -> EnvironmentStore:
    folder.mkdir(exist_ok=True)
    requirements = folder / "requirements.txt"
    requirements.write_text(serving)
    return EnvironmentStore(folder / "environments", requirements, source or PackageSource())


async def build(store: EnvironmentStore, environment: EnvironmentSpecification) -> list[str]:
    lines: list[str] = []
    await store.build(environment, log=lines.append, timeout_seconds=300)
    return lines


BUILDER = """
import asyncio, pathlib, sys
from tests.test_environment import EnvironmentSpecification, INSTALLED, build, store_in
asyncio.run(build(store_in(pathlib.Path(sys.argv[1])), EnvironmentSpecification(INSTALLED, ("networkx==3.4.2",))))
"""


def make_wheel(folder: Path, name: str, files: dict[str, str]) -> Path:
    """A wheel with these files at the top of site-packages."""
    module = name.replace("-", "_")
    wheel = folder / f"{module}-1.0-py3-none-any.whl"
    about = f"{module}-1.0.dist-info"
    described = {
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    contents = {**files, **described}
    record = "".join(f"{path},,\n" for path in [*contents, f"{about}/RECORD"])
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in {**contents, f"{about}/RECORD": record}.items():
            archive.writestr(path, text)
    return wheel


def run_in(store: EnvironmentStore, environment: EnvironmentSpecification, code: str) -> str:
    python = store.folder(environment) / "bin" / "python"
    return subprocess.run([python, "-I", "-c", code], check=True, capture_output=True, text=True).stdout.strip()


async def failure_of(store: EnvironmentStore, *requirements: str) -> BuildFailed:
    environment = EnvironmentSpecification(INSTALLED, requirements)
    with pytest.raises(BuildFailed) as caught:
        await build(store, environment)
    assert not await store.is_built(environment)
    return caught.value


async def test_an_environment_has_what_was_asked_for_and_the_serving_libraries_last(tmp_path: Path) -> None:
    store = store_in(tmp_path, serving=f"six==1.16.0 --hash=sha256:{SIX_WHEEL}\n")
    environment = EnvironmentSpecification(INSTALLED, ("six==1.17.0",))
    lines = await build(store, environment)
    assert any("six==1.17.0" in line for line in lines)
    assert await store.is_built(environment)
    assert run_in(store, environment, "import six; print(six.__version__)") == "1.17.0"
    last = run_in(store, environment, "import sys; print(sys.path[-1])")
    assert last == str(store.serving_folder() / "site-packages")
    assert list(Path(last).glob("__pycache__/six.*.pyc"))


async def test_a_second_build_does_nothing(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    await build(store, SIX)
    made = store.folder(SIX).stat().st_mtime_ns
    assert await build(store, SIX) == ["The environment is there already."]
    assert store.folder(SIX).stat().st_mtime_ns == made


async def test_two_builders_build_once(tmp_path: Path) -> None:
    first, second = await asyncio.gather(build(store_in(tmp_path), SIX), build(store_in(tmp_path), SIX))
    assert sum("The environment is built." in lines for lines in (first, second)) == 1
    assert "The environment is there already." in first + second


async def test_a_missing_version_is_named_and_never_replaced(tmp_path: Path) -> None:
    failure = await failure_of(store_in(tmp_path), "six==99.0")
    assert (failure.package, failure.requirement) == ("six", "six==99.0")
    said = "There is no six 99.0. It was asked for as six==99.0. Name a version that there is."
    assert failure.message == said


async def test_a_missing_package_is_named(tmp_path: Path) -> None:
    failure = await failure_of(store_in(tmp_path), "six==1.16.0", "modelyard-no-such-package-here>=1")
    assert failure.package == "modelyard-no-such-package-here"
    assert failure.requirement == "modelyard-no-such-package-here>=1"


async def test_requirements_that_contradict_each_other_are_named(tmp_path: Path) -> None:
    failure = await failure_of(store_in(tmp_path), "six==1.16.0", "six==1.17.0")
    assert failure.package == "six"
    assert "contradict" in failure.message


async def test_a_package_without_a_wheel_for_this_interpreter_is_named(tmp_path: Path) -> None:
    failure = await failure_of(store_in(tmp_path), "numpy==1.10.0")
    assert (failure.package, failure.requirement) == ("numpy", "numpy==1.10.0")
    assert "no wheel for Python" in failure.message


@pytest.mark.parametrize(
    "line", ["--index-url=http://127.0.0.1:9/", "-r x", "six @ http://127.0.0.1:9/six.whl", "six\nx"]
)
async def test_lines_that_lead_elsewhere_are_refused(tmp_path: Path, line: str) -> None:
    failure = await failure_of(store_in(tmp_path), line)
    assert failure.requirement == line


async def test_an_index_that_does_not_answer_is_said_so_without_its_password(tmp_path: Path) -> None:
    source = PackageSource(index_url="http://somebody:hushhush@127.0.0.1:9/simple")
    lines: list[str] = []
    with pytest.raises(BuildFailed, match="The package index did not answer") as caught:
        await store_in(tmp_path, source).build(SIX, log=lines.append, timeout_seconds=120)
    assert "hushhush" not in "\n".join([*lines, caught.value.message])


@pytest.mark.skipif(python_with_pip() is None, reason="no interpreter of this installation has pip")
async def test_pip_has_its_turn_where_uv_fails_for_a_reason_of_its_own(tmp_path: Path) -> None:
    store = store_in(tmp_path, PackageSource(find_links=(str(tmp_path / "not-there"),)))
    lines = await build(store, SIX)
    assert "uv could not do it; pip tries." in lines
    assert run_in(store, SIX, "import six; print(six.__version__)") == "1.16.0"


async def test_a_build_runs_nothing_of_what_it_installs(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    wheel = make_wheel(tmp_path, "import-me", {"evil.pth": f"import pathlib; pathlib.Path({str(trace)!r}).touch()\n"})
    store = store_in(tmp_path)
    environment = EnvironmentSpecification(INSTALLED, (), (wheel,))
    await build(store, environment)
    assert not trace.exists()
    run_in(store, environment, "pass")
    assert trace.exists()


async def test_a_build_sees_nothing_of_the_servers_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://secret")
    assert "DATABASE_URL" not in PackageSource().environment()
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.example/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://one.example/ https://two.example/")
    if python_with_pip() is not None:
        source = await complete(PackageSource(find_links=(str(tmp_path),)))
        assert source.index_url == "https://index.example/simple"
        assert source.extra_index_urls == ("https://one.example/", "https://two.example/")
        assert source.find_links == (str(tmp_path),)


async def test_a_build_that_takes_too_long_counts_for_nothing(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    with pytest.raises(BuildFailed, match=r"not built within 0\.01 s"):
        await store.build(SIX, log=print, timeout_seconds=0.01)
    assert not await store.is_built(SIX)


def test_a_build_that_takes_too_long_names_what_it_was_downloading() -> None:
    lines = ["Resolved 3 packages in 4ms", "Downloading torch (170.0MiB)", "Downloading numpy (15.9MiB)"]
    failure = out_of_time(60, [*lines, " Downloaded numpy"], ("torch==2.13.0", "numpy"))
    assert (failure.package, failure.requirement) == ("torch", "torch==2.13.0")
    assert "not built within 60 s; torch was still being downloaded" in failure.message
    assert "MODELYARD_BUILD_TIMEOUT_SECONDS" in failure.message
    assert out_of_time(60, lines[:1], ()).package is None


async def test_a_killed_build_leaves_nothing_that_counts_and_is_done_again(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    big = EnvironmentSpecification(INSTALLED, ("networkx==3.4.2",))
    builder = subprocess.Popen(
        [sys.executable, "-c", BUILDER, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(["", *sys.path])},
    )
    await eventually((store.folder(big) / "lib").exists, within_seconds=60)
    builder.send_signal(signal.SIGKILL)
    builder.wait()
    assert not await store.is_built(big)
    await build(store, big)
    assert run_in(store, big, "import networkx; print(networkx.__version__)") == "3.4.2"


async def test_another_set_of_serving_libraries_makes_another_environment(tmp_path: Path) -> None:
    before = store_in(tmp_path).folder(SIX)
    assert store_in(tmp_path, serving="# other\n").folder(SIX) != before


def test_the_digest_depends_on_what_is_installed(tmp_path: Path) -> None:
    wheel = tmp_path / "a-1-py3-none-any.whl"
    wheel.write_bytes(b"one")
    with_wheel = EnvironmentSpecification(INSTALLED, (), (wheel,))
    first = with_wheel.digest
    wheel.write_bytes(b"two")
    assert len({first, with_wheel.digest, SIX.digest, EnvironmentSpecification(INSTALLED, ("six",)).digest}) == 4


def test_gpu_packages_are_recognised_by_name() -> None:
    pinned = [
        "torch==2.13.0",
        "nvidia-cublas==13.1",
        "triton==3.7",
        "cuda-toolkit==13",
        "nvidia-ml-py==13",
        "tritonclient==2",
    ]
    assert gpu_packages(pinned) == ("nvidia-cublas", "triton", "cuda-toolkit")


@pytest.mark.parametrize(
    ("errors", "package", "words"),
    [
        ("ERROR: No matching distribution found for six==99.0", "six", "There is no six 99.0"),
        (
            "ERROR: Could not find a version that satisfies the requirement six==99.0 (from versions: 1.0.0, 1.16.0)",
            "six",
            "there are 1.0.0, 1.16.0",
        ),
        ("  x Failed to build `mmcv-full==1.0.0`", "mmcv-full", "could not be built from its source"),
        (
            "error: Failed to download `six==99.0`\n  cause: failed to write: No space left on device (os error 28)",
            "six",
            "full while six was installed. Free space",
        ),
        (
            "error: Failed to install: six-99.0-py3-none-any.whl (six==99.0)\n  cause: No space left on device",
            "six",
            "MODELYARD_DATA_DIR",
        ),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
            None,
            "became full",
        ),
        (
            "error: HTTP status server error (503 Service Unavailable) for url (https://index.example/six/)",
            None,
            "answered 503 Service Unavailable (https://index.example/six/). Try again later",
        ),
        ("error: Failed to fetch: `https://index.example/six/`", None, "did not answer (https://index.example/six/)"),
        ("error: something new", None, "something new"),
        (
            "Because all versions of sklearn have no usable wheels and you require sklearn, we can conclude that …",
            "sklearn",
            "sklearn has no wheel for Python",
        ),
    ],
)
def test_what_installers_say_becomes_a_sentence(errors: str, package: str | None, words: str) -> None:
    failure = build_failure(errors, ("six==99.0", "mmcv-full==1.0"))
    assert failure.package == package
    assert words in failure.message


@pytest.mark.slow
async def test_torch_is_the_build_for_cpus(tmp_path: Path) -> None:
    runtime = default_runtime("PYTORCH")
    assert runtime is not None
    environment = EnvironmentSpecification(runtime.name, runtime.requirements)
    store = store_in(tmp_path)
    try:
        await build(store, environment)
    except BuildFailed as failure:
        if failure.package != "torch" or "GPU packages" not in failure.message:
            raise
        pytest.skip(f"no CPU build of torch in the package source: {failure.message}")
    assert run_in(store, environment, "import torch; print(torch.__version__)") == "2.13.0+cpu"
    assert not list((store.folder(environment) / "lib").glob("*/site-packages/nvidia*"))


@pytest.mark.slow
async def test_xgboost_comes_without_nccl(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    environment = EnvironmentSpecification(INSTALLED, ("xgboost==3.2.0",))
    await build(store, environment)
    assert run_in(store, environment, "import xgboost; print(xgboost.__version__)") == "3.2.0"
    assert not list((store.folder(environment) / "lib").glob("*/site-packages/nvidia*"))


async def test_torch_without_a_build_for_cpus_is_refused_and_says_what_to_do(tmp_path: Path) -> None:
    source = PackageSource(find_links=(str(tmp_path),), extra_index_urls=("https://pypi.org/simple",))
    failure = await failure_of(store_in(tmp_path, source), "torch==2.13.0")
    assert (failure.package, failure.requirement) == ("torch", "torch==2.13.0")
    assert "MODELYARD_ALLOW_GPU_PACKAGES" in failure.message


def test_the_catalogue_says_what_this_installation_has() -> None:
    for engine in ("SCIKIT_LEARN", "XGBOOST", "PYTORCH", "TENSORFLOW", "ONNX"):
        runtime = default_runtime(engine)
        assert runtime is not None
        assert (runtime.name, runtime.is_available) == (INSTALLED, True)
        assert resolve(engine, None) == resolve(engine, INSTALLED) == runtime
    old = resolve("PYTORCH", "python3.6")
    assert old is not None
    assert not old.is_available
    assert old.reason == f"This installation runs {INSTALLED}; it has no python3.6."
    assert (old.interpreter, old.requirements, old.nearest, old.maps_to) == (None, (), INSTALLED, None)
    for runtime in runtimes("MXNET"):
        assert (runtime.is_available, runtime.nearest) == (False, None)
        assert "retired" in (runtime.reason or "")
    assert default_runtime("MXNET") is None
    assert resolve("XGBOOST", "python9.9") is None
    assert {runtime.ai_engine for runtime in runtimes()} > {"TENSORFLOW", "CAFFE", "MINDSPORE"}


def test_the_catalogue_knows_the_names_of_images_by_their_form() -> None:
    for name in (
        "tensorflow_1.15.0-cann_6.3.0-py_3.7-euler_2.8.3-aarch64",
        "tensorflow_2.1.0-cuda_10.1-py_3.7-ubuntu_18.04-x86_64",
        "tensorflow_2.6.0-cpu-py_3.9-ubuntu_18.04-x86_64",
    ):
        found = resolve("TENSORFLOW", name)
        assert found is not None
        assert (found.name, found.is_available, found.nearest) == (name, False, INSTALLED)
        assert resolve("PYTORCH", name) is None
    assert resolve("TENSORFLOW", "tensorflow_2.6.0-tpu-py_3.9-ubuntu_18.04-x86_64") is None


def test_the_operator_can_map_runtimes_to_what_there_is() -> None:
    runtime_map = {"python3.6": INSTALLED, "PYTORCH:mine-1": INSTALLED, "XGBOOST:python3.6": "python9.9"}
    assert map_errors(runtime_map) == [f"'python9.9' is not here to replace 'python3.6'; {INSTALLED} is."]
    assert resolve("PYTORCH", "python3.6", runtime_map) == default_runtime("PYTORCH")
    assert resolve("PYTORCH", "mine-1", runtime_map) == default_runtime("PYTORCH")
    assert resolve("TENSORFLOW", "mine-1", runtime_map) is None
    unserved = resolve("MXNET", "python3.6", runtime_map)
    assert unserved is not None
    assert not unserved.is_available
    shown = {runtime.name: runtime for runtime in runtimes("PYTORCH", runtime_map)}
    default = shown[INSTALLED]
    for name in ("python3.6", "mine-1"):
        assert (shown[name].maps_to, shown[name].is_available) == (INSTALLED, False)
        assert (shown[name].interpreter, shown[name].requirements) == (INSTALLED, default.requirements)
        assert "operator" in (shown[name].reason or "")
    assert shown["python3.7"].maps_to is None


@pytest.mark.parametrize("entry", ["SPARK:python3.6", "MXNET:python3.6", INSTALLED])
def test_a_map_that_could_never_hold_is_an_error(entry: str) -> None:
    assert len(map_errors({entry: INSTALLED})) == 1


@pytest.mark.parametrize(
    ("engine", "declared", "expected"),
    [
        ("SCIKIT_LEARN", (), ("scikit-learn==1.7.2", "joblib==1.6.0", "numpy==2.4.6")),
        ("SCIKIT_LEARN", ("scikit_learn==1.5.2",), ("joblib", "numpy", "scikit_learn==1.5.2")),
        ("XGBOOST", ("xgboost==2.1.4",), ("scikit-learn", "numpy", "xgboost==2.1.4")),
        ("PYTORCH", ("numpy<2",), ("torch==2.13.0", "numpy<2")),
        ("TENSORFLOW", ("tensorflow==2.19.0",), ("numpy", "tensorflow==2.19.0")),
    ],
)
def test_what_a_package_declares_wins(engine: str, declared: Sequence[str], expected: Sequence[str]) -> None:
    runtime = default_runtime(engine)
    assert runtime is not None
    assert requirements_for(runtime, declared) == expected
