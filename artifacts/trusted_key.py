"""Whom an operator trusts to sign models: the public keys and certificates in a folder of PEM files."""

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

FILE_LIMIT_BYTES = 1024 * 1024
# The curves that model-signing signs with, and the hash that goes with each.
_CURVES: dict[str, type[hashes.HashAlgorithm]] = {
    "secp256r1": hashes.SHA256,
    "secp384r1": hashes.SHA384,
    "secp521r1": hashes.SHA512,
}
_ENCODINGS = "It must hold a public key or certificates, as PEM."


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """`name` is the file's, without its ending."""

    name: str
    key: ec.EllipticCurvePublicKey


@dataclass(frozen=True, slots=True)
class TrustedCertificate:
    """An authority's, which vouches for whom it issued one, or a signer's own. `name` is the file's, without ending."""

    name: str
    certificate: x509.Certificate


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """None at all is fine: then no signature is trusted."""

    keys: tuple[TrustedKey, ...] = ()
    certificates: tuple[TrustedCertificate, ...] = ()


def read_trusted_keys(folder: Path) -> TrustedKeys:
    """Reads every file of the folder but hidden ones; folders in it are left alone.

    Raises ValueError naming the file that holds neither a public key of P-256, P-384 or P-521 nor certificates.
    """
    keys: list[TrustedKey] = []
    certificates: list[TrustedCertificate] = []
    for path in _files(folder):
        data = _read(path)
        if b"-----BEGIN CERTIFICATE-----" in data:
            certificates += [TrustedCertificate(path.stem, found) for found in _certificates(path, data)]
        else:
            keys.append(TrustedKey(path.stem, _public_key(path, data)))
    return TrustedKeys(tuple(keys), tuple(certificates))


def hash_of(key: ec.EllipticCurvePublicKey) -> hashes.HashAlgorithm | None:
    """What the tool hashes with for a key of this curve; None for curves that it does not sign with."""
    kind = _CURVES.get(key.curve.name)
    return kind() if kind else None


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    except OSError as failure:
        raise ValueError(f"{folder}: the folder of signing keys cannot be read ({failure.strerror}).") from failure


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(FILE_LIMIT_BYTES + 1)
    except OSError as failure:
        raise ValueError(f"{path}: cannot be read ({failure.strerror}).") from failure
    if len(data) > FILE_LIMIT_BYTES:
        raise ValueError(f"{path}: is larger than {FILE_LIMIT_BYTES} bytes. {_ENCODINGS}")
    if b"PRIVATE KEY-----" in data:
        raise ValueError(f"{path}: holds a private key. Keep that with the signer; here its public key is enough.")
    return data


def _certificates(path: Path, data: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError as failure:
        raise ValueError(f"{path}: holds a certificate that cannot be read. {_ENCODINGS}") from failure


def _public_key(path: Path, data: bytes) -> ec.EllipticCurvePublicKey:
    try:
        key = serialization.load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as failure:
        raise ValueError(f"{path}: is no PEM file that can be read. {_ENCODINGS}") from failure
    if not isinstance(key, ec.EllipticCurvePublicKey) or hash_of(key) is None:
        raise ValueError(f"{path}: models are signed with keys of the curves P-256, P-384 and P-521 only.")
    return key
