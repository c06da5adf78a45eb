"""Tell which changes of a job replace its running instances. Pure.

Found out on Nomad 2.0: count, services, checks, update and restart settings, names, affinities,
spreads and the UI block are taken over in place.
"""

from collections.abc import Mapping
from typing import Any, Final

from orrery.sim.records import Spec

_GROUP_FIELDS: Final = ("Consul", "EphemeralDisk", "Networks", "Volumes")

_TASK_FIELDS: Final = (
    "Artifacts",
    "CSIPluginConfig",
    "Config",
    "Consul",
    "Driver",
    "Env",
    "Identities",
    "Identity",
    "Resources",
    "Secrets",
    "Templates",
    "User",
    "Vault",
    "VolumeMounts",
)


def replaces(old: Spec, new: Spec, group: str) -> bool:
    """Tell whether going from *old* to *new* needs new instances of *group*."""
    before, after = old.groups[group], new.groups[group]
    if before is after:
        return False
    if any(before[name] != after[name] for name in _GROUP_FIELDS):
        return True
    if len(before["Tasks"]) != len(after["Tasks"]) or _rerenders(before) != _rerenders(after):
        return True
    tasks = {task["Name"]: task for task in after["Tasks"]}
    return any(
        replaces_task(task, tasks.get(task["Name"]))
        or _meta(old, before, task) != _meta(new, after, tasks[task["Name"]])
        for task in before["Tasks"]
    )


def replaces_task(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> bool:
    """Tell whether a change of the task itself needs a new instance."""
    if before is None or after is None:
        return True
    return (
        any(before[name] != after[name] for name in _TASK_FIELDS)
        or before["Meta"] != after["Meta"]
        or before["LogConfig"]["Disabled"] != after["LogConfig"]["Disabled"]
        or _rerenders(before) != _rerenders(after)
    )


def _rerenders(owner: Mapping[str, Any]) -> bool:
    return bool(owner["RestartPolicy"]["RenderTemplates"])


def _meta(spec: Spec, group: Mapping[str, Any], task: Mapping[str, Any]) -> dict[str, str]:
    """Meta of all levels ends up in the task's environment."""
    return {
        **(spec.document["Meta"] or {}),
        **(group["Meta"] or {}),
        **(task["Meta"] or {}),
    }
