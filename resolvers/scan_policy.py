"""What an import does with what its scans find: the workspace's choice, else the installation's."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING
from uuid import UUID

from db import workspace
from db.connection import Queryable

if TYPE_CHECKING:
    from resolvers.installation import Installation


class ScanAction(StrEnum):
    BLOCK = "BLOCK"
    WARN = "WARN"
    ALLOW = "ALLOW"


@dataclass(frozen=True, slots=True)
class ScanPolicy:
    """`suspicious` pickles name known-bad code, `unknown` ones unknown classes; `not_scanned` files were not read."""

    suspicious: ScanAction
    unknown: ScanAction
    not_scanned: ScanAction


async def scan_policy(installation: Installation, connection: Queryable, workspace_id: UUID) -> ScanPolicy:
    """The policy that is in force in a workspace, which may be laxer than the installation's."""
    chosen = await workspace.settings(connection, workspace_id)
    default = installation.rules.scan_policy
    return ScanPolicy(
        ScanAction(chosen["suspicious_pickles"] or default.suspicious),
        ScanAction(chosen["unknown_pickles"] or default.unknown),
        ScanAction(chosen["unscanned_files"] or default.not_scanned),
    )
