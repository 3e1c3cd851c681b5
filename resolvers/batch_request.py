"""What a batch service is asked to do, and what of that breaks a rule by itself."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import orjson

from artifacts.csv_mapping import Fault, read_mapping
from resolvers.batch_configuration import BatchInputKind
from resolvers.errors import Refusal, Refusals, invalid
from resolvers.location import Location
from resolvers.service_target import Target, target_violations

CONCURRENCY = 64
CONCURRENCY_OF_INSTANCE = 4
RULE_PATH = ("mapping", "csv", "rule")
RULE_HINT = "A rule is the API's request schema with an index, 0 for the first column, in each of its values."


@dataclass(frozen=True, slots=True)
class BatchInput:
    location: Location
    kind: BatchInputKind


@dataclass(frozen=True, slots=True)
class FileMapping:
    """`parameter` is None for the only one there is."""

    parameter: str | None


@dataclass(frozen=True, slots=True)
class RuleMapping:
    rule: object


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """What is None stays as it is in an update, and gets its default in a new service."""

    target: Target | None = None
    input: BatchInput | None = None
    output: Location | None = None
    api_path: str | None = None
    mapping: FileMapping | RuleMapping | None = None
    max_concurrency: int | None = None


def violations(request: BatchRequest) -> Iterator[Refusal]:
    """What can be told without looking anything up. Raises Refusals for what cannot be looked at any further."""
    if request.target is not None:
        yield from target_violations(request.target, path=["target"])
    if request.max_concurrency is not None and not 1 <= request.max_concurrency <= CONCURRENCY:
        yield invalid(f"At most 1 to {CONCURRENCY} requests are sent at once.", path=["maxConcurrency"])
    if isinstance(request.mapping, RuleMapping):
        yield from _rule_violations(request.mapping)


def _rule_violations(mapping: RuleMapping) -> Iterator[Refusal]:
    try:
        text = orjson.dumps(mapping.rule)
    except orjson.JSONEncodeError as error:
        raise Refusals([invalid(f"The rule cannot be kept as JSON: {error}.", path=RULE_PATH)]) from error
    if b"\\u0000" in text:
        yield invalid("A rule cannot hold the character U+0000.", path=RULE_PATH)
    for fault in read_mapping(mapping.rule).problems:
        yield of_rule(fault, hint=RULE_HINT)


def rule_warnings(mapping: FileMapping | RuleMapping | None) -> Sequence[Refusal]:
    """Parameters that the rule leaves out."""
    if not isinstance(mapping, RuleMapping):
        return ()
    return [of_rule(fault) for fault in read_mapping(mapping.rule).warnings]


def of_rule(fault: Fault, *, hint: str | None = None) -> Refusal:
    """What is to be said of a rule."""
    message = f"{fault.message} (at {fault.pointer})" if fault.pointer else fault.message
    return invalid(message, path=RULE_PATH, hint=hint)
