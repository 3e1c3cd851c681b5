"""Small model packages, as training jobs leave them: paths below a version's output location, and their bytes."""

import io
import os
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from tests.api import Api, config
from tests.plain_http import NO_TLS

Package = dict[str, bytes]

CUSTOM_CODE = b"""from model_service.python_model_service import XgSklServingBaseService


class Service(XgSklServingBaseService):
    def _postprocess(self, data):
        return data
"""
SCIKIT_LEARN = {"framework": {"aiEngine": "SCIKIT_LEARN"}}
TENSORFLOW = {"framework": {"aiEngine": "TENSORFLOW"}}
MXNET = {"framework": {"aiEngine": "MXNET"}}
RESNET = {"builtIn": {"name": "ResNet_v2_50"}}
# An output that holds something and no model: what is imported from it fails soon.
NOTES: Package = {"notes.txt": b"soon"}


@cache
def iris_classifier() -> bytes:
    """A decision tree of scikit-learn, as joblib writes it."""
    import joblib
    from sklearn.datasets import load_iris
    from sklearn.tree import DecisionTreeClassifier

    iris = load_iris()
    model = DecisionTreeClassifier(max_depth=2, random_state=0).fit(iris.data, iris.target_names[iris.target])
    file = io.BytesIO()
    joblib.dump(model, file)
    return file.getvalue()


@cache
def iris_booster() -> bytes:
    """Boosted trees, in XGBoost's own format."""
    from sklearn.datasets import load_iris
    from xgboost import XGBClassifier

    iris = load_iris()
    model = XGBClassifier(n_estimators=2, max_depth=2, n_jobs=1).fit(iris.data, iris.target)
    return bytes(model.get_booster().save_raw("ubj"))


def scikit_learn_package(**changes: Any) -> Package:
    """`changes` are those of its config."""
    return {"model/config.json": config(**changes), "model/model.m": iris_classifier()}


def xgboost_package(**changes: Any) -> Package:
    return {"model/config.json": config(**{"model_type": "XGBoost", **changes}), "model/model.ubj": iris_booster()}


def mxnet_package(**changes: Any) -> Package:
    """It has no environment here: its import needs no build."""
    return {
        "model/config.json": config(**{"model_type": "MXNet", "model_algorithm": "image_classification", **changes}),
        **network(),
    }


def network() -> Package:
    """What MXNet writes, without a config: enough for a built-in algorithm."""
    return {"model/resnet-symbol.json": b"{}", "model/resnet-0000.params": b"parameters"}


def pytorch_package(**changes: Any) -> Package:
    weights = io.BytesIO()
    with zipfile.ZipFile(weights, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"weight": [1.0]}, protocol=2))
        archive.writestr("archive/version", "3\n")
    return {
        "model/config.json": config(**{"model_type": "PyTorch", "model_algorithm": "image_classification", **changes}),
        "model/model.pth": weights.getvalue(),
        "model/customize_service.py": CUSTOM_CODE,
    }


@dataclass(frozen=True, slots=True)
class _Shell:
    command: str

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (self.command,)


def shell_pickle(command: str = "false") -> bytes:
    """A pickle that would run the command, were it loaded."""
    return pickle.dumps(_Shell(command))


def foreign_pickle() -> bytes:
    """A pickle of a class that nobody here knows."""
    return b"cacme.models\nForest\n."


def without(package: Mapping[str, bytes], *paths: str) -> Package:
    return {path: data for path, data in package.items() if path not in paths}


async def upload_job(api: Api, package: Mapping[str, bytes], /, *, job: str = "iris", **fields: Any) -> str:
    """The name of a new, completed version of a training job that left these files; `fields` are the version's."""
    version = await api.record_job(job, **fields)
    if package:
        await api.upload(job, version, package)
    return version


async def import_package(
    api: Api,
    package: Mapping[str, bytes],
    /,
    *,
    job: str = "iris",
    algorithm: Mapping[str, Any] = MXNET,
    **fields: Any,
) -> Any:
    """What became of the import of these files from a new version of a job; `fields` are importModel's."""
    source = await upload_job(api, package, job=job, algorithm=algorithm)
    version = await api.import_version(job, source, **fields)
    return {"version": version, **await api.imported(fields.get("name", job), version)}


def field_schema(**properties: str) -> dict[str, object]:
    return {"type": "object", "properties": {name: {"type": kind} for name, kind in properties.items()}}


def api_of(request: dict[str, object] | None = None, response: dict[str, object] | None = None) -> list[object]:
    def side(schema: dict[str, object] | None) -> dict[str, object]:
        return {"Content-type": "application/json"} | ({"data": schema} if schema else {})

    return [{"url": "/", "method": "post", "request": side(request), "response": side(response)}]


def dependency(*packages: dict[str, str]) -> list[object]:
    return [{"installer": "pip", "packages": list(packages)}]


def found(problems: list[dict[str, Any]]) -> list[tuple[str, str | None, str | None]]:
    """What each problem is and where, without its words."""
    return [(problem["code"], problem["file"], problem["pointer"]) for problem in problems]


def assert_told(problem: dict[str, Any]) -> None:
    """It says what is wrong in a sentence, and what to do in another."""
    assert problem["message"].endswith("."), problem
    assert (problem["hint"] or "").endswith((".", "?")), problem


def blobs(data_dir: Path) -> set[str]:
    """The SHA-256 of what is stored by content; nothing else may lie beside."""
    folder = data_dir / "objects" / "blobs"
    return {path.name for path in folder.rglob("*") if path.is_file()}


async def files_of(api: Api, version: str, model: str = "iris") -> list[dict[str, Any]]:
    selection = "files(first: 100) { nodes { path sizeBytes sha256 scan scanGlobals scanReason url } }"
    nodes: list[dict[str, Any]] = (await api.version(model, version, selection))["files"]["nodes"]
    return nodes


async def opened(url: str) -> bytes:
    async with httpx.AsyncClient(verify=NO_TLS) as client:
        response = await client.get(url)
    assert response.status_code == 200, response.text
    return response.content


async def event_kinds(api: Api, version: str) -> list[str]:
    """What happened to the version, the earliest first."""
    selection = "auditEvents(first: 50) { nodes { kind } }"
    nodes = (await api.version("iris", version, selection))["auditEvents"]["nodes"]
    return [node["kind"].removeprefix("MODEL_VERSION_") for node in reversed(nodes)]


async def retried(api: Api, version: str, **fields: Any) -> Any:
    """What becomes of a failed version that is tried again."""
    name = {"modelName": "iris", "version": version}
    payload = await api.mutate("retryImport", "modelVersion { status }", modelVersion=name, **fields)
    assert payload == {"modelVersion": {"status": "IMPORTING"}, "errors": []}
    return await api.imported("iris", version)
