"""Who signed a bundle: by which trusted key, or by whose certificate."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID

from artifacts.json_node import printable
from artifacts.signature_bundle import PAYLOAD_TYPE, MalformedSignature, SignatureBundle
from artifacts.trusted_key import TrustedKey, TrustedKeys, hash_of

Kind = TypeVar("Kind", bound=x509.ExtensionType)

NAME_LENGTH = 200
_CHAIN_DEPTH = 4
_UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
    CryptographyDeprecationWarning,  # where warnings are errors
)
_WRONG_SIGNATURE = "The signature is not one of what it claims to sign: the file was altered."


@dataclass(frozen=True, slots=True)
class Signer:
    """`name` is the trusted key's, or the certificate's subject; the fingerprint is SHA-256 (hex) of the key in DER."""

    name: str
    key_fingerprint: str


class UnknownSigner(Exception):
    """Nobody trusted signed it; the message is a sentence."""


def find_signer(bundle: SignatureBundle, keys: TrustedKeys, *, at: datetime) -> Signer:
    """`at` is when certificates have to be valid. Raises UnknownSigner, and MalformedSignature for a broken one."""
    if bundle.is_keyless:
        raise UnknownSigner("It is signed without a key, through Sigstore; that cannot be checked here.")
    if bundle.certificates:
        return _certified_signer(bundle, keys, at)
    return _key_holder(bundle, keys.keys)


def _key_holder(bundle: SignatureBundle, keys: Iterable[TrustedKey]) -> Signer:
    hinted = [trusted for trusted in keys if bundle.key_hint == _hint(trusted.key)]
    for trusted in hinted or keys:
        if _signed_by(trusted.key, bundle):
            return Signer(trusted.name, _fingerprint(trusted.key))
    if hinted:
        raise MalformedSignature(_WRONG_SIGNATURE)
    raise UnknownSigner("It is signed by none of the keys that are trusted here.")


def _certified_signer(bundle: SignatureBundle, keys: TrustedKeys, at: datetime) -> Signer:
    leaf, key, subject, usable = _read_leaf(bundle.certificates[0])
    if not _signed_by(key, bundle):
        raise MalformedSignature(_WRONG_SIGNATURE)
    if not usable:
        raise UnknownSigner(f"The certificate of {subject} is not one for signing code.")
    if not leaf.not_valid_before_utc <= at <= leaf.not_valid_after_utc:
        span = f"{leaf.not_valid_before_utc:%Y-%m-%d} to {leaf.not_valid_after_utc:%Y-%m-%d}"
        raise UnknownSigner(f"The certificate of {subject} is valid from {span} only.")
    if not _is_vouched_for(leaf, bundle.certificates[1:], keys, at):
        raise UnknownSigner(f"No certificate that is trusted here vouches for {subject}.")
    return Signer(subject, _fingerprint(key))


def _read_leaf(data: bytes) -> tuple[x509.Certificate, ec.EllipticCurvePublicKey, str, bool]:
    try:
        leaf = x509.load_der_x509_certificate(data)
        key = leaf.public_key()
        subject = printable(leaf.subject.rfc4514_string())[:NAME_LENGTH]
        usable = _signs_code(leaf.extensions)
    except _UNREADABLE as failure:
        raise MalformedSignature("The signer's certificate cannot be read.") from failure
    if not isinstance(key, ec.EllipticCurvePublicKey) or hash_of(key) is None:
        raise UnknownSigner(f"The key of {subject} is of a kind that cannot be checked here.")
    return leaf, key, subject, usable


def _signs_code(extensions: x509.Extensions) -> bool:
    """For digital signatures or for signing code, as the tool asks; and not for something else only, such as TLS."""
    usage = _extension(extensions, x509.KeyUsage)
    purposes = _extension(extensions, x509.ExtendedKeyUsage)
    if purposes is not None:
        code = {ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
        return not code.isdisjoint(purposes) and (usage is None or usage.digital_signature)
    return usage is not None and usage.digital_signature


def _extension(extensions: x509.Extensions, kind: type[Kind]) -> Kind | None:
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _is_vouched_for(leaf: x509.Certificate, others: Iterable[bytes], keys: TrustedKeys, at: datetime) -> bool:
    if not keys.certificates:
        return False
    store = verification.Store([trusted.certificate for trusted in keys.certificates])
    policy = verification.PolicyBuilder().store(store).time(at).max_chain_depth(_CHAIN_DEPTH)
    policy = policy.extension_policies(ca_policy=_authorities(), ee_policy=verification.ExtensionPolicy.permit_all())
    try:
        between = [x509.load_der_x509_certificate(data) for data in others]
        policy.build_client_verifier().verify(leaf, between)
    except (verification.VerificationError, *_UNREADABLE):
        return False
    return True


def _authorities() -> verification.ExtensionPolicy:
    """The web's own policy would ask authorities for TLS. That they are authorities is checked in any case."""
    either = verification.Criticality.AGNOSTIC
    return (
        verification.ExtensionPolicy.permit_all()
        .require_present(x509.BasicConstraints, either, None)
        .may_be_present(x509.KeyUsage, either, _check_certificate_signing)
    )


def _check_certificate_signing(_: verification.Policy, __: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("not for signing certificates")


def _signed_by(key: ec.EllipticCurvePublicKey, bundle: SignatureBundle) -> bool:
    algorithm = hash_of(key)
    if algorithm is None:
        return False
    return _verifies(key, bundle.signature, _encoded(bundle.payload), algorithm) or _verifies(
        key, bundle.signature, _encoded_before_1_0(bundle.payload), hashes.SHA256()
    )


def _verifies(key: ec.EllipticCurvePublicKey, signature: bytes, signed: bytes, algorithm: hashes.HashAlgorithm) -> bool:
    try:
        key.verify(signature, signed, ec.ECDSA(algorithm))
    except InvalidSignature:
        return False
    return True


def _encoded(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


def _encoded_before_1_0(payload: bytes) -> bytes:
    """What model-signing 0.2 signed instead: it put Python's notation of the bytes into the text."""
    return f"DSSEV1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(payload)} {payload!r}".encode()


def _fingerprint(key: ec.EllipticCurvePublicKey) -> str:
    return hashlib.sha256(_public_bytes(key, serialization.Encoding.DER)).hexdigest()


def _hint(key: ec.EllipticCurvePublicKey) -> str:
    """By which the tool names a key in a bundle."""
    return hashlib.sha256(_public_bytes(key, serialization.Encoding.PEM)).hexdigest()


def _public_bytes(key: ec.EllipticCurvePublicKey, encoding: serialization.Encoding) -> bytes:
    return key.public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)
