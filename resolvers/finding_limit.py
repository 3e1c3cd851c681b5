"""How many findings of one version are kept and shown."""

from collections.abc import Sequence

from artifacts.problem import FINDING_LIMIT


def first_findings(rows: Sequence[dict[str, object]]) -> list[dict[str, object]]:
    """At most 100, as rows keep problems. Where there are more, the last one says how many are left out."""
    if len(rows) <= FINDING_LIMIT:
        return list(rows)
    kept = list(rows[: FINDING_LIMIT - 1])
    return [*kept, {"code": kept[-1]["code"], "message": f"… and {len(rows) - len(kept):,} more like it."}]
