"""Signed packages: what an import makes of a signature, by the operator's keys and policy."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from db.connection import Pool
from tests.api import running_server
from tests.packages import MXNET, Package, found, import_package, mxnet_package, retried, upload_job
from tests.signed_models import new_key, public_pem, signed, statement

PROVENANCE = "provenance { state signer keyFingerprint predicateType signedFiles message file }"


def signed_package(key: ec.EllipticCurvePrivateKey, package: Mapping[str, bytes]) -> Package:
    files = {path.removeprefix("model/"): data for path, data in sorted(package.items())}
    digests = {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}
    return {**package, "model/model.sig": signed(key, statement(digests))}


@pytest.fixture
def key() -> ec.EllipticCurvePrivateKey:
    return new_key()


@pytest.fixture
def keys(tmp_path: Path, key: ec.EllipticCurvePrivateKey) -> Path:
    """A folder with the public key of the team."""
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / "team.pem").write_bytes(public_pem(key))
    return folder


@pytest.fixture
def started(pool: Pool, database_url: str, data_dir: Path, keys: Path) -> Any:
    """Starts a server that trusts the team's key."""

    def start(**settings: Any) -> Any:
        return running_server(pool, database_url, data_dir, signing_keys=keys, **settings)

    return start


async def test_a_signature_by_a_trusted_key_is_shown_with_its_signer(
    started: Any, key: ec.EllipticCurvePrivateKey
) -> None:
    async with started(signature_policy="require") as server:
        api = server.client()
        version = await import_package(api, signed_package(key, mxnet_package()), algorithm=MXNET)
        assert version["status"] == "NORMAL", version["problems"]
        shown = (await api.version("iris", version["version"], PROVENANCE))["provenance"]
        assert (shown["state"], shown["signer"], shown["file"]) == ("VERIFIED", "team", "model.sig")
        assert shown["signedFiles"] == len(mxnet_package())
        assert len(shown["keyFingerprint"]) == 64


async def test_by_default_what_is_wrong_with_a_signature_is_a_warning(
    started: Any, key: ec.EllipticCurvePrivateKey
) -> None:
    tampered = {**signed_package(key, mxnet_package()), "model/resnet-0000.params": b"other parameters"}
    async with started() as server:
        api = server.client()
        invalid = await import_package(api, tampered, algorithm=MXNET)
        foreign = await import_package(api, signed_package(new_key(), mxnet_package()), algorithm=MXNET)
        unsigned = await import_package(api, mxnet_package(), algorithm=MXNET)
        for version, state in ((invalid, "INVALID"), (foreign, "UNTRUSTED")):
            assert version["status"] == "NORMAL"
            assert f"SIGNATURE_{state}" in {warning["code"] for warning in version["warnings"]}
            shown = (await api.version("iris", version["version"], PROVENANCE))["provenance"]
            assert shown["state"] == state
        assert await api.version("iris", unsigned["version"], PROVENANCE) == {"provenance": None}


async def test_where_signatures_must_hold_a_tampered_package_is_refused_and_the_signed_one_taken(
    started: Any, key: ec.EllipticCurvePrivateKey
) -> None:
    package = signed_package(key, mxnet_package())
    async with started(signature_policy="require-valid") as server:
        api = server.client()
        tampered = {**package, "model/added.txt": b"nobody signed this"}
        refused = await import_package(api, tampered, algorithm=MXNET)
        assert refused["status"] == "IMPORT_FAILED"
        assert found(refused["problems"]) == [("SIGNATURE_INVALID", "model.sig", None)]
        assert "added.txt" in refused["problems"][0]["message"]
        shown = (await api.version("iris", refused["version"], PROVENANCE))["provenance"]
        assert shown["state"] == "INVALID"
        again = await retried(api, refused["version"])
        assert again["status"] == "IMPORT_FAILED"
        assert (await import_package(api, package, algorithm=MXNET))["status"] == "NORMAL"


async def test_where_signatures_are_required_an_unsigned_package_is_refused(started: Any) -> None:
    async with started(signature_policy="require") as server:
        version = await import_package(server.client(), mxnet_package(), algorithm=MXNET)
        assert found(version["problems"]) == [("SIGNATURE_MISSING", "model.sig", None)]


async def test_a_config_that_stands_in_for_the_signed_one_is_told(
    started: Any, key: ec.EllipticCurvePrivateKey
) -> None:
    apis = [{"requestSchema": {"type": "object", "properties": {"images": {"type": "file"}}}}]
    async with started(signature_policy="require") as server:
        api = server.client()
        version = await import_package(api, signed_package(key, mxnet_package()), algorithm=MXNET, apis=apis)
        assert version["status"] == "NORMAL", version["problems"]
        (told,) = [warning for warning in version["warnings"] if warning["code"] == "SIGNED_CONFIG_REPLACED"]
        assert "apis" in told["message"]


async def test_a_preview_knows_that_a_signature_is_required(started: Any) -> None:
    document = """query ($input: ImportModelInput!) {
        previewImport(input: $input) { isImportable errors { code } problems { code } } }"""
    async with started(signature_policy="require") as server:
        api = server.client()
        job = await upload_job(api, mxnet_package(), algorithm=MXNET)
        source = {"trainingJob": {"trainingJobName": "iris", "versionName": job}}
        unsigned = (await api.ask(document, input={"name": "iris", "source": source}))["previewImport"]
        assert (unsigned["isImportable"], unsigned["problems"]) == (False, [{"code": "SIGNATURE_MISSING"}])
        image = {"containerImage": {"image": "registry.example.com/a/b:1"}}
        refused = (await api.ask(document, input={"name": "iris", "source": image}))["previewImport"]
        assert refused["errors"] == [{"code": "SIGNATURE_MISSING"}]
        [error] = await api.refused("importModel", name="iris", source=image)
        assert (error["code"], error["path"]) == ("SIGNATURE_MISSING", ["source", "containerImage"])
