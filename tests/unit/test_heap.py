"""What is set up for the process as a whole."""

import subprocess
import sys

import pytest

SCRIPT = """
import gc
from orrery.heap import COLLECT_AT, LARGE, keep_house

def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) * 1024

keep_house()
assert gc.get_threshold() == COLLECT_AT
larger = [bytes(LARGE * 8) for _ in range(20)]
del larger[:]
held = [bytes([n]) * (LARGE + 4096) for n in range(20)]
full = resident()
del held[::2]
assert full - resident() >= 9 * LARGE, (full, resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="it is glibc that keeps them")
def test_large_blocks_go_back_when_they_are_freed() -> None:
    """Even between others, and after larger ones were freed, which makes glibc keep them."""
    subprocess.run([sys.executable, "-c", SCRIPT], check=True, timeout=60)
