"""What `orrery describe` shows of a Continent, of a RegionClass and of a Region's checks."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from orrery.api.regionclass import DOCKER, NomadClass, Snapshots
from orrery.cli.output import Branch, age, count, line, table, titled
from orrery.ports import Document

DEFAULT: Final = NomadClass()
INTERVAL: Final = Snapshots.model_fields["interval"].default


def continent_tree(body: Document, now: datetime) -> Branch:
    """Lay out a Continent: its cluster, and what its regions' control planes get there."""
    spec, told = body["spec"], body.get("status") or {}
    seen = told.get("lastSeenTime")
    since = f", last seen {age(seen, now)} ago" if seen else ""
    ranges = ", ".join((spec.get("frontDoor") or {}).get("sourceRanges") or ())
    facts = [
        f"cluster: {_cluster(spec.get('cluster'))}",
        f"Kubernetes {told.get('version') or 'unknown'}{since}" if spec.get("cluster") else "",
        f"images from {spec['registry']['mirror']}" if spec.get("registry") else "",
        f"storage class {spec['storageClassName']}" if spec.get("storageClassName") else "",
        f"front doors for {ranges}" if ranges else "",
    ]
    name = titled(body["metadata"]["name"], spec.get("displayName"))
    return Branch(
        f"Continent {name}: {count(told.get('regions', 0), 'region')}",
        tuple(Branch(fact) for fact in facts if fact),
    )


def class_tree(body: Document) -> Branch:
    """Lay out a RegionClass: how far it is rolled out, and what its regions are made of."""
    spec, told = body["spec"], body.get("status") or {}
    nomad, mesh = spec.get("nomad") or {}, spec.get("mesh") or {}
    display = told.get("display") or {}
    wave = f", in wave {told['wave']}" if told.get("wave") else ""
    drivers = ", ".join(driver["name"] for driver in nomad.get("drivers") or ()) or DOCKER.name
    image = nomad.get("image") or "without an image: no Managed region can use it"
    snapshots = nomad.get("snapshots")
    waves = [wave["name"] for wave in (spec.get("rollout") or {}).get("waves") or ()]
    facts = [
        f"revision {told['revision']}{wave}" if told.get("revision") else "",
        f"Nomad {image}, {count(nomad.get('servers', DEFAULT.servers), 'server')}",
        f"drivers {drivers}",
        f"snapshots every {snapshots.get('interval', INTERVAL)}" if snapshots else "no snapshots",
        f"mesh Kuma {mesh.get('image')}" if mesh.get("provider") == "Kuma" else "no mesh",
        f"waves {', '.join(waves)}" if waves else "",
    ]
    regions = f"{display.get('regions') or '0/0'} regions updated"
    return Branch(
        f"RegionClass {body['metadata']['name']}: {regions}",
        tuple(Branch(fact) for fact in facts if fact),
    )


def checks_table(told: Mapping[str, Any], now: datetime) -> list[Any]:
    """Lay out the checks of a Region's status below an empty line; nothing where there are none."""
    checks = told.get("checks") or ()
    rows = [
        (c["name"], c["status"], age(c.get("lastTransitionTime"), now), c.get("message") or "")
        for c in checks
    ]
    return [line(), table(("CHECK", "STATUS", "SINCE", "MESSAGE"), rows)] if rows else []


def _cluster(cluster: Mapping[str, Any] | None) -> str:
    """Say how the operator gets to the continent's cluster."""
    if not cluster:
        return "none, all its regions are External"
    if cluster.get("local"):
        return "the hub itself"
    secret = cluster["kubeconfigSecretRef"]
    return f"kubeconfig in key {secret['key']} of Secret {secret['name']}"
