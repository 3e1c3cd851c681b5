"""Who signed a package, as its stored copy shows."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import asdict

from asyncpg import Record

from artifacts.layout import CONFIG_FILE
from artifacts.model_signature import Provenance, SignatureState, find_signature, verify_signature
from artifacts.problem import Problem, ProblemCode
from artifacts.signature_bundle import SIZE_LIMIT_BYTES
from db import model_version
from resolvers.installation import Installation


async def find_provenance(installation: Installation, files: Sequence[model_version.StoredFile]) -> Provenance | None:
    """What the signature among the files says of the others; None where there is none. Raises StoreError."""
    by_path = {file.path: file for file in files}
    path = find_signature(by_path)
    if path is None:
        return None
    bundle = await _read(installation, by_path.pop(path))
    digests = {path: file.sha256.hex() for path, file in by_path.items()}
    keys = installation.rules.trusted_keys
    return await asyncio.to_thread(verify_signature, bundle, file=path, files=digests, keys=keys)


def replaced_config(version: Record, state: str | None) -> list[Problem]:
    """A warning where a signature holds, and what its importer named is in force in the place of what was signed."""
    fields = {
        "config": version["chosen_config"],
        "apis": version["chosen_apis"],
        "dependencies": version["chosen_dependencies"],
        "template": version["template"],
    }
    named = [field for field, value in fields.items() if value is not None]
    if state != SignatureState.VERIFIED or not named:
        return []
    message = f"The files are those that were signed; {', '.join(named)} of the import stand in for the signed config."
    hint = "Compare config with what lies in the package, or import it as it was signed."
    return [Problem(ProblemCode.SIGNED_CONFIG_REPLACED, message, file=CONFIG_FILE, hint=hint)]


def stored_provenance(provenance: Provenance | None) -> dict[str, object] | None:
    return None if provenance is None else asdict(provenance)


async def _read(installation: Installation, file: model_version.StoredFile) -> bytes:
    """The bundle, or somewhat more of it than is ever looked at."""
    data = bytearray()
    end_bytes = min(file.size_bytes, SIZE_LIMIT_BYTES + 1)
    async with aclosing(installation.blobs.read(file.sha256.hex(), end_bytes=end_bytes)) as chunks:
        async for chunk in chunks:
            data += chunk
    return bytes(data)
