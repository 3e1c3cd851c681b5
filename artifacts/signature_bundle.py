"""The bytes of a model's signature: a Sigstore bundle around a DSSE envelope around an in-toto statement."""

import base64
import hashlib
import re
from dataclasses import dataclass

import orjson

from artifacts.json_node import JsonObject, JsonValue, is_storable, shown

SIZE_LIMIT_BYTES = 8 * 1024 * 1024
# A file is one object; millions of empty ones would hold up the whole process for seconds.
NODE_LIMIT = 100_000
# Looking for a way to a trusted certificate tries these against each other.
CHAIN_LIMIT = 5
PREDICATE_TYPE = "https://model_signing/signature/v1.0"
# What versions before 1.0 wrote: every file is a subject.
OLD_PREDICATE_TYPE = "https://model_signing/Digests/v0.1"
TYPE_LENGTH = 200
PAYLOAD_TYPE = "application/vnd.in-toto+json"
_MEDIA_TYPE = "application/vnd.dev.sigstore.bundle"
_STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
_SHA256 = re.compile("[0-9a-f]{64}")


class MalformedSignature(Exception):
    """The signature file is not what model-signing writes; the message is a sentence."""


class UncheckableSignature(Exception):
    """It may be fine, in a form that cannot be checked here; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class SignatureBundle:
    """`certificates` are DER, the signer's first. `is_keyless` where Sigstore's services vouch for the signer."""

    payload: bytes
    signature: bytes
    key_hint: str | None
    certificates: tuple[bytes, ...]
    is_keyless: bool


@dataclass(frozen=True, slots=True)
class SignedFiles:
    """What was signed: the SHA-256 (hex) of each file by its name, and the paths that the signer left out."""

    digests: dict[str, str]
    ignored_paths: frozenset[str] = frozenset()


def read_bundle(data: bytes) -> SignatureBundle:
    """Raises MalformedSignature."""
    if len(data) > SIZE_LIMIT_BYTES:
        raise MalformedSignature(f"The signature has {len(data)} bytes; at most {SIZE_LIMIT_BYTES} are read.")
    bundle = _json_object(data, "The signature file")
    media_type = _text(bundle, "mediaType")
    if not media_type.startswith(_MEDIA_TYPE):
        raise MalformedSignature(f"The signature file is no Sigstore bundle: its mediaType is {shown(media_type)}.")
    material = _object(bundle, "verificationMaterial")
    payload, signature = _read_envelope(_object(bundle, "dsseEnvelope"))
    return SignatureBundle(
        payload=payload,
        signature=signature,
        key_hint=_key_hint(material),
        certificates=_chain(material),
        is_keyless="certificate" in material or bool(material.get("tlogEntries")),
    )


def _read_envelope(envelope: JsonObject) -> tuple[bytes, bytes]:
    if _text(envelope, "payloadType") != PAYLOAD_TYPE:
        raise MalformedSignature(f"The signature signs {shown(envelope['payloadType'])} instead of {PAYLOAD_TYPE}.")
    signatures = _objects(envelope, "signatures")
    if len(signatures) != 1:
        raise MalformedSignature(f"The bundle holds {len(signatures)} signatures instead of one.")
    return _bytes(envelope, "payload"), _bytes(signatures[0], "sig")


def _key_hint(material: JsonObject) -> str | None:
    key = material.get("publicKey")
    hint = key.get("hint") if isinstance(key, dict) else None
    return hint if isinstance(hint, str) else None


def _chain(material: JsonObject) -> tuple[bytes, ...]:
    if "x509CertificateChain" not in material:
        return ()
    certificates = _objects(_object(material, "x509CertificateChain"), "certificates")
    if not 1 <= len(certificates) <= CHAIN_LIMIT:
        raise MalformedSignature(f"The bundle holds {len(certificates)} certificates instead of 1 to {CHAIN_LIMIT}.")
    return tuple(_bytes(certificate, "rawBytes") for certificate in certificates)


def read_statement(payload: bytes) -> JsonObject:
    """The statement that is signed. Raises MalformedSignature where it is no JSON object."""
    return _json_object(payload, "What is signed")


def predicate_type(statement: JsonObject) -> str | None:
    """What the statement says that it is; None where that is no plain text."""
    found = statement.get("predicateType")
    return found if isinstance(found, str) and is_storable(found) and len(found) <= TYPE_LENGTH else None


def signed_files(statement: JsonObject) -> SignedFiles:
    """Raises MalformedSignature, and UncheckableSignature for other statements and digests than SHA-256 of files."""
    if statement.get("_type") != _STATEMENT_TYPE:
        raise UncheckableSignature(f"It signs a statement of the type {shown(statement.get('_type'))}.")
    match predicate_type(statement):
        case kind if kind == PREDICATE_TYPE:
            return _current(statement)
        case kind if kind == OLD_PREDICATE_TYPE:
            return SignedFiles(_digests([_old_resource(subject) for subject in _objects(statement, "subject")]))
        case _:
            raise UncheckableSignature(
                f"Its predicateType is {shown(statement.get('predicateType'))}, not {PREDICATE_TYPE}."
            )


def _current(statement: JsonObject) -> SignedFiles:
    predicate = _object(statement, "predicate")
    serialization = _object(predicate, "serialization")
    for key, expected in (("method", "files"), ("hash_type", "sha256")):
        if _text(serialization, key) != expected:
            raise UncheckableSignature(f"It was made with {key} {shown(serialization[key])}, not {expected}.")
    digests = _digests([_resource(found) for found in _objects(predicate, "resources")])
    _check_root(statement, digests)
    ignored = _list(serialization, "ignore_paths") if "ignore_paths" in serialization else []
    return SignedFiles(digests, frozenset(path for path in ignored if isinstance(path, str)))


def _resource(resource: JsonObject) -> tuple[str, str]:
    if _text(resource, "algorithm") != "sha256":
        raise UncheckableSignature(f"It holds digests made with {shown(resource['algorithm'])}, not sha256.")
    return _text(resource, "name"), _sha256(resource, "digest")


def _old_resource(subject: JsonObject) -> tuple[str, str]:
    annotations = subject.get("annotations")
    algorithm = annotations.get("actual_hash_algorithm") if isinstance(annotations, dict) else None
    if algorithm not in (None, "sha256", "file-sha256"):
        raise UncheckableSignature(f"It holds digests made with {shown(algorithm)}, not sha256.")
    return _text(subject, "name"), _sha256(_object(subject, "digest"), "sha256")


def _digests(resources: list[tuple[str, str]]) -> dict[str, str]:
    digests: dict[str, str] = {}
    for name, digest in resources:
        if name in digests:
            raise MalformedSignature(f"The signature names {shown(name)} twice.")
        digests[name] = digest
    if not digests:
        raise MalformedSignature("The signature covers no file.")
    return digests


def _check_root(statement: JsonObject, digests: dict[str, str]) -> None:
    """The subject's digest is that of the digests in the order in which they are listed."""
    subjects = _objects(statement, "subject")
    if len(subjects) != 1:
        raise MalformedSignature(f"The signature has {len(subjects)} subjects instead of one.")
    root = hashlib.sha256(b"".join(bytes.fromhex(digest) for digest in digests.values())).hexdigest()
    if _sha256(_object(subjects[0], "digest"), "sha256") != root:
        raise MalformedSignature("The signature contradicts itself: its digest of the whole is not that of its files.")


def _json_object(data: bytes, what: str) -> JsonObject:
    if data.count(b"{") + data.count(b"[") > NODE_LIMIT:
        raise MalformedSignature(f"{what} holds more than {NODE_LIMIT} objects and arrays.")
    try:
        value: JsonValue = orjson.loads(data)
    except orjson.JSONDecodeError as failure:
        raise MalformedSignature(f"{what} is not JSON: line {failure.lineno}, column {failure.colno}.") from failure
    if not isinstance(value, dict):
        raise MalformedSignature(f"{what} is no JSON object.")
    return value


def _object(parent: JsonObject, key: str) -> JsonObject:
    value = parent.get(key)
    if not isinstance(value, dict):
        raise _mistyped(key, "an object")
    return value


def _list(parent: JsonObject, key: str) -> list[JsonValue]:
    value = parent.get(key)
    if not isinstance(value, list):
        raise _mistyped(key, "an array")
    return value


def _objects(parent: JsonObject, key: str) -> list[JsonObject]:
    objects = [value for value in _list(parent, key) if isinstance(value, dict)]
    if len(objects) < len(_list(parent, key)):
        raise MalformedSignature(f"The signature's {key} holds something else than objects.")
    return objects


def _text(parent: JsonObject, key: str) -> str:
    value = parent.get(key)
    if not isinstance(value, str):
        raise _mistyped(key, "a text")
    return value


def _mistyped(key: str, kind: str) -> MalformedSignature:
    return MalformedSignature(f"The signature's {key} is missing, or not {kind}.")


def _bytes(parent: JsonObject, key: str) -> bytes:
    try:
        return base64.b64decode(_text(parent, key), validate=True)
    except ValueError as failure:
        raise MalformedSignature(f"The signature's {key} is not base64.") from failure


def _sha256(parent: JsonObject, key: str) -> str:
    digest = _text(parent, key).lower()
    if not _SHA256.fullmatch(digest):
        raise MalformedSignature(f"The signature's {key} is not a SHA-256 in hexadecimal.")
    return digest
