"""The regional deployment: what one region runs of a GlobalDeployment, as a value. Pure.

`planning.split` derives it, `render` turns it into documents. It is never stored: the region's own
Nomad is the durable record.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from orrery.api.base import SecretKeyRef
from orrery.api.globaldeployment import (
    ContainerPort,
    DataCenters,
    DeploymentType,
    HealthCheck,
    Route,
    Update,
)


@dataclass(frozen=True, slots=True)
class RegionalEnv:
    """One environment variable: a literal *value*, or a key of a *secret*."""

    name: str
    value: str | None
    secret: SecretKeyRef | None
    field: str
    """Where in the object it stands, such as ``spec.overrides[0].env[2]``, for messages."""


@dataclass(frozen=True, slots=True)
class RegionalDeployment:
    """The effective values for a region, or for several that are alike: defaults and overrides."""

    namespace: str
    name: str
    type: DeploymentType
    image: str
    command: str
    args: tuple[str, ...]
    credentials_secret: str | None
    env: tuple[RegionalEnv, ...]
    """Sorted by name."""
    ports: tuple[ContainerPort, ...]
    """In the user's order: the first is what a driver's ``{port}`` stands for."""
    routes: tuple[Route, ...]
    cpu_mhz: int
    memory_mb: int
    memory_max_mb: int | None
    count: int
    health_checks: tuple[HealthCheck, ...]
    update: Update
    driver: str
    """Empty for the first driver of the region's class."""
    data_centers: DataCenters
    provenance: Mapping[str, str] = field(default_factory=dict)
    """By field, such as ``scaling.count``: ``override <name>``, ``spec`` or ``default``."""
