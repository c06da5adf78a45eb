"""Compare two jobs the way Nomad's plan shows it. Pure.

Nomad does not show everything: a change of the spreads, for one, leaves the diff at "None".
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from orrery.sim.diff_blocks import (
    Diff,
    Document,
    diff_fields,
    diff_keyed,
    diff_object,
    diff_strings,
    diff_unkeyed,
    flatten,
    kind_of,
    part,
)
from orrery.sim.updates import replaces_task

_JOB_FIELDS: Final = (
    "AllAtOnce",
    "ConsulNamespace",
    "DispatchIdempotencyToken",
    "Dispatched",
    "Meta",
    "Name",
    "Namespace",
    "NodePool",
    "ParentID",
    "Priority",
    "Region",
    "Stop",
    "Type",
    "VaultNamespace",
)
_GROUP_FIELDS: Final = ("Count", "Meta", "PreventRescheduleOnLost")
_TASK_FIELDS: Final = (
    "Driver",
    "Env",
    "KillSignal",
    "KillTimeout",
    "Kind",
    "Leader",
    "Meta",
    "ShutdownDelay",
    "User",
)


def diff_jobs(old: Document | None, new: Document) -> Diff:
    """Compare two canonical jobs, each with its Region and Stop; *old* is None for a new job."""
    before = old or {}
    objects = [
        *diff_strings(before.get("Datacenters"), new.get("Datacenters"), "Datacenters"),
        *diff_unkeyed(before.get("Constraints"), new.get("Constraints"), "Constraint"),
        *diff_unkeyed(before.get("Affinities"), new.get("Affinities"), "Affinity"),
    ]
    groups = _by_name(before.get("TaskGroups"), new.get("TaskGroups"), _diff_group)
    objects += _interface(before.get("UI"), new.get("UI"))
    fields = diff_fields(_pick(before, _JOB_FIELDS), _pick(new, _JOB_FIELDS))
    changed = bool(fields or objects) or any(group["Type"] != "None" for group in groups)
    kind = "Added" if old is None else "Edited" if changed else "None"
    return {
        "Type": kind,
        "ID": new["ID"],
        "Fields": fields or None,
        "Objects": objects or None,
        "TaskGroups": groups,
    }


def annotate(
    diff: Diff,
    old: Document | None,
    new: Document,
    updates: Mapping[str, Mapping[str, int]],
) -> None:
    """Say in *diff* what each change makes the region do."""
    before = {group["Name"]: group for group in (old or {}).get("TaskGroups") or ()}
    after = {group["Name"]: group for group in new.get("TaskGroups") or ()}
    for group in diff["TaskGroups"]:
        name = group["Name"]
        group["Updates"] = _update_words(updates.get(name, {}))
        for field in group["Fields"] or ():
            if field["Name"] == "Count" and field["Type"] != "None":
                grows = int(field["New"] or 0) > int(field["Old"] or 0)
                field["Annotations"] = ["forces create" if grows else "forces destroy"]
        for task in group["Tasks"]:
            task["Annotations"] = _task_annotation(
                task, group["Type"], before.get(name), after.get(name)
            )


_WORDS: Final = {
    "Ignore": "ignore",
    "Place": "create",
    "Migrate": "migrate",
    "Stop": "destroy",
    "InPlaceUpdate": "in-place update",
    "DestructiveUpdate": "create/destroy update",
    "Canary": "canary",
    "Preemptions": "preemptions",
}


def _update_words(updates: Mapping[str, int]) -> dict[str, int]:
    return {word: updates[name] for name, word in _WORDS.items() if updates.get(name)}


def _task_annotation(
    task: Diff, group_type: str, before: Document | None, after: Document | None
) -> list[str] | None:
    if task["Type"] == "None":
        return None
    if group_type == "Added":
        return ["forces create"]
    if group_type == "Deleted":
        return ["forces destroy"]
    old = _named((before or {}).get("Tasks"), task["Name"])
    new = _named((after or {}).get("Tasks"), task["Name"])
    if replaces_task(old, new):
        return ["forces create/destroy update"]
    return ["forces in-place update"]


def _diff_group(old: Document | None, new: Document | None) -> Diff:
    before, after = old or {}, new or {}
    objects = [
        *diff_unkeyed(before.get("Constraints"), after.get("Constraints"), "Constraint"),
        *diff_unkeyed(before.get("Affinities"), after.get("Affinities"), "Affinity"),
    ]
    for name in ("RestartPolicy", "Migrate", "ReschedulePolicy", "EphemeralDisk", "Update"):
        objects += diff_object(before.get(name), after.get(name), name)
    objects += diff_object(
        before.get("Disconnect"), after.get("Disconnect"), "Disconnect", null="nil"
    )
    objects += _networks(before.get("Networks"), after.get("Networks"))
    objects += _services(before.get("Services"), after.get("Services"))
    fields = diff_fields(_pick(before, _GROUP_FIELDS), _pick(after, _GROUP_FIELDS))
    kind = kind_of(old, new)
    return {
        "Type": kind,
        "Name": (new or before)["Name"],
        "Fields": fields or None,
        "Objects": objects or None,
        "Tasks": _by_name(before.get("Tasks"), after.get("Tasks"), _diff_task),
        "Updates": None,
    }


def _diff_task(old: Document | None, new: Document | None) -> Diff:
    before, after = old or {}, new or {}
    objects = [
        *diff_unkeyed(before.get("Constraints"), after.get("Constraints"), "Constraint"),
        *diff_unkeyed(before.get("Affinities"), after.get("Affinities"), "Affinity"),
        *diff_object(before.get("Config"), after.get("Config"), "Config"),
        *diff_object(before.get("Resources"), after.get("Resources"), "Resources"),
        *diff_object(before.get("LogConfig"), after.get("LogConfig"), "LogConfig"),
        *_services(before.get("Services"), after.get("Services")),
        *diff_keyed(before.get("Templates"), after.get("Templates"), "Template", "DestPath"),
        *_identity(before.get("Identity"), after.get("Identity")),
    ]
    fields = diff_fields(_pick(before, _TASK_FIELDS), _pick(after, _TASK_FIELDS))
    return {
        "Type": kind_of(old, new),
        "Name": (new or before)["Name"],
        "Fields": fields or None,
        "Objects": objects or None,
        "Annotations": None,
    }


def _by_name(
    old: Iterable[Document] | None,
    new: Iterable[Document] | None,
    diff: Callable[[Document | None, Document | None], Diff],
) -> list[Diff]:
    before = {one["Name"]: one for one in old or ()}
    after = {one["Name"]: one for one in new or ()}
    return [diff(before.get(name), after.get(name)) for name in sorted({**before, **after})]


def _pick(document: Document, names: Iterable[str]) -> dict[str, str]:
    return flatten({name: document.get(name) for name in names})


def _services(old: list[Document] | None, new: list[Document] | None) -> list[Diff]:
    before = {one["Name"]: one for one in old or ()}
    after = {one["Name"]: one for one in new or ()}
    diffs = []
    for name in {**before, **after}:
        one, other = before.get(name), after.get(name)
        if one == other:
            continue
        objects = [
            *diff_strings(part(one, "Tags"), part(other, "Tags"), "Tags", context=True),
            *_checks(part(one, "Checks"), part(other, "Checks")),
        ]
        flat = [flatten(service or {}) for service in (one, other)]
        diffs.append(
            {
                "Type": kind_of(one, other),
                "Name": "Service",
                "Fields": diff_fields(flat[0], flat[1], context=True),
                "Objects": objects or None,
            }
        )
    return diffs


def _checks(old: list[Document] | None, new: list[Document] | None) -> list[Diff]:
    before = {one["Name"]: one for one in old or ()}
    after = {one["Name"]: one for one in new or ()}
    diffs = []
    for name in {**before, **after}:
        one, other = before.get(name), after.get(name)
        if one == other:
            continue
        restarts = (part(one, "CheckRestart"), part(other, "CheckRestart"))
        diffs.append(
            {
                "Type": kind_of(one, other),
                "Name": "Check",
                "Fields": diff_fields(flatten(one or {}), flatten(other or {}), context=True),
                "Objects": diff_object(*restarts, "CheckRestart") or None,
            }
        )
    return diffs


def _networks(old: list[Document] | None, new: list[Document] | None) -> list[Diff]:
    before, after = list(old or ()), list(new or ())
    came = [_network(None, one) for one in after if one not in before]
    gone = [_network(one, None) for one in before if one not in after]
    return [*came, *gone]


def _network(old: Document | None, new: Document | None) -> Diff:
    shown = [flatten({"Hostname": "", "Mode": "", **_modes(one)}) for one in (old, new)]
    objects = [
        *diff_unkeyed(_ports(old, "Reserved"), _ports(new, "Reserved"), "Static Port"),
        *diff_unkeyed(_ports(old, "Dynamic"), _ports(new, "Dynamic"), "Dynamic Port"),
    ]
    return {
        "Type": kind_of(old, new),
        "Name": "Network",
        "Fields": diff_fields(shown[0], shown[1], context=True),
        "Objects": objects or None,
    }


def _modes(network: Document | None) -> dict[str, Any]:
    return {name: (network or {}).get(name, "") for name in ("Hostname", "Mode")}


def _ports(network: Document | None, kind: str) -> list[dict[str, Any]]:
    ports = (network or {}).get(f"{kind}Ports") or ()
    shown = []
    for port in ports:
        fields = {"HostNetwork": port["HostNetwork"], "Label": port["Label"]}
        shown.append(fields | {"To": port.get("To", 0)})
        if kind == "Reserved":
            shown[-1]["Value"] = port.get("Value", 0)
    return shown


def _interface(old: Document | None, new: Document | None) -> list[Diff]:
    if old == new:
        return []
    before, after = (
        {} if one is None else flatten({"Description": one["Description"]}) for one in (old, new)
    )
    links = diff_unkeyed(part(old, "Links"), part(new, "Links"), "Link")
    fields = diff_fields(before, after, context=True)
    kind = kind_of(old, new)
    return [{"Type": kind, "Name": "UI", "Fields": fields or None, "Objects": links or None}]


def _identity(old: Document | None, new: Document | None) -> list[Diff]:
    diffs = diff_object(old, new, "Identity")
    for diff in diffs:
        audience = diff_strings(part(old, "Audience"), part(new, "Audience"), "Audience")
        diff["Objects"] = audience or None
    return diffs


def _named(documents: Iterable[Document] | None, name: str) -> Document | None:
    return next((one for one in documents or () if one["Name"] == name), None)
