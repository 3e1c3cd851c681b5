"""What the instances of one service should be, what they are, and what follows for the service's status."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from asyncpg import Record

from db.service import Observation
from engines.restart_wait import SETTLED_SECONDS, restart_wait_seconds
from resolvers.service import ServiceStatus

# The state of an instance that no engine knows yet: it waits for its place.
PENDING = "PENDING"
# It has its place, and waits for its target's environment and files.
PREPARING = "PREPARING"


@dataclass(frozen=True, slots=True)
class Seen:
    """One instance as it is now: `reason` says why it does not run, `problem` what is wrong with its package."""

    state: str
    reason: str | None
    problem: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """A configuration on its way in, and how many instances of the routed one, which serves until then, are ready."""

    number: int
    routed_number: int
    serving: int


def status_of(
    row: Record,
    instances: Sequence[Seen],
    *,
    update: Update | None = None,
    timeout_seconds: float | None = None,
) -> Observation:
    """The service's status by the wanted configuration's instances (modelarts_03_0084): CONCERNING when some are ready.

    `row` is the service as it was; `timeout_seconds` is given once its deployment has taken longer than that.
    """
    ready = sum(instance.state == "READY" for instance in instances)
    progress = ready / len(instances) if instances else 1.0
    if ready == len(instances):
        return Observation(ServiceStatus.RUNNING, None, progress)
    serving = update.serving if update else ready
    failure = _failure(row, instances, update, timeout_seconds)
    if failure is None:
        return _under_way(instances, update, ready, progress)
    # What is said already may be said once more, and whether something serves may have changed since.
    in_vain = _in_vain(update) if update else ""
    failure = failure.removeprefix(in_vain)
    if not serving:
        return Observation(ServiceStatus.FAILED, failure, progress)
    return Observation(ServiceStatus.CONCERNING, in_vain + failure, progress)


def _failure(
    row: Record, instances: Sequence[Seen], update: Update | None, timeout_seconds: float | None
) -> str | None:
    """Why the service is not as it should be; None while it is on its way there."""
    ended = [instance.reason for instance in instances if instance.state == "EXITED" and instance.reason]
    if ended:
        return ended[0]
    earlier = next((instance.reason for instance in instances if instance.reason), None)
    ready = sum(instance.state == "READY" for instance in instances)
    said = earlier or f"{ready} of {len(instances)} instances are ready."
    if timeout_seconds is not None:
        return f"The service was not ready within {timeout_seconds:g} s. {said}"
    # While they are tried again they have failed still, and for the reason that was seen last.
    if row["status"] == ServiceStatus.FAILED or (update and row["status"] == ServiceStatus.CONCERNING):
        return earlier or row["status_message"] or said
    has_begun = row["status"] in (ServiceStatus.DEPLOYING, ServiceStatus.PENDING)
    return said if ready and not has_begun else None


def _under_way(instances: Sequence[Seen], update: Update | None, ready: int, progress: float) -> Observation:
    waiting = next((instance.reason for instance in instances if instance.state == PENDING), None)
    serving = update.serving if update else ready
    if waiting and not serving:
        return Observation(ServiceStatus.PENDING, waiting, progress)
    message = waiting or f"{ready} of {len(instances)} instances are ready."
    if update:
        message = f"Configuration {update.number} is coming into force. {message}"
    elif not ready:
        is_preparing = any(instance.state == PREPARING for instance in instances)
        message = "Environment and files are being prepared." if is_preparing else "The instances are starting."
    return Observation(ServiceStatus.DEPLOYING, message, progress)


def _in_vain(update: Update) -> str:
    return f"Configuration {update.number} has not come into force; configuration {update.routed_number} serves on. "


def next_attempt(row: Record, now: datetime) -> tuple[int, datetime]:
    """The count of the start after one that ended, and when it may be: the wait doubles, up to five minutes."""
    has_settled = row["ready_at"] is not None and (now - row["ready_at"]).total_seconds() >= SETTLED_SECONDS
    attempts = 1 if has_settled else row["attempts"]
    return attempts + 1, now + timedelta(seconds=restart_wait_seconds(attempts))
