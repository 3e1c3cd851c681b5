"""Packages that fail their import or are let through with a warning: every problem at once, and nothing run."""

from pathlib import Path
from typing import Any

import pytest

from db.connection import Pool
from engines.runtime_catalogue import INSTALLED
from tests.api import Api, config, running_server
from tests.packages import (
    CUSTOM_CODE,
    MXNET,
    NOTES,
    SCIKIT_LEARN,
    Package,
    blobs,
    dependency,
    files_of,
    foreign_pickle,
    found,
    import_package,
    mxnet_package,
    network,
    pytorch_package,
    scikit_learn_package,
    shell_pickle,
    upload_job,
    without,
)

IMAGE = {"customImage": {"image": "registry.example.com/iris:1"}}
OLD_RUNTIME = "python3.6"
WHEEL = "iris-1.0-py3-none-any.whl"
SHELL = "posix.system"
LINES = b'{\n  "model_type": "TensorFlow",\n  "model_algorithm": "x", // mine\n}'
BAD_PACKAGES: dict[str, tuple[Package, dict[str, Any], set[tuple[str, str | None, str | None]]]] = {
    "nothing-but-notes": (NOTES, MXNET, {("MODEL_DIRECTORY_MISSING", None, None)}),
    "other-version": (
        {path.replace("model/", "V0007/model/", 1): data for path, data in mxnet_package().items()},
        MXNET,
        {("MODEL_DIRECTORY_MISSING", None, None)},
    ),
    "misplaced": (
        {path.replace("model/", "out/", 1): data for path, data in mxnet_package().items()},
        MXNET,
        {("MODEL_DIRECTORY_MISSING", None, None)},
    ),
    "no-config": (network(), MXNET, {("CONFIG_MISSING", "config.json", None)}),
    "two-configs": (
        {**mxnet_package(), "model/old/config.json": b"{}"},
        MXNET,
        {("CONFIG_NOT_UNIQUE", "old/config.json", None)},
    ),
    "comment": (
        {**network(), "model/config.json": LINES},
        MXNET,
        {("CONFIG_NOT_JSON", "config.json", None)},
    ),
    "empty-config": (
        {**network(), "model/config.json": b""},
        MXNET,
        {("CONFIG_NOT_JSON", "config.json", None)},
    ),
    "wrong-values": (
        mxnet_package(
            model_algorithm="图",
            metrics={"f1": "good"},
            apis=[{"url": "/predict", "method": "put"}],
            dependencies=dependency({"package_name": "-r x"}, {"package_name": "six", "package_version": "1"}),
        ),
        MXNET,
        {
            ("CONFIG_INVALID", "config.json", "/model_algorithm"),
            ("CONFIG_INVALID", "config.json", "/metrics/f1"),
            ("CONFIG_INVALID", "config.json", "/apis/0/url"),
            ("CONFIG_INVALID", "config.json", "/apis/0/method"),
            ("CONFIG_INVALID", "config.json", "/dependencies/0/packages/0/package_name"),
            ("CONFIG_INVALID", "config.json", "/dependencies/0/packages/1/package_version"),
        },
    ),
    "no-type": (
        mxnet_package(model_type=None),
        MXNET,
        {("CONFIG_INVALID", "config.json", "/model_type")},
    ),
    "no-model-file": (
        {"model/config.json": config(), "model/notes.txt": b"soon"},
        SCIKIT_LEARN,
        {("MODEL_FILE_MISSING", None, None)},
    ),
    "no-model-file-of-the-recorded-engine": (
        {"model/config.json": b"{]", "model/notes.txt": b"soon"},
        SCIKIT_LEARN,
        {("CONFIG_NOT_JSON", "config.json", None), ("MODEL_FILE_MISSING", None, None)},
    ),
    "two-model-files": (
        {"model/config.json": config(), "model/a.m": b"\x80\x04].", "model/b.m": b"\x80\x04]."},
        SCIKIT_LEARN,
        {("MODEL_FILE_NOT_UNIQUE", "a.m", None)},
    ),
    "empty-model-file": (
        {"model/config.json": config(), "model/model.m": b""},
        SCIKIT_LEARN,
        {("MODEL_FILE_EMPTY", "model.m", None)},
    ),
    "no-code": (
        without(pytorch_package(), "model/customize_service.py"),
        {"framework": {"aiEngine": "PYTORCH"}},
        {("INFERENCE_CODE_MISSING", "customize_service.py", None)},
    ),
    "two-codes": (
        {**pytorch_package(), "model/lib/customize_service.py": CUSTOM_CODE},
        {"framework": {"aiEngine": "PYTORCH"}},
        {("INFERENCE_CODE_NOT_UNIQUE", "lib/customize_service.py", None)},
    ),
    "docker-and-keras": (
        {**mxnet_package(), "model/Dockerfile": b"FROM scratch", "model/weights.h5": b"\x89HDF"},
        MXNET,
        {("DOCKERFILE_PRESENT", "Dockerfile", None), ("UNSUPPORTED_FORMAT", "weights.h5", None)},
    ),
    "no-wheel": (
        mxnet_package(dependencies=dependency({"package_name": WHEEL})),
        MXNET,
        {("WHEEL_MISSING", WHEEL, None)},
    ),
    "image-with-dependencies": (
        {"model/config.json": config(model_type="Image", dependencies=dependency({"package_name": "six"}))},
        IMAGE,
        {("CONFIG_INVALID", "config.json", "/dependencies")},
    ),
    "unknown-runtime-and-bad-pickles": (
        {
            "model/config.json": config(runtime=OLD_RUNTIME),
            "model/model.m": shell_pickle(),
            "model/labels/names.pkl": shell_pickle(),
        },
        SCIKIT_LEARN,
        {
            ("RUNTIME_UNAVAILABLE", "config.json", "/runtime"),
            ("UNSAFE_PICKLE", "model.m", None),
            ("UNSAFE_PICKLE", "labels/names.pkl", None),
        },
    ),
    "everything": (
        {
            "model/config.json": config(runtime=OLD_RUNTIME),
            "model/old/config.json": b"{}",
            "model/a.m": shell_pickle(),
            "model/b.m": b"\x80\x04].",
            "model/Dockerfile": b"FROM scratch",
        },
        SCIKIT_LEARN,
        {
            ("RUNTIME_UNAVAILABLE", "config.json", "/runtime"),
            ("CONFIG_NOT_UNIQUE", "old/config.json", None),
            ("MODEL_FILE_NOT_UNIQUE", "a.m", None),
            ("DOCKERFILE_PRESENT", "Dockerfile", None),
            ("UNSAFE_PICKLE", "a.m", None),
        },
    ),
}


async def test_a_bad_package_fails_its_import_with_every_problem_and_leaves_nothing_copied(
    api: Api, data_dir: Path
) -> None:
    versions = {
        name: (await upload_job(api, package, job=name, algorithm=algorithm), await api.import_version(name, "V0001"))
        for name, (package, algorithm, _) in BAD_PACKAGES.items()
    }
    for name, (_, _, expected) in BAD_PACKAGES.items():
        _, version = versions[name]
        failed = await api.imported(name, version)
        assert (failed["status"], name) == ("IMPORT_FAILED", name)
        assert (name, set(found(failed["problems"]))) == (name, expected)
        assert len(failed["problems"]) == len(expected)
        assert failed["operation"]["state"] == "FAILED"
        assert failed["operation"]["error"]["code"] == failed["problems"][0]["code"]
        assert (failed["digest"], failed["sizeBytes"], failed["deployableAs"]) == (None, None, [])
        for problem in failed["problems"]:
            assert problem["hint"] or (problem["pointer"] and problem["expected"]), problem
    assert blobs(data_dir) == set()
    assert (await api.count("model_file"), await api.count("stored_blob")) == (0, 0)
    assert await api.count("model_version") == len(BAD_PACKAGES)


async def test_problems_say_what_was_found_and_what_to_do(api: Api) -> None:
    def package(config_json: bytes) -> Package:
        return {**network(), "model/config.json": config_json}

    broken = (await import_package(api, package(LINES)))["problems"][0]
    assert "line 3, column 27" in broken["message"]
    assert "comment" in broken["hint"]

    package_of_2 = {path.replace("model/", "V0009/model/", 1): data for path, data in mxnet_package().items()}
    misplaced = (await import_package(api, package_of_2))["problems"][0]
    assert misplaced["expected"] == "V0002/model/"
    assert "V0009/model/" in misplaced["hint"]
    assert "V0002/model/" in misplaced["hint"]

    unknown = (await import_package(api, mxnet_package(model_type="TensorFlou")))["problems"][0]
    assert unknown["actual"] == '"TensorFlou"'
    assert "TensorFlow" in unknown["expected"]
    assert "TensorFlow" in unknown["hint"]

    old = await import_package(api, scikit_learn_package(runtime=OLD_RUNTIME))
    (runtime,) = old["problems"]
    assert (runtime["actual"], runtime["expected"]) == (OLD_RUNTIME, INSTALLED)
    assert "retryImport" in runtime["hint"]
    assert INSTALLED in runtime["hint"]


async def test_a_file_above_the_limit_is_refused_by_name(pool: Pool, database_url: str, data_dir: Path) -> None:
    async with running_server(pool, database_url, data_dir, model_file_limit_bytes=1_000) as running:
        api = running.client()
        package = {**mxnet_package(), "model/big.bin": bytes(1_001), "model/fits.bin": bytes(1_000)}
        failed = await import_package(api, package)
    assert found(failed["problems"]) == [("FILE_TOO_LARGE", "big.bin", None)]
    assert "1001" in failed["problems"][0]["actual"]


async def test_a_pickle_that_runs_code_is_read_but_not_run_shown_and_refused(api: Api, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    package = {**mxnet_package(), "model/labels.pkl": shell_pickle(f"touch {marker}")}
    failed = await import_package(api, package)
    assert (failed["status"], failed["operation"]["state"]) == ("IMPORT_FAILED", "FAILED")
    (problem,) = failed["problems"]
    assert (problem["code"], problem["file"], problem["actual"]) == ("UNSAFE_PICKLE", "labels.pkl", SHELL)
    assert problem["hint"]
    scans = {file["path"]: (file["scan"], file["scanGlobals"]) for file in await files_of(api, "0.0.1")}
    assert scans["labels.pkl"] == ("SUSPICIOUS", [SHELL])
    assert scans["config.json"] == ("CLEAN", [])
    assert failed["digest"] is None
    assert not marker.exists()


@pytest.mark.parametrize(("setting", "codes"), [("warn", ["UNSAFE_PICKLE"]), ("allow", [])])
async def test_the_operator_can_let_such_pickles_through(
    pool: Pool, database_url: str, data_dir: Path, setting: str, codes: list[str]
) -> None:
    async with running_server(pool, database_url, data_dir, suspicious_pickles=setting) as running:
        api = running.client()
        imported = await import_package(api, {**mxnet_package(), "model/labels.pkl": shell_pickle()})
        assert imported["status"] == "NORMAL"
        assert [warning["code"] for warning in imported["warnings"]] == ["UNSUPPORTED_BY_ENGINE", *codes]
        scans = {file["path"]: file["scan"] for file in await files_of(api, "0.0.1")}
        assert scans["labels.pkl"] == "SUSPICIOUS"


async def test_pickles_of_unknown_classes_and_unreadable_ones_are_let_through_with_a_warning(api: Api) -> None:
    package = {
        **mxnet_package(),
        "model/forest.pkl": foreign_pickle(),
        "model/cut.pkl": b"\x80\x04\x95\xff\xff",
        "model/odd.pkl": "cacme.modöls\nFor\0est\n.".encode(),
    }
    imported = await import_package(api, package)
    assert (imported["status"], imported["problems"]) == ("NORMAL", [])
    selection = "warnings { code message hint ... on PackageProblem { file actual } }"
    warnings = {warning["file"]: warning for warning in (await api.version("iris", "0.0.1", selection))["warnings"]}
    assert warnings["forest.pkl"]["code"] == "UNKNOWN_PICKLE"
    assert warnings["forest.pkl"]["actual"] == "acme.models.Forest"
    assert warnings["cut.pkl"]["code"] == "NOT_SCANNED"
    assert warnings["odd.pkl"]["code"] in ("UNKNOWN_PICKLE", "NOT_SCANNED")
    assert warnings["forest.pkl"]["hint"]
    assert warnings["cut.pkl"]["hint"]
    scans = {file["path"]: (file["scan"], file["scanGlobals"]) for file in await files_of(api, "0.0.1")}
    assert scans["forest.pkl"] == ("UNKNOWN", ["acme.models.Forest"])
    assert scans["cut.pkl"][0] == "NOT_SCANNED"
