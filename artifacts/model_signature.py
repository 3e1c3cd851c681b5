"""Whether a model's signature (OpenSSF model signing) is a trusted one of exactly these files."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import PurePosixPath

from artifacts.json_node import shown
from artifacts.problem import Problem, ProblemCode
from artifacts.signature_bundle import (
    MalformedSignature,
    SignatureBundle,
    SignedFiles,
    UncheckableSignature,
    predicate_type,
    read_bundle,
    read_statement,
    signed_files,
)
from artifacts.signer import UnknownSigner, find_signer
from artifacts.trusted_key import TrustedKeys

SIGNATURE_FILE = "model.sig"
_OTHER_NAMES = ("*.sig", "*.sigstore.json")
# Signed over the directory above, names begin with the model's directory.
_DIRECTORY = "model/"
_SHOWN = 3


class SignatureState(StrEnum):
    """VERIFIED by a trusted key; UNTRUSTED: by another, or uncheckable here; INVALID: broken, or of other files."""

    VERIFIED = "VERIFIED"
    UNTRUSTED = "UNTRUSTED"
    INVALID = "INVALID"


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a signature says. `signer` and `key_fingerprint` (SHA-256 in hex of the key in DER) only of who is trusted.

    `signed_files` counts the files that it names; `message` is for people; `file` is the signature's own path.
    """

    state: SignatureState
    signer: str | None
    key_fingerprint: str | None
    predicate_type: str | None
    signed_files: int
    message: str
    file: str


def find_signature(paths: Iterable[str]) -> str | None:
    """Among paths relative to the model directory: `model.sig` at its top, or the one other signature there."""
    top = [path for path in paths if "/" not in path]
    if SIGNATURE_FILE in top:
        return SIGNATURE_FILE
    others = [path for path in top if any(PurePosixPath(path).match(name) for name in _OTHER_NAMES)]
    return others[0] if len(others) == 1 else None


def verify_signature(
    bundle: bytes, *, file: str, files: Mapping[str, str], keys: TrustedKeys, at: datetime | None = None
) -> Provenance:
    """`files` are SHA-256 (hex) by path relative to the model directory, but for the signature `file` itself.

    Certificates have to be valid `at` that moment, by default now. Raises nothing, whatever the bytes.
    """
    found = Provenance(SignatureState.INVALID, None, None, None, 0, "", file)
    try:
        signed = read_bundle(bundle)
        statement = read_statement(signed.payload)
        found = replace(found, predicate_type=predicate_type(statement))
        found = _with_signer(found, signed, keys, at or datetime.now(UTC))
        covered = signed_files(statement)
        found = replace(found, signed_files=len(covered.digests))
        return _with_files(found, covered, files)
    except UncheckableSignature as uncheckable:
        message = f"The signature is of a form that cannot be checked here. {uncheckable}"
        return replace(found, state=SignatureState.UNTRUSTED, message=message)
    except MalformedSignature as malformed:
        return replace(found, state=SignatureState.INVALID, message=str(malformed))


def _with_signer(found: Provenance, signed: SignatureBundle, keys: TrustedKeys, at: datetime) -> Provenance:
    try:
        signer = find_signer(signed, keys, at=at)
    except UnknownSigner as unknown:
        return replace(found, state=SignatureState.UNTRUSTED, message=str(unknown))
    return replace(
        found,
        state=SignatureState.VERIFIED,
        signer=signer.name,
        key_fingerprint=signer.key_fingerprint,
        message=f"Signed by {signer.name}.",
    )


def _with_files(found: Provenance, covered: SignedFiles, files: Mapping[str, str]) -> Provenance:
    covered = _relative_to_model(covered, files)
    unsigned = [path for path in files if path not in covered.digests and path != found.file]
    left_out = [path for path in unsigned if _is_ignored(path, covered)]
    differences = _differences(covered, files, set(unsigned) - set(left_out))
    if differences:
        return replace(found, state=SignatureState.INVALID, message=f"Not the files that were signed: {differences}.")
    if left_out:
        return replace(found, message=f"{found.message} The signer left out {_listed(left_out)}.")
    return found


def _relative_to_model(covered: SignedFiles, files: Mapping[str, str]) -> SignedFiles:
    """Signed over the directory above, where every name says so and not every file of the package does."""
    if not all(name.startswith(_DIRECTORY) for name in covered.digests):
        return covered
    if all(path.startswith(_DIRECTORY) for path in files):
        return covered
    return SignedFiles(
        {name.removeprefix(_DIRECTORY): digest for name, digest in covered.digests.items()},
        frozenset(path.removeprefix(_DIRECTORY) for path in covered.ignored_paths if path.startswith(_DIRECTORY)),
    )


def _is_ignored(path: str, covered: SignedFiles) -> bool:
    """It or a folder of it, by the signer's choice; `.` names nothing, as ignoring everything would sign nothing."""
    parts = path.split("/")
    return any("/".join(parts[:count]) in covered.ignored_paths for count in range(1, len(parts) + 1))


def _differences(covered: SignedFiles, files: Mapping[str, str], unsigned: Collection[str]) -> str:
    missing = [name for name in covered.digests if name not in files]
    changed = [name for name, digest in covered.digests.items() if files.get(name, digest) != digest]
    kinds = ((changed, "changed"), (missing, "missing"), (unsigned, "not signed"))
    return "; ".join(f"{_listed(paths)} {what}" for paths, what in kinds if paths)


def _listed(paths: Collection[str]) -> str:
    named = ", ".join(shown(path) for path in sorted(paths)[:_SHOWN])
    return named if len(paths) <= _SHOWN else f"{named} and {len(paths) - _SHOWN} more"


def judge_signature(provenance: Provenance | None, policy: str) -> tuple[list[Problem], list[Problem]]:
    """Problems and warnings. `policy` is `show`, `require-valid` (what is signed must be VERIFIED) or `require`."""
    if provenance is None:
        return ([_missing()], []) if policy == "require" else ([], [])
    if provenance.state is SignatureState.VERIFIED:
        return [], []
    problem = _problem(provenance)
    return ([], [problem]) if policy == "show" else ([problem], [])


def _missing() -> Problem:
    return Problem(
        ProblemCode.SIGNATURE_MISSING,
        "The package is not signed; this installation takes signed ones only.",
        SIGNATURE_FILE,
        expected=f"model/{SIGNATURE_FILE}",
        hint=f"Sign it with model-signing, and put {SIGNATURE_FILE} beside config.json.",
    )


def _problem(provenance: Provenance) -> Problem:
    if provenance.state is SignatureState.INVALID:
        return Problem(
            ProblemCode.SIGNATURE_INVALID,
            provenance.message,
            provenance.file,
            hint="Find out who changed what. If it was you, sign the model anew after its last change.",
        )
    return Problem(
        ProblemCode.SIGNATURE_UNTRUSTED,
        provenance.message,
        provenance.file,
        hint="Have it signed with a key that is trusted here, or ask the operator to trust the signer's.",
    )
