"""What more than one port speaks of. Pure."""

from __future__ import annotations

from base64 import b64decode
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


def decoded(secret: Document) -> dict[str, bytes]:
    """Return the data of a Secret as it stands on the wire, decoded."""
    return {key: b64decode(value) for key, value in (secret.get("data") or {}).items()}
