"""Name snapshots, and decide which of them are too old to be kept. Pure."""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Final

_NAME: Final = re.compile(r"nomad-\d{8}T\d{6}Z\.snap")


def file_name(moment: datetime) -> str:
    """Name a snapshot by the *moment* it was taken, in UTC: names sort as the moments do."""
    return f"nomad-{moment:%Y%m%dT%H%M%SZ}.snap"


def surplus(names: Iterable[str], keep: int) -> list[str]:
    """List which of the files called *names* go when *keep* snapshots stay: never another file."""
    ours = sorted(name for name in names if _NAME.fullmatch(name))
    return ours[: max(0, len(ours) - keep)]
