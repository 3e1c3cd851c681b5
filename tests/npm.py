"""The project's npm packages, installed once for a whole run of the tests."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from server.node import Node, node_on_path

CHECKOUT = Path(__file__).parent.parent
LOCKED = ("package.json", "package-lock.json")
INSTALLING = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier")
INSTALLING_SECONDS = 600


def required_node() -> Node:
    """Node with npm; skips the test where there is none, but fails in CI."""
    node = node_on_path()
    if node is None:
        assert not os.environ.get("CI"), "CI needs node and npm on the PATH"
        pytest.skip("needs npm packages, and there is no node with npm on the PATH")
    return node


def have_packages(node: Node, folder: Path) -> None:
    """Install what package-lock.json names into the folder unless another worker of this run has."""
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        installed = folder / "installed"
        if installed.exists():
            return
        for name in LOCKED:
            shutil.copyfile(CHECKOUT / name, folder / name)
        subprocess.run([*node.npm, *INSTALLING], cwd=folder, check=True, timeout=INSTALLING_SECONDS)
        installed.touch()
