"""Signatures of models: trusted, of these files and of no others, and harmless whatever the bytes."""

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifacts.digest import manifest_digest
from artifacts.model_signature import (
    Provenance,
    SignatureState,
    find_signature,
    judge_signature,
    verify_signature,
)
from artifacts.problem import Problem, ProblemCode
from artifacts.signature_bundle import SIZE_LIMIT_BYTES
from artifacts.trusted_key import TrustedKey, TrustedKeys, read_trusted_keys
from tests.signed_models import FILES, SIGNATURES, made_by_the_tool, new_key, signed, statement

KEY = new_key()
OWN_KEYS = TrustedKeys(keys=(TrustedKey("team", KEY.public_key()),))
TOOL_KEYS = read_trusted_keys(SIGNATURES / "keys")
EXTRA = "0" * 64


def verify(bundle: bytes, files: Mapping[str, str] = FILES, keys: TrustedKeys = OWN_KEYS) -> Provenance:
    return verify_signature(bundle, file="model.sig", files=files, keys=keys)


def changed(bundle: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    """The bundle with its JSON changed in place."""
    content = json.loads(bundle)
    change(content)
    return json.dumps(content).encode()


@pytest.mark.parametrize(
    ("name", "signer"),
    [
        ("p256", "p256"),
        ("p384", "p384"),
        ("p521", "p521"),
        ("parent", "p256"),
        ("ignoring", "p256"),
        ("certificate", "CN=Training team,O=Example"),
        ("version-1.0", "p521"),
        ("version-0.2", "p256"),
    ],
)
def test_what_the_tool_signs_is_verified(name: str, signer: str) -> None:
    found = verify(made_by_the_tool(name), keys=TOOL_KEYS)
    assert (found.state, found.signer, found.signed_files) == (SignatureState.VERIFIED, signer, 4)
    assert found.message == f"Signed by {signer}."
    assert re.fullmatch("[0-9a-f]{64}", found.key_fingerprint or "")
    assert (found.predicate_type or "").startswith("https://model_signing/")


@pytest.mark.parametrize("name", ["p256", "parent", "certificate", "version-0.2"])
@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({**FILES, "iris.m": EXTRA}, '"iris.m" changed'),
        ({**FILES, "customize_service.py": EXTRA}, '"customize_service.py" not signed'),
        ({path: digest for path, digest in FILES.items() if path != "data.txt"}, '"data.txt" missing'),
    ],
)
def test_of_other_files_the_tools_signatures_are_invalid(name: str, files: dict[str, str], said: str) -> None:
    found = verify(made_by_the_tool(name), files, TOOL_KEYS)
    assert (found.state, found.message) == (SignatureState.INVALID, f"Not the files that were signed: {said}.")
    assert found.signer


@pytest.mark.parametrize("name", ["p256", "p521", "certificate", "version-1.0", "version-0.2"])
def test_signatures_by_nobody_who_is_trusted_are_untrusted(name: str) -> None:
    for keys in (OWN_KEYS, TrustedKeys()):
        found = verify(made_by_the_tool(name), keys=keys)
        assert (found.state, found.signer, found.key_fingerprint) == (SignatureState.UNTRUSTED, None, None)


def test_a_signature_of_other_files_is_invalid_whoever_made_it() -> None:
    assert verify(made_by_the_tool("p256"), {**FILES, "iris.m": EXTRA}).state is SignatureState.INVALID


@pytest.mark.parametrize(("name", "said"), [("shards", '"shards"'), ("blake3", '"blake3"')])
def test_digests_of_other_kinds_are_not_vouched_for(name: str, said: str) -> None:
    found = verify(made_by_the_tool(name), keys=TOOL_KEYS)
    assert found.state is SignatureState.UNTRUSTED
    assert said in found.message


def test_the_signers_ignored_files_are_told() -> None:
    found = verify(made_by_the_tool("ignoring"), {**FILES, "notes.txt": EXTRA, ".gitattributes": EXTRA}, TOOL_KEYS)
    assert found.state is SignatureState.VERIFIED
    assert found.message == 'Signed by p256. The signer left out ".gitattributes", "notes.txt".'


def test_the_root_digest_that_is_signed_is_the_packages_digest() -> None:
    payload = json.loads(base64.b64decode(json.loads(made_by_the_tool("p256"))["dsseEnvelope"]["payload"]))
    assert payload["subject"][0]["digest"]["sha256"] == manifest_digest(FILES.items())


def test_no_byte_of_what_is_signed_can_be_changed() -> None:
    def alter(bundle: dict[str, Any]) -> None:
        payload = base64.b64decode(bundle["dsseEnvelope"]["payload"]).replace(b'"model"', b'"modem"')
        bundle["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()

    for name in ("p256", "certificate"):
        found = verify(changed(made_by_the_tool(name), alter), keys=TOOL_KEYS)
        assert (found.state, found.signer) == (SignatureState.INVALID, None)
        assert "altered" in found.message


def test_a_key_is_found_whatever_the_bundle_calls_it() -> None:
    renamed = changed(signed(KEY, statement()), lambda bundle: bundle.update(verificationMaterial={"publicKey": {}}))
    assert verify(renamed).state is SignatureState.VERIFIED


def test_a_signature_through_sigstore_is_told_to_need_the_network() -> None:
    keyless = changed(
        signed(KEY, statement()), lambda bundle: bundle.update(verificationMaterial={"certificate": {"rawBytes": ""}})
    )
    found = verify(keyless)
    assert found.state is SignatureState.UNTRUSTED
    assert "Sigstore" in found.message


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda stated: stated["predicate"].update(resources=[]), "covers no file"),
        (lambda stated: stated["predicate"]["resources"].append(stated["predicate"]["resources"][0]), "twice"),
        (lambda stated: stated["predicate"]["resources"].reverse(), "contradicts itself"),
        (lambda stated: stated["subject"][0]["digest"].update(sha256=EXTRA), "contradicts itself"),
        (lambda stated: stated["subject"].append({}), "2 subjects"),
        (lambda stated: stated["predicate"]["resources"][0].update(digest="beef"), "not a SHA-256"),
        (lambda stated: stated["predicate"]["resources"][0].pop("name"), "name is missing"),
        (lambda stated: stated["predicate"].update(resources=[1]), "something else than objects"),
        (lambda stated: stated.pop("predicate"), "predicate is missing"),
    ],
)
def test_even_a_trusted_signers_statement_has_to_make_sense(change: Callable[[Any], object], said: str) -> None:
    stated = statement()
    change(stated)
    found = verify(signed(KEY, stated))
    assert (found.state, found.signer) == (SignatureState.INVALID, "team")
    assert said in found.message


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda stated: stated.update(_type="https://in-toto.io/Statement/v9"), "Statement/v9"),
        (lambda stated: stated.update(predicateType="https://slsa.dev/provenance/v1"), "slsa.dev"),
        (lambda stated: stated["predicate"]["resources"][0].update(algorithm="blake2"), "blake2"),
    ],
)
def test_statements_of_other_kinds_are_uncheckable(change: Callable[[Any], object], said: str) -> None:
    stated = statement()
    change(stated)
    found = verify(signed(KEY, stated))
    assert found.state is SignatureState.UNTRUSTED
    assert said in found.message


@pytest.mark.parametrize(
    "name", ["../iris.m", "/iris.m", "./iris.m", "data/../iris.m", "iris.m/", "iris.m\x00", "\ud800"]
)
def test_names_that_are_no_plain_paths_stand_for_no_file(name: str) -> None:
    files = {path: digest for path, digest in FILES.items() if path != "iris.m"}
    found = verify(signed(KEY, statement({**files, name: FILES["iris.m"]})))
    assert found.state is SignatureState.INVALID
    assert found.message.isprintable()


@pytest.mark.parametrize("ignored", ["", ".", "./", "/", "..", "*", "customize", "a/customize_service.py", 7])
def test_ignored_paths_open_no_back_door(ignored: object) -> None:
    bundle = signed(KEY, statement(ignore_paths=[ignored]))
    assert verify(bundle).state is SignatureState.VERIFIED
    assert verify(bundle, {**FILES, "customize_service.py": EXTRA}).state is SignatureState.INVALID


def test_a_folder_can_be_ignored() -> None:
    bundle = signed(KEY, statement(ignore_paths=["notes"]))
    assert verify(bundle, {**FILES, "notes/deep/a.txt": EXTRA}).state is SignatureState.VERIFIED
    assert verify(bundle, {**FILES, "notes.txt": EXTRA}).state is SignatureState.INVALID


def test_part_of_what_was_signed_is_not_enough() -> None:
    whole = {**FILES, **{f"model/{path}": digest for path, digest in FILES.items()}}
    assert verify(signed(KEY, statement(whole))).state is SignatureState.INVALID


def test_a_package_of_one_directory_named_model_is_taken_as_it_is() -> None:
    inner = {f"model/{path}": digest for path, digest in FILES.items()}
    assert verify(signed(KEY, statement(inner)), inner).state is SignatureState.VERIFIED


def test_many_names_are_told_in_a_short_sentence() -> None:
    extra = {f"extra/{number}": EXTRA for number in range(1000)}
    message = verify(signed(KEY, statement()), {**FILES, **extra}).message
    assert message.endswith('"extra/0", "extra/1", "extra/10" and 997 more not signed.')


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\x00",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json"}',
        b" " * (SIZE_LIMIT_BYTES + 1),
        b'{"mediaType": [' + b"[]," * 100_000 + b"[]]}",
        signed(KEY, b"\xff"),
        signed(KEY, b"[" * 100_000),
        changed(signed(KEY, statement()), lambda bundle: bundle["dsseEnvelope"].update(payload="%")),
        changed(signed(KEY, statement()), lambda bundle: bundle["dsseEnvelope"].update(payloadType="text/plain")),
        changed(signed(KEY, statement()), lambda bundle: bundle["dsseEnvelope"].update(signatures=[])),
        changed(signed(KEY, statement()), lambda bundle: bundle["dsseEnvelope"]["signatures"].append({"sig": ""})),
        changed(signed(KEY, statement()), lambda bundle: bundle["dsseEnvelope"]["signatures"][0].update(sig="")),
    ],
)
def test_what_is_no_signature_is_invalid(data: bytes) -> None:
    found = verify(data)
    assert found.state is SignatureState.INVALID
    assert len(found.message) < 200


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(["p256", "certificate", "version-0.2"]), st.integers(0, 10_000), st.binary(max_size=4))
def test_damage_never_raises_and_never_verifies_other_files(name: str, position: int, damage: bytes) -> None:
    data = bytearray(made_by_the_tool(name))
    place = position % len(data)
    data[place : place + len(damage)] = damage
    assert verify(bytes(data), {**FILES, "iris.m": EXTRA}, TOOL_KEYS).state is not SignatureState.VERIFIED


@settings(deadline=None, max_examples=300)
@given(st.integers(0, 10_000), st.binary(min_size=1, max_size=8))
def test_damaged_certificates_are_never_trusted(position: int, damage: bytes) -> None:
    def harm(bundle: dict[str, Any]) -> None:
        leaf = bundle["verificationMaterial"]["x509CertificateChain"]["certificates"][0]
        der = bytearray(base64.b64decode(leaf["rawBytes"]))
        place = position % (len(der) - len(damage))
        der[place : place + len(damage)] = bytes(a ^ (b | 1) for a, b in zip(der[place:], damage, strict=False))
        leaf["rawBytes"] = base64.b64encode(der).decode()

    assert verify(changed(made_by_the_tool("certificate"), harm), keys=TOOL_KEYS).state is not SignatureState.VERIFIED


@settings(deadline=None, max_examples=300)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["name", "digest", "sha256", "algorithm", "resources"]), inner)
        ),
    ),
    st.sampled_from(["_type", "subject", "predicateType", "predicate"]),
)
def test_any_signed_json_is_judged(value: object, key: str) -> None:
    assert verify(signed(KEY, {**statement(), key: value})).state is not SignatureState.VERIFIED


def test_certificates_have_to_be_valid_at_the_moment_that_counts() -> None:
    late = datetime.now(UTC) + timedelta(days=365 * 200)
    bundle = made_by_the_tool("certificate")
    found = verify_signature(bundle, file="model.sig", files=FILES, keys=TOOL_KEYS, at=late)
    assert found.state is SignatureState.UNTRUSTED
    assert "is valid from" in found.message


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        (["config.json", "model.sig"], "model.sig"),
        (["model.sig", "other.sig"], "model.sig"),
        (["config.json", "iris.sig"], "iris.sig"),
        (["model.sigstore.json"], "model.sigstore.json"),
        (["a.sig", "b.sig"], None),
        (["data/model.sig", "config.json"], None),
        ([], None),
    ],
)
def test_the_signature_is_looked_for_at_the_top(paths: list[str], found: str | None) -> None:
    assert find_signature(iter(paths)) == found


def codes(judged: tuple[list[Problem], list[Problem]]) -> tuple[list[ProblemCode], list[ProblemCode]]:
    problems, warnings = judged
    return [found.code for found in problems], [found.code for found in warnings]


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (SignatureState.INVALID, ProblemCode.SIGNATURE_INVALID),
        (SignatureState.UNTRUSTED, ProblemCode.SIGNATURE_UNTRUSTED),
    ],
)
def test_a_doubtful_signature_is_a_warning_or_a_problem(state: SignatureState, code: ProblemCode) -> None:
    doubtful = replace(verify(signed(KEY, statement())), state=state, message="Why.")
    assert codes(judge_signature(doubtful, "show")) == ([], [code])
    assert codes(judge_signature(doubtful, "require-valid")) == ([code], [])
    [problem], _ = judge_signature(doubtful, "require")
    assert (problem.code, problem.message, problem.file) == (code, "Why.", "model.sig")


@pytest.mark.parametrize("policy", ["show", "require-valid", "require"])
def test_a_verified_signature_is_fine_under_every_policy(policy: str) -> None:
    assert judge_signature(verify(signed(KEY, statement())), policy) == ([], [])


def test_only_a_policy_that_requires_signatures_misses_one() -> None:
    assert codes(judge_signature(None, "show")) == codes(judge_signature(None, "require-valid")) == ([], [])
    assert codes(judge_signature(None, "require")) == ([ProblemCode.SIGNATURE_MISSING], [])
