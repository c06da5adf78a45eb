"""Fill the defaults of tasks, services, checks and templates in. Pure."""

from collections.abc import Callable, Mapping
from typing import Any, Final

Given = Mapping[str, Any]
Document = dict[str, Any]

SECOND: Final = 1_000_000_000

_TASK: Final[Document] = {
    "Actions": None,
    "Artifacts": None,
    "CSIPluginConfig": None,
    "Config": None,
    "Consul": None,
    "DispatchPayload": None,
    "Driver": "",
    "Env": None,
    "Identities": None,
    "Identity": {
        "Audience": ["nomadproject.io"],
        "ChangeMode": "",
        "ChangeSignal": "",
        "Env": False,
        "ExtraClaims": None,
        "File": False,
        "Filepath": "",
        "Name": "default",
        "ServiceName": "",
        "TTL": 0,
    },
    "KillSignal": "",
    "KillTimeout": 5 * SECOND,
    "Kind": "",
    "Leader": False,
    "Meta": None,
    "Name": "",
    "ScalingPolicies": None,
    "Schedule": None,
    "Secrets": None,
    "ShutdownDelay": 0,
    "User": "",
    "Vault": None,
    "VolumeMounts": None,
}

_RESOURCES: Final[Document] = {
    "CPU": 100,
    "Cores": 0,
    "Devices": None,
    "DiskMB": 0,
    "IOPS": 0,
    "MemoryMB": 300,
    "MemoryMaxMB": 0,
    "NUMA": None,
    "Networks": None,
    "SecretsMB": 0,
}

_CONSTRAINT: Final[Document] = {"LTarget": "", "Operand": "", "RTarget": ""}
_AFFINITY: Final[Document] = {**_CONSTRAINT, "Weight": 50}
_LOGS: Final[Document] = {"Disabled": False, "MaxFileSizeMB": 10, "MaxFiles": 10}
_LIFECYCLE: Final[Document] = {"Hook": "", "Sidecar": False}

_TEMPLATE: Final[Document] = {
    "ChangeMode": "restart",
    "ChangeScript": None,
    "ChangeSignal": "",
    "DestPath": "",
    "EmbeddedTmpl": "",
    "Envvars": False,
    "ErrMissingKey": False,
    "Gid": None,
    "LeftDelim": "{{",
    "Once": False,
    "Perms": "0644",
    "RightDelim": "}}",
    "SourcePath": "",
    "Splay": 5 * SECOND,
    "Uid": None,
    "VaultGrace": 0,
    "Wait": None,
}

_SERVICE: Final[Document] = {
    "Address": "",
    "AddressMode": "auto",
    "CanaryMeta": None,
    "CanaryTags": None,
    "Cluster": "default",
    "Connect": None,
    "EnableTagOverride": False,
    "Identity": None,
    "Kind": "",
    "Meta": None,
    "OnUpdate": "require_healthy",
    "PortLabel": "",
    "Provider": "consul",
    "TaggedAddresses": None,
    "Tags": None,
    "TaskName": "",
    "Weights": None,
}

_CHECK: Final[Document] = {
    "AddressMode": "",
    "Args": None,
    "Body": "",
    "Command": "",
    "Expose": False,
    "FailuresBeforeCritical": 0,
    "FailuresBeforeWarning": 0,
    "GRPCService": "",
    "GRPCUseTLS": False,
    "Header": None,
    "InitialStatus": "",
    "Interval": 0,
    "Method": "",
    "Name": "",
    "Notes": "",
    "OnUpdate": "require_healthy",
    "Path": "",
    "PortLabel": "",
    "Protocol": "",
    "SuccessBeforePassing": 0,
    "TLSServerName": "",
    "TLSSkipVerify": False,
    "TaskName": "",
    "Timeout": 0,
    "Type": "",
}

_CHECK_RESTART: Final[Document] = {"Grace": SECOND, "IgnoreWarnings": False, "Limit": 0}


def fill(given: Given, fields: Document) -> Document:
    """Take the named *fields* of *given*, or their defaults where it says nothing."""
    filled = fields.copy()
    for name in fields:
        value = given.get(name)
        if value is not None and value not in ([], {}):
            filled[name] = value
    return filled


def listed(
    given: Given, name: str, canonical: Callable[[Given], Document]
) -> list[Document] | None:
    """Make each item of the list *name* canonical; no items are null."""
    return [canonical(item) for item in given.get(name) or ()] or None


def canonical_affinity(given: Given) -> Document:
    """Return an affinity with its default weight."""
    return fill(given, _AFFINITY)


def canonical_constraint(given: Given) -> Document:
    """Return a constraint with all fields."""
    return fill(given, _CONSTRAINT)


def canonical_task(given: Given, job: Document, group: Document, restart: Document) -> Document:
    """Return a task with all defaults; *restart* is its group's policy."""
    task = fill(given, _TASK)
    lifecycle = given.get("Lifecycle")
    task |= {
        "Affinities": listed(given, "Affinities", canonical_affinity),
        "Constraints": listed(given, "Constraints", canonical_constraint),
        "Lifecycle": None if lifecycle is None else fill(lifecycle, _LIFECYCLE),
        "LogConfig": fill(given.get("LogConfig") or {}, _LOGS),
        "Resources": fill(given.get("Resources") or {}, _RESOURCES),
        "RestartPolicy": fill(given.get("RestartPolicy") or {}, restart),
        "Templates": listed(given, "Templates", lambda one: fill(one, _TEMPLATE)),
    }
    prefix = f"{job['Name']}-{group['Name']}-{task['Name']}"
    task["Services"] = listed(given, "Services", lambda s: canonical_service(s, job, prefix))
    for service in task["Services"] or ():
        service["TaskName"] = task["Name"]
    return task


def canonical_service(given: Given, job: Document, prefix: str) -> Document:
    """Return a service with all defaults; *prefix* names it when nobody else does."""
    service = fill(given, _SERVICE)
    service["Name"] = given.get("Name") or prefix
    service["Namespace"] = job["Namespace"] if service["Provider"] == "nomad" else "default"
    service["Checks"] = listed(given, "Checks", lambda check: _check(check, service["Name"]))
    return service


def _check(given: Given, service: str) -> Document:
    check = fill(given, _CHECK)
    check["Name"] = given.get("Name") or f'service: "{service}" check'
    restart = given.get("CheckRestart")
    check["CheckRestart"] = None if restart is None else fill(restart, _CHECK_RESTART)
    return check
