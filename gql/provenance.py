"""Who signed a package."""

import strawberry

from artifacts.model_signature import SignatureState
from gql.described_enum import described_enum

described_enum(
    SignatureState,
    description="What the signature of a package is worth.",
    values={
        "VERIFIED": "Somebody who is trusted here signed exactly these files.",
        "UNTRUSTED": "It was signed, by somebody who is not trusted here or in a way that cannot be checked here.",
        "INVALID": "The signature is broken, or of other files than these.",
    },
)


@strawberry.type(description="What the signature in a package says (OpenSSF model signing), checked at its import.")
class Provenance:
    state: SignatureState = strawberry.field(description="What it is worth.")
    signer: str | None = strawberry.field(description="Who signed, as the operator calls that key; null if untrusted.")
    key_fingerprint: str | None = strawberry.field(description="SHA-256 of the signer's public key, in hexadecimal.")
    predicate_type: str | None = strawberry.field(description="The form of what was signed, as a URI.")
    signed_files: int = strawberry.field(description="How many files the signature names.")
    message: str = strawberry.field(description="The same in a sentence.")
    file: str = strawberry.field(description="The signature's own path, relative to the model directory.")
