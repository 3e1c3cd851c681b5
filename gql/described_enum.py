"""Enums of the layers below, with a description for each value."""

from collections.abc import Mapping
from enum import Enum
from typing import TypeVar

import strawberry

EnumType = TypeVar("EnumType", bound=type[Enum])


def described_enum(enum: EnumType, *, description: str, values: Mapping[str, str], name: str | None = None) -> EnumType:
    """Make an enum part of the schema. Raises KeyError where a value has no description.

    Strawberry may have met it before, in a field of a module that was imported earlier: then its definition is mended,
    since a second one would count as another type of the same name.
    """
    made = enum if "__strawberry_definition__" in vars(enum) else strawberry.enum(enum)
    definition = made.__strawberry_definition__  # type: ignore[attr-defined]
    definition.name = name or enum.__name__
    definition.description = description
    for value in definition.values:
        value.description = values[value.name]
    return made
