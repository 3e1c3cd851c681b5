"""Whose signatures are trusted: keys and certificates of a folder, and whom those certificates vouch for."""

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID

from artifacts.model_signature import Provenance, SignatureState, verify_signature
from artifacts.trusted_key import FILE_LIMIT_BYTES, TrustedCertificate, TrustedKeys, read_trusted_keys
from tests.signed_models import FILES, SIGNATURES, Issued, issue, new_key, public_pem, signed, statement, usage

CODE = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])
TLS = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
SIGNING = usage(digital_signature=True)
ISSUING = usage(key_cert_sign=True)


def judged(signer: Issued, *between: Issued, trusted: Issued) -> Provenance:
    chain = (signer.certificate, *(issued.certificate for issued in between))
    keys = TrustedKeys(certificates=(TrustedCertificate("trusted", trusted.certificate),))
    return verify_signature(signed(signer.key, statement(), chain=chain), file="model.sig", files=FILES, keys=keys)


def test_an_authority_vouches_for_whom_it_issued_a_certificate() -> None:
    authority = issue("authority", is_authority=True, extensions=(ISSUING,))
    found = judged(issue("signer", by=authority, extensions=(SIGNING, CODE)), trusted=authority)
    assert (found.state, found.signer) == (SignatureState.VERIFIED, "CN=signer")


def test_a_signers_own_certificate_can_be_trusted() -> None:
    signer = issue("signer", extensions=(SIGNING,))
    assert judged(signer, trusted=signer).state is SignatureState.VERIFIED


def test_authorities_may_stand_between() -> None:
    root = issue("root", is_authority=True)
    team = issue("team", by=root, is_authority=True, extensions=(ISSUING,))
    signer = issue("signer", by=team, extensions=(CODE,))
    assert judged(signer, team, trusted=root).state is SignatureState.VERIFIED
    assert judged(signer, trusted=root).state is SignatureState.UNTRUSTED


def test_a_signer_vouches_for_nobody() -> None:
    root = issue("root", is_authority=True)
    signer = issue("signer", by=root, extensions=(CODE,))
    friend = issue("friend", by=signer, extensions=(SIGNING,))
    assert judged(friend, signer, trusted=root).state is SignatureState.UNTRUSTED
    assert judged(friend, trusted=signer).state is SignatureState.UNTRUSTED


def test_an_authority_keeps_to_its_limits() -> None:
    root = issue("root", is_authority=True, path_length=0)
    team = issue("team", by=root, is_authority=True)
    assert judged(issue("signer", by=team, extensions=(SIGNING,)), team, trusted=root).state is SignatureState.UNTRUSTED
    not_issuing = issue("root", is_authority=True, extensions=(SIGNING,))
    signer = issue("signer", by=not_issuing, extensions=(SIGNING,))
    assert judged(signer, trusted=not_issuing).state is SignatureState.UNTRUSTED


def test_a_namesake_of_an_authority_vouches_for_nobody() -> None:
    authority, namesake = issue("authority", is_authority=True), issue("authority", is_authority=True)
    signer = issue("signer", by=namesake, extensions=(SIGNING,))
    found = judged(signer, namesake, trusted=authority)
    assert (found.state, found.signer) == (SignatureState.UNTRUSTED, None)
    assert found.message == "No certificate that is trusted here vouches for CN=signer."


@pytest.mark.parametrize("extensions", [(), (TLS,), (SIGNING, TLS), (usage(),), (usage(), CODE)])
def test_a_certificate_for_something_else_signs_no_models(extensions: tuple[x509.ExtensionType, ...]) -> None:
    authority = issue("authority", is_authority=True)
    found = judged(issue("signer", by=authority, extensions=extensions), trusted=authority)
    assert found.state is SignatureState.UNTRUSTED
    assert "not one for signing code" in found.message


@pytest.mark.parametrize(("from_day", "to_day"), [(-3, -1), (1, 3)])
def test_a_certificate_signs_in_its_time_only(from_day: int, to_day: int) -> None:
    authority = issue("authority", is_authority=True, from_day=-9)
    signer = issue("signer", by=authority, extensions=(SIGNING,), from_day=from_day, to_day=to_day)
    assert judged(signer, trusted=authority).state is SignatureState.UNTRUSTED


def test_an_authority_vouches_in_its_time_only() -> None:
    authority = issue("authority", is_authority=True, from_day=-9, to_day=-1)
    signer = issue("signer", by=authority, extensions=(SIGNING,), from_day=-9)
    assert judged(signer, trusted=authority).state is SignatureState.UNTRUSTED


def test_another_ones_certificate_does_not_help_a_forger() -> None:
    authority = issue("authority", is_authority=True)
    victim = issue("victim", by=authority, extensions=(SIGNING,))
    forger = Issued(victim.certificate, new_key())
    assert judged(forger, trusted=authority).state is SignatureState.INVALID


def test_many_certificates_that_fit_each_other_are_not_all_tried() -> None:
    authority = issue("authority", is_authority=True)
    others = [issue(str(number), is_authority=True) for number in range(20)]
    found = judged(issue("signer", by=others[0], extensions=(SIGNING,)), *others, trusted=authority)
    assert found.state is SignatureState.INVALID


def test_a_folder_holds_keys_and_certificates_under_their_names(tmp_path: Path) -> None:
    authority = (SIGNATURES / "keys" / "authority.pem").read_bytes()
    own = issue("own").certificate.public_bytes(serialization.Encoding.PEM)
    (tmp_path / "team.pem").write_bytes(public_pem(new_key()))
    (tmp_path / "both.crt").write_bytes(authority + own)
    (tmp_path / ".hidden").write_bytes(b"not looked at")
    (tmp_path / "folder").mkdir()
    found = read_trusted_keys(tmp_path)
    assert [key.name for key in found.keys] == ["team"]
    assert [(trusted.name, trusted.certificate.subject.rfc4514_string()) for trusted in found.certificates] == [
        ("both", "CN=Model authority,O=Example"),
        ("both", "CN=own"),
    ]


def private_pem() -> bytes:
    return new_key().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def other_kind_of_key() -> bytes:
    return (
        ed25519.Ed25519PrivateKey.generate()
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no PEM file"),
        (b"hello", "no PEM file"),
        (b"-----BEGIN CERTIFICATE-----\nhello\n-----END CERTIFICATE-----\n", "certificate that cannot be read"),
        (private_pem(), "private key"),
        (other_kind_of_key(), "P-256"),
        (b"x" * (FILE_LIMIT_BYTES + 1), "larger"),
    ],
)
def test_a_file_that_is_neither_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "team.pem").write_bytes(content)
    with pytest.raises(ValueError, match=rf"team\.pem: .*{said}"):
        read_trusted_keys(tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="missing: the folder of signing keys cannot be read"):
        read_trusted_keys(tmp_path / "missing")
