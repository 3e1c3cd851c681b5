"""Cursors: the name of a list's order and a row's key in it, as db/reading/source.py writes them."""

from __future__ import annotations

import re
from uuid import UUID

from db.reading import KeyPart, Order
from gql.bad_input import bad_input

SEPARATOR = "_"
HEXADECIMAL = re.compile(r"(?:[0-9a-f]{2})*")
INTEGER = re.compile(r"-?[0-9]{1,19}")


def cursor_key(order: Order, cursor: str) -> tuple[UUID | int | str, ...]:
    """The key that a cursor holds. Raises GraphQLError (BAD_USER_INPUT) for a cursor that is none of this order's."""
    name, *texts = cursor.split(SEPARATOR)
    if name != order.name or len(texts) != len(order.key):
        raise _foreign(cursor)
    try:
        return tuple(_value(part, text) for part, text in zip(order.key, texts, strict=True))
    except ValueError as error:
        raise _foreign(cursor) from error


def _value(part: KeyPart, text: str) -> UUID | int | str:
    match part.type:
        case "uuid":
            return UUID(bytes=_bytes(text))
        case "bigint":
            return _integer(text)
    value = _bytes(text).decode()
    if "\0" in value:
        raise ValueError("no text has it")
    return value


def _bytes(text: str) -> bytes:
    if HEXADECIMAL.fullmatch(text) is None:
        raise ValueError("no hexadecimal digits")
    return bytes.fromhex(text)


def _integer(text: str) -> int:
    if INTEGER.fullmatch(text) is None or not -(2**63) <= int(text) < 2**63:
        raise ValueError("no bigint")
    return int(text)


def _foreign(cursor: str) -> Exception:
    return bad_input(f"{cursor[:80]!r} is not a cursor of this list.")
