"""Begins the agent. As one file it first unpacks itself into its data directory, since what it starts are files."""

import sys

# Told before anything that an older interpreter cannot read.
if sys.version_info < (3, 11):  # noqa: UP036  whoever runs this file may have any
    sys.exit("modelyard-edge-agent: Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ".")

from pathlib import Path

HERE = Path(__file__).parent

if __name__ == "__main__":
    if HERE.is_dir():
        from edge.process import main

        main(sys.argv[1:])
    else:
        from edge.unpacking import go_on_unpacked

        go_on_unpacked(HERE, sys.argv[1:])
