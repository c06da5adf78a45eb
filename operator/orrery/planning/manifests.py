"""Judge objects of a continent's cluster: in what they differ from their manifests, how they do.

Pure. Drift is judged on the fields that the manifest sets: the API server fills in defaults,
controllers and others add to an object, and none of that is drift.
"""

import ipaddress
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from orrery.names import FIELD_MANAGER, LABEL_INSTALL, LABEL_REGION
from orrery.planning.quantities import same_quantity, same_value
from orrery.ports import Document, ObjectRef

Place = tuple[str, ...]
"""Names of the fields that lead to a value; the items of a list have that of their list."""

JobState = Literal["Complete", "Failed", "Running"]

_IDENTITY: Final = frozenset({"apiVersion", "kind", "status"})
_AMOUNTS: Final = frozenset({"requests", "limits", "hard", "capacity"})
"""Maps whose values are quantities."""
_AMOUNT: Final = "sizeLimit"

_PRESENT: Final = frozenset({"emptyDir", "podSelector", "namespaceSelector"})
"""Empty maps that say something by being there."""

_ZERO_IS_ABSENT: Final = frozenset(
    {
        "hostIPC",
        "hostNetwork",
        "hostPID",
        "minReadySeconds",
        "paused",
        "publishNotReadyAddresses",
        "readOnly",
        "stdin",
        "tty",
    }
)
"""Fields that the API server leaves out when they are false or 0."""

_KEYS: Final[Mapping[str, Sequence[str]]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "env": ("name",),
    "hostAliases": ("ip",),
    "ownerReferences": ("uid",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "volumeDevices": ("devicePath",),
    "volumeMounts": ("mountPath",),
    "volumes": ("name",),
}
"""What names an item of the lists that several managers may fill. All other lists are of one
piece: what somebody adds to the rules of a NetworkPolicy is drift."""

_DEFAULT_KEYS: Final = {"protocol": "TCP"}
_SETS: Final = frozenset({"finalizers"})


def differs(manifest: Document, live: Document) -> list[str]:
    """List the paths of the fields of *manifest* that *live* has otherwise, sorted.

    Empty fields are the same as absent ones, quantities are compared by their amount. Paths hold no
    values: they may be secrets.
    """
    wanted = {key: value for key, value in manifest.items() if key not in _IDENTITY}
    return sorted(_mapping((), "", wanted, live))


def left_over(manifest: Document, live: Document) -> list[str]:
    """List the paths of the fields that an earlier manifest set and *manifest* does not, sorted.

    An apply takes them away. The API server keeps in ``managedFields`` which they are.
    """
    owned = (_our_entry(live) or {}).get("fieldsV1") or {}
    return sorted(_unwanted((), "", owned, manifest))


def is_foreign(manifest: Document, live: Document) -> bool:
    """Tell whether *live* belongs to somebody else, another install or region included.

    Ours are those with the labels of *manifest*, and those that lost them after we applied them.
    """
    ours = manifest["metadata"].get("labels") or {}
    theirs = live["metadata"].get("labels") or {}
    stamp = {key: ours[key] for key in (LABEL_INSTALL, LABEL_REGION) if key in ours}
    if any(theirs.get(key, value) != value for key, value in stamp.items()):
        return True
    return not stamp.items() <= theirs.items() and _our_entry(live) is None


@dataclass(frozen=True, slots=True)
class BalancerAddress:
    """The address of a load balancer: none yet, an IP address, or something of no use."""

    ip: str = ""
    problem: str = ""
    """Why waiting will not bring an IP address; a sentence for users."""


class Readiness(NamedTuple):
    """How many pods are ready, and how many are wanted."""

    ready: int
    wanted: int


def load_balancer_address(service: Document) -> BalancerAddress:
    """Return the address that a Service of type LoadBalancer got.

    Servers advertise it, and Nomad advertises IP addresses only: a host name is of no use. Of
    several addresses it is the first of IPv4, so that a second one changes nothing.
    """
    entries = _status(service).get("loadBalancer", {}).get("ingress") or ()
    addresses = [entry["ip"] for entry in entries if _is_address(entry.get("ip"))]
    if addresses:
        return BalancerAddress(ip=min(addresses, key=lambda a: ipaddress.ip_address(a).version))
    hosts = sorted(entry["hostname"] for entry in entries if entry.get("hostname"))
    if not hosts:
        return BalancerAddress()
    return BalancerAddress(
        problem=(
            f'{ObjectRef.of(service)}: its load balancer has the host name "{hosts[0]}" and no IP'
            " address, which Nomad servers need to advertise: choose a kind of load balancer with"
            " an IP address, by spec.frontDoor of the Continent"
        )
    )


def stateful_set_ready(body: Document) -> Readiness:
    """Return how many pods of a StatefulSet are ready, and how many are wanted.

    None is ready before its controller has seen the newest spec.
    """
    return Readiness(_seen(body, _status(body).get("readyReplicas")), _replicas(body))


def deployment_ready(body: Document) -> Readiness:
    """Return how many pods of a Deployment are available and of its newest spec, and the wanted."""
    status = _status(body)
    available = min(status.get("availableReplicas") or 0, status.get("updatedReplicas") or 0)
    return Readiness(_seen(body, available), _replicas(body))


def pods_serving(body: Document) -> Readiness:
    """Return how many pods of a StatefulSet or Deployment serve, of whichever spec they are."""
    status = _status(body)
    ready = status.get("availableReplicas" if body["kind"] == "Deployment" else "readyReplicas")
    return Readiness(ready or 0, _replicas(body))


def is_rolled_out(body: Document) -> bool:
    """Tell whether all pods of an object are ready and of its newest spec; it may have none."""
    if body["kind"] not in {"StatefulSet", "Deployment"}:
        return True
    status, wanted = _status(body), _replicas(body)
    counts = (status.get("readyReplicas"), status.get("updatedReplicas"), status.get("replicas"))
    return all(_seen(body, count) == wanted for count in counts)


def job_state(body: Document) -> JobState:
    """Tell how a Job stands; one that is about to fail or to complete is still running."""
    for condition in _status(body).get("conditions") or ():
        if condition.get("status") == "True":
            match condition.get("type"):
                case "Complete":
                    return "Complete"
                case "Failed":
                    return "Failed"
    return "Running"


def _our_entry(live: Document) -> Mapping[str, Any] | None:
    for entry in live["metadata"].get("managedFields") or ():
        ours = entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply"
        if ours and not entry.get("subresource"):
            found: Mapping[str, Any] = entry
            return found
    return None


def _compare(place: Place, path: str, wanted: Any, live: Any) -> Iterator[str]:
    match wanted:
        case Mapping():
            if isinstance(live, Mapping):
                yield from _mapping(place, path, wanted, live)
            elif live is not None or not _says_nothing(place, wanted):
                yield path
        case list() | tuple():
            yield from _list(place, path, wanted, [] if live is None else live)
        case _ if not _same(place, wanted, live):
            yield path


def _mapping(
    place: Place, path: str, wanted: Mapping[str, Any], live: Mapping[str, Any]
) -> Iterator[str]:
    for field, value in wanted.items():
        yield from _compare((*place, field), _joined(path, field), value, live.get(field))


def _list(place: Place, path: str, wanted: Sequence[Any], live: Any) -> Iterator[str]:
    if not isinstance(live, list | tuple):
        yield path
    elif keys := _keys_of(place):
        theirs = {_key_of(item, keys): item for item in live}
        for item in wanted:
            key = _key_of(item, keys)
            field = f"{path}[{','.join(str(part) for part in key)}]"
            if key in theirs:
                yield from _compare(place, field, item, theirs[key])
            else:
                yield field
    elif place[-1] in _SETS:
        yield from (f"{path}[{item}]" for item in wanted if item not in live)
    else:
        for position in range(max(len(wanted), len(live))):
            field = f"{path}[{position}]"
            if position >= len(wanted) or position >= len(live):
                yield field
            else:
                yield from _compare(place, field, wanted[position], live[position])


def _same(place: Place, wanted: Any, live: Any) -> bool:
    if live is None:
        return _says_nothing(place, wanted)
    if place[-1] == _AMOUNT or (len(place) > 1 and place[-2] in _AMOUNTS):
        return same_quantity(wanted, live) or same_value(wanted, live)
    return same_value(wanted, live) or (wanted is None and live == "")


def _says_nothing(place: Place, wanted: Any) -> bool:
    """Tell whether *wanted* is the same as an absent field."""
    match wanted:
        case Mapping():
            inside = all(_says_nothing((*place, key), value) for key, value in wanted.items())
            return inside and (bool(wanted) or place[-1] not in _PRESENT)
        case list() | tuple():
            return not wanted
        case bool() | int() | float():
            return not wanted and place[-1] in _ZERO_IS_ABSENT
        case _:
            return wanted is None or wanted == ""


def _keys_of(place: Place) -> Sequence[str]:
    match place:
        case (*_, "containers" | "initContainers", "ports"):
            return ("containerPort", "protocol")
        case ("spec", "ports"):
            return ("port", "protocol")
        case _:
            return _KEYS.get(place[-1], ())


def _key_of(item: Any, keys: Sequence[str]) -> tuple[Any, ...]:
    fields = item if isinstance(item, Mapping) else {}
    return tuple(fields.get(key, _DEFAULT_KEYS.get(key)) for key in keys)


def _unwanted(place: Place, path: str, owned: Mapping[str, Any], wanted: Any) -> Iterator[str]:
    """Walk through what ``managedFields`` say is ours: ``f:field``, ``k:{keys of an item}``."""
    for mark, below in owned.items():
        sort, _, rest = mark.partition(":")
        if sort == "f":
            field = _joined(path, rest)
            if isinstance(wanted, Mapping) and rest in wanted:
                yield from _unwanted((*place, rest), field, below, wanted[rest])
            else:
                yield field
        elif sort == "k":
            names = json.loads(rest)
            key = tuple(names.values())
            items = [i for i in _items(wanted) if _key_of(i, tuple(names)) == key]
            field = f"{path}[{','.join(str(part) for part in key)}]"
            if items:
                yield from _unwanted(place, field, below, items[0])
            else:
                yield field
        elif sort == "v":
            value = json.loads(rest)
            if value not in _items(wanted):
                yield f"{path}[{value}]"


def _items(wanted: Any) -> Sequence[Any]:
    return wanted if isinstance(wanted, list | tuple) else ()


def _joined(path: str, field: str) -> str:
    return f"{path}.{field}" if path else field


def _seen(body: Document, count: int | None) -> int:
    generation = body["metadata"].get("generation") or 0
    seen = (_status(body).get("observedGeneration") or 0) >= generation
    return count or 0 if seen else 0


def _replicas(body: Document) -> int:
    wanted = body.get("spec", {}).get("replicas")
    return 1 if wanted is None else int(wanted)


def _status(body: Document) -> Mapping[str, Any]:
    status: Mapping[str, Any] = body.get("status") or {}
    return status


def _is_address(text: Any) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return isinstance(text, str)
