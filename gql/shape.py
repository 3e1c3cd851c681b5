"""What of an operation's variables a plan depends on: which are there, how they are built, and what has to be known."""

from __future__ import annotations

from collections.abc import Hashable
from enum import Enum


def shape(value: object) -> Hashable:
    """Equal for values that one plan serves.

    Nulls, Booleans, enum values and whole numbers decide what is read, which index is used and how far; other scalars
    are parameters, of which only the type counts. Of a list it counts whether it has no item, one, or more.
    """
    match value:
        case None | bool() | Enum() | int():
            return (type(value), value)
        case dict():
            return tuple((key, shape(member)) for key, member in value.items())
        case list():
            return (list, min(len(value), 2))
    return type(value).__name__
