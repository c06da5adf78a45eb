"""Collect nothing here in a usual run, for now: `make test-faults` does.

Each file makes a planet of its own, with as many regions as it breaks.
"""

import os

collect_ignore_glob = [] if os.environ.get("ORRERY_FAULTS") else ["test_*.py"]
