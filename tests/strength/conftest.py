"""Collect nothing here in a usual run: this tries the tests, not the product."""

import os

collect_ignore_glob = [] if os.environ.get("ORRERY_STRENGTH") else ["test_*.py"]
