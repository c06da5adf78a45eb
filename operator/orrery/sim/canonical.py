"""Fill a job's defaults in, as a reader of the region sees them. Pure.

Every field that Nomad 2.0 shows stands here with its default, so what a reader gets has all of them
and nothing else: unknown fields are dropped, empty lists and maps become null.
"""

from collections.abc import Mapping
from typing import Any, Final

from orrery.sim.canonical_task import (
    SECOND,
    canonical_affinity,
    canonical_constraint,
    canonical_service,
    canonical_task,
    fill,
    listed,
)

Given = Mapping[str, Any]
Document = dict[str, Any]

MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE

_JOB: Final[Document] = {
    "AllAtOnce": False,
    "ConsulNamespace": "",
    "DispatchIdempotencyToken": "",
    "Dispatched": False,
    "Meta": None,
    "Multiregion": None,
    "NodePool": "default",
    "ParameterizedJob": None,
    "ParentID": "",
    "Payload": None,
    "Periodic": None,
    "VaultNamespace": "",
    "VersionTag": None,
}

_GROUP: Final[Document] = {
    "Consul": None,
    "Count": 1,
    "MaxClientDisconnect": None,
    "MaxRunDuration": None,
    "Meta": None,
    "Name": "",
    "PreventRescheduleOnLost": False,
    "Scaling": None,
    "ShutdownDelay": None,
    "StopAfterClientDisconnect": None,
    "Volumes": None,
}

_UPDATE: Final[Document] = {
    "AutoPromote": False,
    "AutoRevert": False,
    "Canary": 0,
    "HealthCheck": "checks",
    "HealthyDeadline": 5 * MINUTE,
    "MaxParallel": 1,
    "MinHealthyTime": 10 * SECOND,
    "ProgressDeadline": 10 * MINUTE,
    "Stagger": 30 * SECOND,
}

_MIGRATE: Final[Document] = {
    "HealthCheck": "checks",
    "HealthyDeadline": 5 * MINUTE,
    "MaxParallel": 1,
    "MinHealthyTime": 10 * SECOND,
}

_RESTART: Final[Mapping[bool, Document]] = {
    False: {
        "Attempts": 2,
        "Delay": 15 * SECOND,
        "Interval": 30 * MINUTE,
        "Mode": "fail",
        "RenderTemplates": False,
    },
    True: {
        "Attempts": 3,
        "Delay": 15 * SECOND,
        "Interval": 24 * HOUR,
        "Mode": "fail",
        "RenderTemplates": False,
    },
}

_RESCHEDULE: Final[Mapping[str, Document]] = {
    "service": {
        "Attempts": 0,
        "Delay": 30 * SECOND,
        "DelayFunction": "exponential",
        "Interval": 0,
        "MaxDelay": HOUR,
        "Unlimited": True,
    },
    "batch": {
        "Attempts": 1,
        "Delay": 5 * SECOND,
        "DelayFunction": "constant",
        "Interval": 24 * HOUR,
        "MaxDelay": 0,
        "Unlimited": False,
    },
}

_DISCONNECT: Final[Document] = {
    "LostAfter": 0,
    "Reconcile": "best_score",
    "Replace": True,
    "StopOnClientAfter": None,
}

_DISK: Final[Document] = {"Migrate": False, "SizeMB": 300, "Sticky": False}

_BRIDGE_PLUGINS: Final = ("bridge", "firewall", "host-local", "loopback", "portmap")

_NEEDS_DISCOVERY: Final = ("${attr.nomad.service_discovery}", "=", "true")
_NEEDS_CHECKS: Final = ("${attr.nomad.version}", "semver", ">= 1.4.0")
_NEEDS_CONSUL: Final = ("${attr.consul.version}", "semver", ">= 1.8.0")


def canonical_job(given: Given) -> Document:
    """Return *given* with all defaults; the region and what changes by itself are left out."""
    job_type = given.get("Type") or "service"
    namespace = given.get("Namespace") or "default"
    job = fill(given, _JOB)
    job |= {
        "ID": given["ID"],
        "Name": given.get("Name") or given["ID"],
        "Namespace": namespace,
        "Type": job_type,
        "Priority": given.get("Priority") or 50,
        "Datacenters": given.get("Datacenters") or ["*"],
        "Affinities": listed(given, "Affinities", canonical_affinity),
        "Constraints": listed(given, "Constraints", canonical_constraint),
        "Spreads": listed(given, "Spreads", _spread),
        "UI": _ui(given.get("UI")),
        "Update": _job_update(given.get("Update") or {}, job_type),
    }
    job["TaskGroups"] = [
        _group(group, job, given.get("Update") or {}) for group in given.get("TaskGroups") or ()
    ]
    return job


def _group(given: Given, job: Document, job_update: Given) -> Document:
    group = fill(given, _GROUP)
    job_type = job["Type"]
    batch = job_type in {"batch", "sysbatch"}
    restart = fill(given.get("RestartPolicy") or {}, _RESTART[batch])
    reschedule = _RESCHEDULE.get(job_type)
    disconnect = given.get("Disconnect")
    group |= {
        "Affinities": listed(given, "Affinities", canonical_affinity),
        "Spreads": listed(given, "Spreads", _spread),
        "EphemeralDisk": fill(given.get("EphemeralDisk") or {}, _DISK),
        "Disconnect": None if disconnect is None else fill(disconnect, _DISCONNECT),
        "Migrate": fill(given.get("Migrate") or {}, _MIGRATE) if job_type == "service" else None,
        "Networks": listed(given, "Networks", _network),
        "ReschedulePolicy": reschedule and fill(given.get("ReschedulePolicy") or {}, reschedule),
        "RestartPolicy": restart,
        "Services": listed(
            given, "Services", lambda s: canonical_service(s, job, f"{job['Name']}-{group['Name']}")
        ),
        "Update": _group_update(given.get("Update"), job_update, batch=batch),
    }
    group["Tasks"] = [
        canonical_task(task, job, group, restart) for task in given.get("Tasks") or ()
    ]
    group["Constraints"] = _constraints(given, group)
    return group


def _constraints(given: Given, group: Document) -> list[Document] | None:
    """Add what the group needs of a machine, in Nomad's order: signals, services, bridge."""
    services = [
        *(group["Services"] or ()),
        *(service for task in group["Tasks"] for service in task["Services"] or ()),
    ]
    own = [service for service in services if service["Provider"] == "nomad"]
    implied = []
    if signals := _signals(group):
        implied.append(("${attr.os.signals}", "set_contains", ",".join(sorted(signals))))
    if len(own) < len(services):
        implied.append(_NEEDS_CONSUL)
    if own:
        implied.append(_NEEDS_DISCOVERY)
    if any(service["Checks"] for service in own):
        implied.append(_NEEDS_CHECKS)
    if any(network.get("Mode") == "bridge" for network in group["Networks"] or ()):
        implied += [
            (f"${{attr.plugins.cni.version.{plugin}}}", "semver", ">= 0.4.0")
            for plugin in _BRIDGE_PLUGINS
        ]
    constraints = listed(given, "Constraints", canonical_constraint) or []
    for left, operand, right in implied:
        constraint = {"LTarget": left, "Operand": operand, "RTarget": right}
        if constraint not in constraints:
            constraints.append(constraint)
    return constraints or None


def _signals(group: Document) -> set[str]:
    tasks = group["Tasks"]
    signals = {task["KillSignal"] for task in tasks}
    signals |= {one["ChangeSignal"] for task in tasks for one in task["Templates"] or ()}
    return signals - {""}


def _job_update(given: Given, job_type: str) -> Document:
    """Keep only what old clients look at; groups have the rest."""
    update: Document = dict.fromkeys(_UPDATE, 0)
    update |= {"AutoPromote": False, "AutoRevert": False, "HealthCheck": ""}
    if job_type in {"service", "system"}:
        update["MaxParallel"] = given.get("MaxParallel", 1)
        update["Stagger"] = given.get("Stagger") or _UPDATE["Stagger"]
    return update


def _group_update(given: Given | None, job_update: Given, *, batch: bool) -> Document | None:
    """Batch jobs have none; one that is given all the same is left for validation to refuse."""
    if batch and not given:
        return None
    given = given or {}
    return fill({**job_update, **{k: v for k, v in given.items() if v is not None}}, _UPDATE)


def _network(given: Given) -> Document:
    """Networks leave out what is empty."""
    network = {name: given[name] for name in ("Mode", "Hostname") if given.get(name)}
    for name in ("DynamicPorts", "ReservedPorts"):
        if given.get(name):
            network[name] = [_port(port) for port in given[name]]
    for name in ("CNI", "DNS"):
        if given.get(name):
            network[name] = given[name]
    return network


def _port(given: Given) -> Document:
    port = {"Label": given.get("Label", ""), "HostNetwork": given.get("HostNetwork") or "default"}
    optional = ("To", "Value", "IgnoreCollision")
    return port | {name: given[name] for name in optional if given.get(name)}


def _titled(link: Given) -> Document:
    """Read keys as Go does, in any case."""
    return {name.capitalize(): value for name, value in link.items()}


def _spread(given: Given) -> Document:
    """Keep no targets apart from an empty list of them, other than everywhere else."""
    spread = fill(given, {"Attribute": "", "Weight": 50})
    targets = listed(
        given, "SpreadTarget", lambda target: fill(target, {"Percent": 0, "Value": ""})
    )
    spread["SpreadTarget"] = [] if given.get("SpreadTarget") == [] else targets
    return spread


def _ui(given: Given | None) -> Document | None:
    if given is None:
        return None
    links = listed(given, "Links", lambda link: {"Label": "", "Url": ""} | _titled(link))
    return {"Description": given.get("Description") or "", "Links": links}
