"""Diffs as a real Nomad 2.0 answers them to a plan."""

from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]


def a_field(name: str, old: str, new: str, kind: str = "Edited") -> Json:
    return {"Name": name, "Old": old, "New": new, "Type": kind, "Annotations": None}


def unchanged(name: str, value: str) -> Json:
    return a_field(name, value, value, "None")


def an_object(name: str, *parts: Json, kind: str = "Edited") -> Json:
    """Make an object of fields and objects."""
    fields = [part for part in parts if "Old" in part]
    objects = [part for part in parts if "Old" not in part]
    return {"Name": name, "Type": kind, "Fields": fields, "Objects": objects or None}


def a_diff(
    *, job: Sequence[Json] = (), group: Sequence[Json] = (), task: Sequence[Json] = ()
) -> Json:
    """Make the diff of a job with one group and one task, from their changed parts."""
    changed_task = {**an_object("app", *task), "Annotations": None}
    changed_group = {**an_object("instances", *group), "Tasks": [changed_task], "Updates": {}}
    description = an_object("UI", a_field("Description", "revision a", "revision b"))
    whole = an_object("", *job, description)
    return {**whole, "ID": "shop", "TaskGroups": [changed_group]}
