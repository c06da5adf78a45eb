"""Render what tells a machine in time that its bundle has to be made again. Pure.

Nothing is asked of a tool that a machine may lack, and no private key is read: when the
certificate ends stands in the files, which come and go with it.
"""

from collections.abc import Sequence
from datetime import datetime

from orrery.render.bundle_files import (
    EXPIRY_SCRIPT,
    EXPIRY_TIMER,
    EXPIRY_UNIT,
    PUBLIC,
    README,
    BundleFile,
)


def renewal_due(made: datetime, expires: datetime) -> datetime:
    """Say when a third of the time is left, as Orrery renews the certificates that it keeps."""
    return expires - (expires - made) / 3


def expiry_files(region: str, made: datetime, expires: datetime) -> Sequence[BundleFile]:
    """Render a script, and the units that run it twice a day.

    The script fails from `renewal_due` on.
    """
    due = renewal_due(made, expires)
    return [
        BundleFile(EXPIRY_SCRIPT, PUBLIC, _script(region, due, expires)),
        BundleFile(EXPIRY_UNIT, PUBLIC, _unit(region)),
        BundleFile(EXPIRY_TIMER, PUBLIC, _timer(region)),
    ]


def _script(region: str, due: datetime, expires: datetime) -> str:
    return f"""\
#!/bin/sh
# Tells how long the certificate of this machine is still good. Fails when it is time to renew.
due={int(due.timestamp())}
expires={int(expires.timestamp())}

now=$(date +%s)
left=$(((expires - now) / 86400))
again="make another bundle with: orrery region bundle {region}; see /{README}"
if [ "$now" -ge "$expires" ]; then
  echo "<3>the certificate for the region {region} has expired: $again"
  exit 1
elif [ "$now" -ge "$due" ]; then
  echo "<4>the certificate for the region {region} expires, days left: $left: $again"
  exit 1
fi
echo "<6>the certificate for the region {region} is good, days left: $left"
"""


def _unit(region: str) -> str:
    """Write the unit; what its script says begins with a level of the journal's."""
    return f"""\
[Unit]
Description=Look at how long the certificate for the region {region} is good
Documentation=file:///{README}

[Service]
Type=oneshot
ExecStart=/bin/sh /{EXPIRY_SCRIPT}
DynamicUser=yes
"""


def _timer(region: str) -> str:
    """Write the timer. A renewal starts it anew, and so has a unit that failed look again."""
    return f"""\
[Unit]
Description=Look twice a day at how long the certificate for the region {region} is good
Documentation=file:///{README}

[Timer]
OnActiveSec=1min
OnCalendar=*-*-* 00/12:00:00
RandomizedDelaySec=1h
Persistent=yes

[Install]
WantedBy=timers.target
"""
