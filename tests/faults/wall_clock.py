"""Run a program of Python whose wall clock somebody sets, as its first argument says.

The argument names a file with the seconds by which the clock is wrong; it may change at any time.
The monotonic clock goes on as ever, as on a machine.
"""

import runpy
import sys
import time
from pathlib import Path


def main() -> None:
    """Set the clock, then become ``orrery``."""
    _, wrong_by, *words = sys.argv
    right, path = time.time, Path(wrong_by)
    time.time = lambda: right() + float(path.read_text())
    sys.argv = ["orrery", *words]
    runpy.run_module("orrery", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
