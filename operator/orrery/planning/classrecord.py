"""What a region is built from, as it is remembered beside the region itself. Pure.

The RegionClass holds only its newest spec. So that a region whose turn has not come goes on with
the former one, also after a restart or with a hub made anew, the spec that it was given lies in a
ConfigMap of its namespace in the continent's cluster.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Literal

from pydantic import ValidationError

from orrery.api.classrollout import ClassRollout
from orrery.api.regionclass import RegionClass, RegionClassSpec

REVISION_LENGTH: Final = 12

State = Literal["Building", "Rolling", "Settled"]
"""Building: never complete so far. Rolling: in motion. Settled: well for long enough."""

_STATES: Final[tuple[State, ...]] = ("Building", "Rolling", "Settled")


@dataclass(frozen=True, slots=True)
class Edition:
    """What one revision of a RegionClass says of control planes."""

    class_name: str
    revision: str
    """The name of this content: the digest that it had when a region first took it."""
    spec: RegionClassSpec
    """Without drivers, which deployments use, and without the rollout itself."""

    def same_as(self, other: "Edition") -> bool:
        """Tell whether both say the same, whatever the revisions are called.

        So a field that a later Orrery adds, with the default that the renderer had before, makes no
        rollout; another default does, since an edition keeps the defaults of its time.
        """
        return self.spec == other.spec


@dataclass(frozen=True, slots=True)
class Record:
    """What a region was last given, and what before."""

    current: Edition
    previous: Edition | None = None
    state: State = "Rolling"
    refused: str = ""
    """The revision that the region was rolled back from, and does not take again."""

    @property
    def settled(self) -> bool:
        """Whether the region has been well with it for as long as the class asks."""
        return self.state == "Settled"

    def taking(self, target: Edition) -> "Record":
        """Return what is to be remembered when the region takes *target*.

        A former edition that the region was never well with is not worth going back to.
        """
        before = self.current if self.settled else self.previous
        if before is not None and before.same_as(target):
            before = self.previous if self.settled else self.current
        return Record(target, previous=before)

    def going_back(self) -> "Record":
        """Return what is to be remembered when the region goes back to its former edition."""
        assert self.previous is not None, "nothing to go back to"
        return Record(self.previous, previous=self.current, refused=self.current.revision)


def edition_of(class_: RegionClass, known: Iterable[Edition] = ()) -> Edition:
    """Return the edition that *class_* asks for; one of the *known* when it says the same."""
    spec = _control_plane_part(class_.spec)
    name = class_.metadata.name
    named = sorted(e.revision for e in known if e.class_name == name and e.spec == spec)
    return Edition(name, named[0] if named else digest(spec), spec)


def class_of(edition: Edition, newest: RegionClass | None) -> RegionClass:
    """Return the class that a region with *edition* is built from."""
    metadata = newest.metadata if newest else {"name": edition.class_name}
    return RegionClass.model_validate({"metadata": metadata, "spec": edition.spec})


def digest(spec: RegionClassSpec) -> str:
    """Name the content of *spec*: the beginning of the SHA-256 of all that it says."""
    return sha256(_written(spec).encode()).hexdigest()[:REVISION_LENGTH]


def encode(record: Record) -> dict[str, str]:
    """Write *record* as the data of a ConfigMap, for people to read, too."""
    data = {"state": record.state, **_encoded("", record.current)}
    if record.previous is not None:
        data |= _encoded("previous-", record.previous)
    return data | ({"refused-revision": record.refused} if record.refused else {})


def decode(data: Mapping[str, str]) -> Record | None:
    """Read the data of a ConfigMap; None when it does not say what the region has.

    Fields that are not known are left out: a newer Orrery may have written them.
    """
    current = _decoded("", data)
    if current is None:
        return None
    return Record(
        current,
        previous=_decoded("previous-", data),
        state=next((state for state in _STATES if state == data.get("state")), "Rolling"),
        refused=data.get("refused-revision", ""),
    )


def restored(edition: Edition, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Write *edition* back into the *spec* of a RegionClass as it is in the hub.

    Its drivers and its rollout stay.
    """
    written: dict[str, Any] = json.loads(_written(edition.spec))
    nomad = spec.get("nomad") or {}
    if "drivers" in nomad:
        written["nomad"]["drivers"] = nomad["drivers"]
    return written | ({"rollout": spec["rollout"]} if "rollout" in spec else {})


def _control_plane_part(spec: RegionClassSpec) -> RegionClassSpec:
    nomad = spec.nomad.model_copy(update={"drivers": []})
    return _pinned(spec.model_copy(update={"nomad": nomad, "rollout": ClassRollout()}))


def _pinned(spec: RegionClassSpec) -> RegionClassSpec:
    """Make every default explicit, so that equal content is equal."""
    return RegionClassSpec.model_validate(spec.model_dump(by_alias=True, exclude_none=True))


def _written(spec: RegionClassSpec) -> str:
    document = spec.model_dump(by_alias=True, exclude_none=True, mode="json")
    del document["rollout"], document["nomad"]["drivers"]
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def _encoded(prefix: str, edition: Edition) -> dict[str, str]:
    return {
        f"{prefix}class": edition.class_name,
        f"{prefix}revision": edition.revision,
        f"{prefix}spec": _written(edition.spec),
    }


def _decoded(prefix: str, data: Mapping[str, str]) -> Edition | None:
    try:
        document = json.loads(data[f"{prefix}spec"])
        spec = RegionClassSpec.model_validate(document, extra="ignore")
        return Edition(data[f"{prefix}class"], data[f"{prefix}revision"], _pinned(spec))
    except (KeyError, ValueError, ValidationError):
        return None
