"""How long predictions take, counted in fixed buckets: the bounds, and percentiles estimated from the counts."""

from collections.abc import Sequence

LATENCY_BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0)


def percentile_seconds(counts: Sequence[int], share: float) -> float | None:
    """Within which time this share (0.99) of the calls were answered, as if each bucket's were spread evenly in it.

    `counts` has one number for each bucket and one for what took longer, which is taken for the last bound. None where
    there was no call.
    """
    total = sum(counts)
    if not total:
        return None
    rank, below = share * total, 0
    for number, count in enumerate(counts[:-1]):
        if count and below + count >= rank:
            lower = LATENCY_BUCKETS_SECONDS[number - 1] if number else 0.0
            return lower + (LATENCY_BUCKETS_SECONDS[number] - lower) * (rank - below) / count
        below += count
    return LATENCY_BUCKETS_SECONDS[-1]
