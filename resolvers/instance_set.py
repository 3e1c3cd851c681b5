"""What the instances of one service should be, what they are, and what follows for the service's status."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from asyncpg import Record

from db.service import Observation
from resolvers.service import ServiceStatus

FIRST_BACKOFF_SECONDS = 1.0
LONGEST_BACKOFF_SECONDS = 300.0
# An instance that served this long before it ended is no crash loop: its next start waits the least.
SETTLED_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One instance as it is now: `reason` says why it does not run, `problem` what is wrong with its package."""

    state: str
    reason: str | None
    problem: Mapping[str, object] | None = None


def status_of(current: str, instances: Sequence[Seen], *, wanted: int) -> Observation:
    """The service's status by its instances (modelarts_03_0084): CONCERNING when only some are ready."""
    ready = sum(instance.state == "READY" for instance in instances)
    ended = [instance.reason for instance in instances if instance.state == "EXITED" and instance.reason]
    progress = ready / wanted if wanted else 1.0
    if ready == wanted:
        return Observation(ServiceStatus.RUNNING, None, progress)
    if ready:
        is_deploying = current == ServiceStatus.DEPLOYING and not ended
        status = ServiceStatus.DEPLOYING if is_deploying else ServiceStatus.CONCERNING
        return Observation(status, next(iter(ended), f"{ready} of {wanted} instances are ready."), progress)
    if ended or current == ServiceStatus.FAILED:
        # While they are tried again they have failed still, and for the reason that was seen last.
        earlier = [instance.reason for instance in instances if instance.reason]
        return Observation(ServiceStatus.FAILED, next(iter([*ended, *earlier]), None), progress)
    return Observation(ServiceStatus.DEPLOYING, "The instances are starting.", progress)


def next_attempt(row: Record, now: datetime) -> tuple[int, datetime]:
    """The count of the start after one that ended, and when it may be: the wait doubles, up to five minutes."""
    has_settled = row["ready_at"] is not None and (now - row["ready_at"]).total_seconds() >= SETTLED_SECONDS
    attempts = 1 if has_settled else row["attempts"]
    seconds = min(LONGEST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2 ** min(attempts - 1, 16))
    return attempts + 1, now + timedelta(seconds=seconds)
