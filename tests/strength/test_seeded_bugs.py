"""The tests themselves: each planted bug is found by the fast ones, without any server.

They run on a copy of the package, one run for each bug; `make test-strength` calls them.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.strength.bugs import BUGS, Bug

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "operator"
UNITS = ("tests/unit/planning", "tests/unit/reconcile", "tests/unit/engine")
WORLDS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests/world").glob("test_*.py"))
FAST = (*UNITS, *WORLDS, "tests/world/crashes")  # The sweeps take the longest, and find the rest.

pytestmark = pytest.mark.timeout(600)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_found(bug: Bug, tmp_path: Path) -> None:
    copy = tmp_path / "operator"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    file = copy / "orrery" / bug.path
    text = file.read_text(encoding="utf-8")
    assert text.count(bug.old) == 1, f"{bug.path} has changed: plant the bug anew"
    file.write_text(text.replace(bug.old, bug.new), encoding="utf-8")

    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *FAST],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(copy), "ORRERY_STRENGTH": "", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 1, f"nobody noticed, exit code {run.returncode}:\n{run.stdout[-800:]}"
