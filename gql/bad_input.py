"""What an operation's arguments can have wrong."""

from __future__ import annotations

from graphql import GraphQLError

from gql.fault_code import FaultCode


class Unmatchable(Exception):
    """The value is one that no row can have: what is asked for is not there."""


def bad_input(message: str) -> GraphQLError:
    return GraphQLError(message, extensions={"code": FaultCode.BAD_USER_INPUT})


def storable(value: str) -> str:
    """The text. Raises Unmatchable for one with U+0000, which Postgres refuses even to compare."""
    if "\0" in value:
        raise Unmatchable
    return value
