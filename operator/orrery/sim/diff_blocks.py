"""Compare blocks of a job: fields, sets, lists, the way Nomad's plan shows them. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

Document = Mapping[str, Any]
Diff = dict[str, Any]

_NOT_FIELDS: Final = frozenset({"Audience", "CheckRestart", "Checks", "Stagger", "Tags"})
"""What is compared by other means, or not at all."""


def kind_of(old: Document | None, new: Document | None) -> str:
    """Tell whether something was added, deleted, edited, or none of it."""
    if old is None:
        return "Added"
    if new is None:
        return "Deleted"
    return "None" if old == new else "Edited"


def flatten(document: Document, *, null: str | None = None) -> dict[str, str]:
    """Write values as text under paths such as ``Env[A]`` and ``args[0]``."""
    flat: dict[str, str] = {}
    for name, value in document.items():
        if name not in _NOT_FIELDS:
            flat |= _flat_value(name, value, null)
    return flat


def _flat_value(path: str, value: Any, null: str | None) -> dict[str, str]:
    if isinstance(value, Mapping):
        items = [_flat_value(f"{path}[{key}]", inner, null) for key, inner in value.items()]
        return {key: text for item in items for key, text in item.items()}
    if isinstance(value, list):
        items = [_flat_value(f"{path}[{i}]", inner, null) for i, inner in enumerate(value)]
        return {key: text for item in items for key, text in item.items()}
    if value is None:
        return {} if null is None else {path: null}
    if isinstance(value, bool):
        return {path: str(value).lower()}
    return {path: str(value)}


def diff_fields(
    old: Mapping[str, str], new: Mapping[str, str], *, context: bool = False
) -> list[Diff]:
    """Compare flat fields; *context*: show those that stay, too."""
    fields = []
    for name in sorted({**old, **new}):
        before, after = old.get(name, ""), new.get(name, "")
        if before == after and not context:
            continue
        kind = _change(before, after)
        fields.append(
            {"Type": kind, "Name": name, "Old": before, "New": after, "Annotations": None}
        )
    return fields


def _change(before: str, after: str) -> str:
    if before == after:
        return "None"
    if not before:
        return "Added"
    return "Edited" if after else "Deleted"


def diff_object(
    old: Document | None, new: Document | None, name: str, *, null: str | None = None
) -> list[Diff]:
    """Compare two blocks; fields that stay are shown beside those that change."""
    if old == new:
        return []
    flat = [{} if one is None else flatten(one, null=null) for one in (old, new)]
    fields = diff_fields(flat[0], flat[1], context=True)
    kind = kind_of(old, new)
    if kind == "Edited" and all(field["Type"] == "None" for field in fields):
        return []
    return [{"Type": kind, "Name": name, "Fields": fields or None, "Objects": None}]


def diff_unkeyed(
    old: Iterable[Document] | None, new: Iterable[Document] | None, name: str
) -> list[Diff]:
    """Compare two sets of blocks: one that changed is one that went and one that came."""
    before, after = list(old or ()), list(new or ())
    gone = [diff_object(one, None, name) for one in before if one not in after]
    came = [diff_object(None, one, name) for one in after if one not in before]
    return [diff for diffs in (*came, *gone) for diff in diffs]


def diff_keyed(
    old: Iterable[Document] | None, new: Iterable[Document] | None, name: str, key: str
) -> list[Diff]:
    """Compare two lists of blocks that the field *key* tells apart."""
    before = {one[key]: one for one in old or ()}
    after = {one[key]: one for one in new or ()}
    diffs = [diff_object(before.get(k), after.get(k), name) for k in {**before, **after}]
    return [diff for found in diffs for diff in found]


def diff_strings(
    old: Iterable[str] | None, new: Iterable[str] | None, name: str, *, context: bool = False
) -> list[Diff]:
    """Compare two sets of words; *context*: show those that stay, too."""
    before, after = set(old or ()), set(new or ())
    if before == after and not (context and before):
        return []
    fields = [_member(name, one, "Added") for one in sorted(after - before)]
    if context:
        fields += [_member(name, one, "None") for one in sorted(after & before)]
    fields += [_member(name, one, "Deleted") for one in sorted(before - after)]
    kind = "None" if before == after else "Added" if not before else "Deleted" if not after else ""
    return [{"Type": kind or "Edited", "Name": name, "Fields": fields, "Objects": None}]


def _member(name: str, value: str, kind: str) -> Diff:
    old = "" if kind == "Added" else value
    new = "" if kind == "Deleted" else value
    return {"Type": kind, "Name": name, "Old": old, "New": new, "Annotations": None}


def part(document: Document | None, name: str) -> Any:
    """Take a part of a block that may be none."""
    return None if document is None else document[name]
