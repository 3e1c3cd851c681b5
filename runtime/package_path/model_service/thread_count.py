"""How many threads a model's library may use."""

import os


def thread_count() -> int:
    """As many as the instance has processors, which the engine says in the usual variable; else one."""
    try:
        return max(1, int(os.environ.get("OMP_NUM_THREADS", "1")))
    except ValueError:
        return 1
