"""The wall clock of a world in memory: it begins with the year 2026, and follows the loop."""

import asyncio
from typing import Final

from orrery.moments import text_at

EPOCH: Final = 1_767_225_600.0
"""2026-01-01, where the clock of the world begins."""


def now_text() -> str:
    """Write this moment; a world that does not turn yet is at its beginning."""
    try:
        seconds = asyncio.get_running_loop().time()
    except RuntimeError:
        seconds = 0.0
    return text_at(EPOCH + seconds)
