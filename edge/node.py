"""What the agent tells of the machine that it runs on."""

import os
import platform
from collections.abc import Mapping
from pathlib import Path

from engines.runtime_catalogue import INSTALLED

CHECKOUT = "checkout"


def agent_version() -> str:
    """The name of the folder that the agent's file was unpacked to, which is its digest."""
    here = Path(__file__).parent.parent
    return here.name if here.parent.name == "agent" else CHECKOUT


def facts() -> Mapping[str, object]:
    return {
        "agent_version": agent_version(),
        "architecture": platform.machine(),
        "runtime": INSTALLED,
        "cpu_count": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
    }
