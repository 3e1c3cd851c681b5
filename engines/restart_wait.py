"""How long an instance that ended waits for its next start, wherever it runs."""

FIRST_SECONDS = 1.0
LONGEST_SECONDS = 300.0
MOST_DOUBLINGS = 16
# An instance that served this long before it ended is no crash loop: its next start waits the least.
SETTLED_SECONDS = 60.0


def restart_wait_seconds(ends: int) -> float:
    """The wait after so many ends in a row, the first being 1: it doubles, up to five minutes."""
    return min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(ends - 1, MOST_DOUBLINGS))
