"""Ids as clients see them: the type's prefix and the key, stable and safe in URLs."""

import re
from enum import StrEnum
from uuid import UUID

from graphql import GraphQLError

from gql.bad_input import bad_input


class Prefix(StrEnum):
    TRAINING_JOB = "job"
    TRAINING_JOB_VERSION = "run"
    UPLOAD = "upl"
    MODEL = "mdl"
    MODEL_VERSION = "ver"
    SERVICE = "svc"
    BACKGROUND_OPERATION = "opn"
    SERVICE_INSTANCE = "ins"
    WORKSPACE = "wsp"
    MARKET_LISTING = "lst"
    MARKET_SUBSCRIPTION = "sub"
    RESOURCE_POOL = "pool"
    EDGE_NODE = "edg"


FORM = re.compile(f"({'|'.join(Prefix)})_([0-9a-f]{{32}})")


def encode(prefix: Prefix, key: UUID) -> str:
    return f"{prefix}_{key.hex}"


def decode(prefix: Prefix, text: str) -> UUID:
    """The key in an id of one type. Raises GraphQLError for an id of another type, or for none at all."""
    found, key = parse(text)
    if found is not prefix:
        raise _malformed(text, f"one begins with {prefix}_")
    return key


def parse(text: str) -> tuple[Prefix, UUID]:
    """Raises GraphQLError for what is not an id."""
    match = FORM.fullmatch(text)
    if match is None:
        raise _malformed(text, "an id is a type's prefix, an underscore and 32 hexadecimal digits")
    return Prefix(match[1]), UUID(match[2])


def _malformed(text: str, rule: str) -> GraphQLError:
    return bad_input(f"{text[:80]!r} is not an id here: {rule}.")
