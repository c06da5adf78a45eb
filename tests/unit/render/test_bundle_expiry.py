"""The script that tells a machine in time that its bundle has to be made again."""

import os
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.unit.render.bundles import MADE, files

from orrery.render.bundle_files import EXPIRY_SCRIPT

END = MADE + timedelta(days=30)


def run(now: datetime, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run it at *now*: its `date` is one of the test."""
    date = folder / "date"
    date.write_text(f'#!/bin/sh\n[ "$*" = +%s ] && echo {int(now.timestamp())}\n')
    date.chmod(0o755)
    script = folder / "expiry.sh"
    script.write_text(files()[EXPIRY_SCRIPT].content)
    return subprocess.run(
        ["/bin/sh", str(script)],
        env={"PATH": f"{folder}:{os.defpath}"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("left", "code", "words"),
    [
        pytest.param(
            timedelta(days=30),
            0,
            "<6>the certificate for the region fra is good, days left: 30",
            id="new",
        ),
        pytest.param(
            timedelta(days=10, seconds=1),
            0,
            "<6>the certificate for the region fra is good, days left: 10",
            id="enough",
        ),
        pytest.param(
            timedelta(days=10),
            1,
            "<4>the certificate for the region fra expires, days left: 10: make another bundle",
            id="a-third",
        ),
        pytest.param(
            timedelta(hours=1),
            1,
            "<4>the certificate for the region fra expires, days left: 0: make another bundle",
            id="an-hour",
        ),
        pytest.param(
            timedelta(0),
            1,
            "<3>the certificate for the region fra has expired: make another bundle",
            id="over",
        ),
    ],
)
def test_it_fails_once_less_than_a_third_is_left(
    left: timedelta, code: int, words: str, tmp_path: Path
) -> None:
    done = run(END - left, tmp_path)

    assert done.stdout.startswith(words)
    assert (done.returncode, done.stderr) == (code, "")
