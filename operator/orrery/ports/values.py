"""What more than one port speaks of. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Document = Mapping[str, Any]
"""A JSON object as it stands on the wire."""


class Kind(StrEnum):
    """The four kinds."""

    CONTINENT = "Continent"
    REGION = "Region"
    REGION_CLASS = "RegionClass"
    GLOBAL_DEPLOYMENT = "GlobalDeployment"


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Names one object of the hub; *namespace* is empty for cluster-scoped kinds."""

    kind: Kind
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name
