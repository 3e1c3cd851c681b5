"""What the scans of a package's files found, all together."""

from collections import Counter
from collections.abc import Sequence

from artifacts.pickle_scan import ScanState

# The worst last.
SEVERITY = (ScanState.CLEAN, ScanState.UNKNOWN, ScanState.NOT_SCANNED, ScanState.SUSPICIOUS)


def scan_report(states: Sequence[ScanState]) -> dict[str, object]:
    """As versions keep it: the worst state of all files, and how many are in each."""
    counts = Counter(states)
    worst = max(states, key=SEVERITY.index, default=ScanState.CLEAN)
    return {"state": worst, **{f"{state.lower()}_count": counts[state] for state in SEVERITY}}
