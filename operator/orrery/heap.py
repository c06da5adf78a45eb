"""How the process keeps house with memory: for a long life with many objects."""

import ctypes
import gc
from contextlib import suppress

LARGE = 128 * 1024
"""Bytes from which a block is the kernel's: it comes page by page as it is used, and goes back."""

COLLECT_AT = (50_000, 25, 100)
"""New objects, and collections of each younger generation, until cycles are looked for.

With Python's own 700, 10 and 10 that took a quarter of the time while many jobs are registered:
each time it goes through all that is alive, and hardly anything of ours is ever a cycle.
"""

_M_MMAP_THRESHOLD = -3
"""From glibc's malloc.h."""


def keep_house() -> None:
    """Set this process up; once, before it makes many objects."""
    gc.set_threshold(*COLLECT_AT)
    _map_large_blocks()


def _map_large_blocks() -> None:
    """Have the C library map each large block on its own; does nothing where it is not glibc.

    glibc does so until the first such block is freed, and then ever less. But each TLS connection
    has a buffer of 256 KiB, of which it touches a few pages, and a fleet has hundreds of them; and
    the list of a region is read into one block, and done with in a moment.
    """
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, LARGE)
