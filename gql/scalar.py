"""Scalars of our own."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NewType

import strawberry
from strawberry.types.scalar import ScalarDefinition

from gql.bad_input import bad_input

SAFE_INTEGER = 2**53 - 1


def _big_integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -SAFE_INTEGER <= value <= SAFE_INTEGER:
        raise bad_input("A BigInt is a whole number between -(2^53 - 1) and 2^53 - 1.")
    return value


def _moment(value: object) -> datetime:
    try:
        parsed = datetime.fromisoformat(value) if isinstance(value, str) else None
        if parsed is not None and parsed.tzinfo is not None:
            return parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        # Overflown: in UTC it would lie before the year 1, or after the year 9999.
        pass
    raise bad_input("A DateTime is a time of ISO 8601 with its offset, such as 2026-01-31T12:00:00Z.")


def _utc_text(value: datetime) -> str:
    """As Postgres writes it too: no more digits of the second than there are."""
    text = value.astimezone(UTC).replace(tzinfo=None).isoformat()
    return f"{text.rstrip('0')}Z" if "." in text else f"{text}Z"


BigInt = NewType("BigInt", int)
URL = NewType("URL", str)

SCALARS: Mapping[object, ScalarDefinition] = {
    BigInt: strawberry.scalar(
        name="BigInt",
        description="A whole number, written as a JSON number and safe to 2^53 - 1 either way. Sizes in bytes have it.",
        serialize=int,
        parse_value=_big_integer,
    ),
    datetime: strawberry.scalar(
        name="DateTime",
        description="A moment, in UTC, as ISO 8601 has it: 2026-01-31T12:00:00Z. Other offsets are accepted.",
        serialize=_utc_text,
        parse_value=_moment,
    ),
    URL: strawberry.scalar(
        name="URL",
        description="The address of something that can be opened with an HTTP request.",
        serialize=str,
        parse_value=str,
    ),
}
