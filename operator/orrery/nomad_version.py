"""Decide which Nomad versions Orrery works with. Pure."""

import re

from orrery.api.conditions import Reason
from orrery.errors import Refused

OLDEST = (2, 0, 4)
NEWEST_TESTED = (2, 0, 6)
FIRST_UNSUPPORTED_MAJOR = 3

SUPPORTED = "Supported Nomad: oldest 2.0.4, newest tested 2.0.6"
"""Said in the documentation and in each refusal."""

_VERSION = re.compile(r"v?(\d{1,6})\.(\d{1,6})\.(\d{1,6})(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")


def check_version(version: str) -> None:
    """Raise `Refused` unless *version* is at least the oldest supported and of the same major.

    A pre-release sorts before its release, as in semantic versioning: ``2.0.6-dev`` is newer than
    2.0.4, ``2.0.4-beta.1`` is not. Pre-releases of the next major already behave like it.
    """
    match = _VERSION.fullmatch(version)
    if not match:
        raise Refused(
            Reason.NOMAD_UNSUPPORTED, f"Nomad's version {version[:40]!r} is unreadable. {SUPPORTED}"
        )

    release = (int(match[1]), int(match[2]), int(match[3]))
    too_old = release < OLDEST or (release == OLDEST and match[4] is not None)
    if too_old or release[0] >= FIRST_UNSUPPORTED_MAJOR:
        age = "old" if too_old else "new"
        raise Refused(
            Reason.NOMAD_UNSUPPORTED, f"Nomad {version[:40]} is too {age}. {SUPPORTED}, below 3.0.0"
        )
