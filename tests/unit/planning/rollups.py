"""Sums of regions for tests: only what matters is said."""

from collections.abc import Mapping
from dataclasses import replace

from orrery.api.globaldeployment import GlobalDeploymentStatus
from orrery.planning.rollup import Findings, RegionalState, summarize

NOW = "2026-01-01T00:00:00Z"
CONTINENTS = {"fra": "eu", "par": "eu", "was": "na"}
HEALTHY = RegionalState("Healthy", 3, 3, "d1", 11, current=True)
STALE = replace(HEALTHY, current=False)
DARK = RegionalState("Unreachable", 3, 3, "d1", 11, current=True)


def status_of(
    regions: Mapping[str, RegionalState], findings: Findings | None = None
) -> GlobalDeploymentStatus:
    return summarize(
        findings or Findings(generation=1),
        regions,
        CONTINENTS,
        before=GlobalDeploymentStatus(),
        now=NOW,
    )


def conditions(status: GlobalDeploymentStatus) -> dict[str, tuple[str, str]]:
    return {c.type: (c.status, c.reason) for c in status.conditions}
