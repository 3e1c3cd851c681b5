"""What an import does with what its scans find."""

import strawberry

from gql.described_enum import described_enum
from resolvers import scan_policy
from resolvers.scan_policy import ScanAction

described_enum(
    ScanAction,
    description="What an import does with a file by what its scan found.",
    values={
        "BLOCK": "It fails, and says which file.",
        "WARN": "It goes on, and says so in the version's warnings.",
        "ALLOW": "It goes on. The scan's result stands with the file.",
    },
)


@strawberry.type(description="What imports do with files by what their scans found. Nothing is unpickled for a scan.")
class ScanPolicy:
    suspicious: ScanAction = strawberry.field(
        description="With a file that names something that runs code when it is loaded."
    )
    unknown: ScanAction = strawberry.field(description="With a file that names classes that are not known.")
    not_scanned: ScanAction = strawberry.field(description="With a file that could not be read to its end.")

    @classmethod
    def of(cls, policy: scan_policy.ScanPolicy) -> "ScanPolicy":
        return cls(suspicious=policy.suspicious, unknown=policy.unknown, not_scanned=policy.not_scanned)


@strawberry.input(
    description="What imports are to do. What is left out stays as it is; null goes back to the installation's setting."
)
class ScanPolicyInput:
    suspicious: strawberry.Maybe[ScanAction | None] = strawberry.field(
        description="With a file that names something that runs code when it is loaded."
    )
    unknown: strawberry.Maybe[ScanAction | None] = strawberry.field(
        description="With a file that names classes that are not known."
    )
    not_scanned: strawberry.Maybe[ScanAction | None] = strawberry.field(
        description="With a file that could not be read to its end."
    )

    def read(self) -> dict[str, ScanAction | None]:
        """What was chosen, by the fields' names."""
        given = {"suspicious": self.suspicious, "unknown": self.unknown, "notScanned": self.not_scanned}
        return {name: choice.value for name, choice in given.items() if choice is not None}
