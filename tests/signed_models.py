"""Signatures for tests: those that the real tool made, and any other, forged or hostile, made here."""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SIGNATURES = Path(__file__).parent / "signatures"
CONTENTS = {
    "config.json": b'{"model_type": "Scikit_Learn"}\n',
    "data/a.txt": b"a\n",
    "data.txt": b"b\n",
    "iris.m": b"weights\n",
}
# In the order in which the tool lists them.
FILES = {path: hashlib.sha256(content).hexdigest() for path, content in CONTENTS.items()}
PAYLOAD_TYPE = "application/vnd.in-toto+json"


def made_by_the_tool(name: str) -> bytes:
    return (SIGNATURES / f"{name}.sig").read_bytes()


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def public_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def statement(files: Mapping[str, str] = FILES, **serialization_arguments: object) -> dict[str, Any]:
    """As the tool writes it; tests change what they are about."""
    root = hashlib.sha256(b"".join(bytes.fromhex(digest) for digest in files.values())).hexdigest()
    resources = [{"name": name, "algorithm": "sha256", "digest": digest} for name, digest in files.items()]
    arguments = {"method": "files", "hash_type": "sha256", "allow_symlinks": False, **serialization_arguments}
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "model", "digest": {"sha256": root}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {"resources": resources, "serialization": arguments},
    }


def signed(key: ec.EllipticCurvePrivateKey, stated: object, *, chain: tuple[x509.Certificate, ...] = ()) -> bytes:
    """A bundle of `stated`; with a chain it is made by certificate."""
    payload = stated if isinstance(stated, bytes) else json.dumps(stated).encode()
    encoded = f"DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(payload)} ".encode() + payload
    signature = key.sign(encoded, ec.ECDSA(hashes.SHA256()))
    material: dict[str, object] = {"publicKey": {"hint": hashlib.sha256(public_pem(key)).hexdigest()}}
    if chain:
        ders = [certificate.public_bytes(serialization.Encoding.DER) for certificate in chain]
        material = {"x509CertificateChain": {"certificates": [{"rawBytes": _text(der)} for der in ders]}}
    bundle = {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {**material, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": _text(payload),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"sig": _text(signature), "keyid": ""}],
        },
    }
    return json.dumps(bundle).encode()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def issue(
    name: str,
    *,
    by: Issued | None = None,
    is_authority: bool = False,
    path_length: int | None = None,
    extensions: tuple[x509.ExtensionType, ...] = (),
    from_day: int = -1,
    to_day: int = 365,
) -> Issued:
    """Signed by itself where `by` is None; days count from now."""
    key, now = new_key(), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=from_day))
        .not_valid_after(now + timedelta(days=to_day))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=path_length), critical=True)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return Issued(builder.sign((by.key if by else key), hashes.SHA256()), key)


def usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
