"""What can be changed of a service without another configuration: what is said of it, who may ask it, how much."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any

from asyncpg import Record

from db import service
from db.service import Settings
from resolvers import field_rule
from resolvers.errors import Refusal, invalid
from resolvers.installation import Installation
from resolvers.service import CHANGE_SETTINGS
from resolvers.transaction import Transaction

# 1 to 24 hours (modelarts: auto stop).
AUTO_STOP_SECONDS = (3_600, 86_400)
LEAST_TIMEOUT_SECONDS = 0.1
REQUESTS_PER_SECOND = (0.01, 1_000_000)
MOST_BURST = 1_000_000
SETTING_NAMES = tuple(each.name for each in fields(Settings))


class ServiceAccess(StrEnum):
    TOKEN = "TOKEN"
    PUBLIC = "PUBLIC"


@dataclass(frozen=True, slots=True)
class SettingChanges:
    """What is said anew, by the names in SETTING_NAMES and "description"; None: as it is where nothing is said."""

    given: Mapping[str, Any] = field(default_factory=dict)

    def description_of(self, row: Record | None) -> str | None:
        now = row["description"] if row is not None else None
        said: str | None = self.given.get("description", now)
        return said

    def settings_of(self, row: Record | None) -> Settings:
        """The settings of a service once they are changed; `row` is None where it is new."""
        usual = Settings()
        now = usual if row is None else Settings(**{name: row[name] for name in SETTING_NAMES})
        changed = {name: self.given[name] for name in SETTING_NAMES if name in self.given}
        cleared = {name: getattr(usual, name) for name, value in changed.items() if value is None}
        return replace(now, **changed | cleared)


async def describe(unit: Transaction, row: Record, description: str | None) -> bool:
    """Say what a service is about: an empty description takes it away, None leaves it. Whether that changed it."""
    said = row["description"] if description is None else description or None
    if said == row["description"]:
        return False
    settings = SettingChanges().settings_of(row)
    await service.change_settings(unit.connection, unit.workspace_id, row["id"], said, settings)
    unit.record(CHANGE_SETTINGS.event, row["id"], fields=["description"])
    await service.notify(unit.connection, row["id"])
    return True


def setting_violations(installation: Installation, changes: SettingChanges) -> list[Refusal]:
    """What is wrong with a change by itself."""
    rules, settings = installation.rules, changes.settings_of(None)
    return [
        *field_rule.description(changes.description_of(None), is_strict=rules.is_strict, path=["description"]),
        *_body_violations(settings, rules.prediction_max_body_bytes),
        *_timeout_violations(settings, rules.prediction_timeout_seconds),
        *_rate_violations(settings),
        *_auto_stop_violations(settings),
    ]


def burst_violations(settings: Settings) -> Iterator[Refusal]:
    """What is wrong with settings together, as they would come to be."""
    if settings.request_burst is not None and settings.requests_per_second is None:
        yield invalid("A burst needs a number of requests a second, too.", path=["requestBurst"])


def _body_violations(settings: Settings, most: int) -> Iterator[Refusal]:
    if settings.max_body_bytes is not None and not 1 <= settings.max_body_bytes <= most:
        yield invalid(f"A body has 1 to {most} bytes on this server.", path=["maxBodyBytes"])


def _timeout_violations(settings: Settings, most: float) -> Iterator[Refusal]:
    least = min(LEAST_TIMEOUT_SECONDS, most)
    if settings.timeout_seconds is not None and not least <= settings.timeout_seconds <= most:
        yield invalid(f"A prediction may take {least:g} to {most:g} s on this server.", path=["timeoutSeconds"])


def _rate_violations(settings: Settings) -> Iterator[Refusal]:
    least, most = REQUESTS_PER_SECOND
    if settings.requests_per_second is not None and not least <= settings.requests_per_second <= most:
        yield invalid(f"A service takes {least:g} to {most:,} requests a second.", path=["requestsPerSecond"])
    if settings.request_burst is not None and not 1 <= settings.request_burst <= MOST_BURST:
        yield invalid(f"A burst has 1 to {MOST_BURST:,} requests.", path=["requestBurst"])


def _auto_stop_violations(settings: Settings) -> Iterator[Refusal]:
    least, most = AUTO_STOP_SECONDS
    if settings.auto_stop_after_seconds is not None and not least <= settings.auto_stop_after_seconds <= most:
        yield invalid(
            f"A service is stopped after {least} to {most} seconds: 1 to 24 hours.", path=["autoStopAfterSeconds"]
        )
