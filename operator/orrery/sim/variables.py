"""Variables: secrets by path, written by compare-and-set."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from orrery.sim.core import Core
from orrery.sim.records import Variable
from orrery.sim.refusal import bad_request

MAX_BYTES: Final = 64 * 1024

_PATH = re.compile(r"[a-zA-Z0-9-_~/]{1,128}")


class VariableConflict(Exception):
    """The index was another: carries what there is instead."""

    def __init__(self, current: Variable) -> None:
        super().__init__(current.path)
        self.current = current


def read(core: Core, namespace: str, path: str) -> Variable | None:
    """Return a variable."""
    return core.tables.variables.get((namespace, path))


def write(
    core: Core, namespace: str, path: str, items: Mapping[str, str], *, expected: int | None
) -> Variable:
    """Write a variable; *expected* is its index before, 0 for none, None for whatever."""
    _check(path, items)
    before = _compare(core, namespace, path, expected)
    with core.store.write("VariableUpdated") as entry:
        variable = Variable(
            namespace,
            path,
            before.create_index if before else entry.index,
            before.create_time if before else entry.now,
            entry.index,
            entry.now,
            dict(items),
        )
        core.entries.put_variable(core.tables, entry, variable)
    return variable


def delete(core: Core, namespace: str, path: str, *, expected: int | None) -> int:
    """Delete a variable; one that is not there is gone already. Return the index."""
    before = _compare(core, namespace, path, expected)
    with core.store.write("VariableDeleted") as entry:
        if before is not None:
            core.entries.delete_variable(core.tables, entry, before)
    return entry.index


def _compare(core: Core, namespace: str, path: str, expected: int | None) -> Variable | None:
    """Compare the index; a lost comparison is a raft entry too."""
    before = read(core, namespace, path)
    index = before.modify_index if before else 0
    if expected is None or expected == index:
        return before
    with core.store.write("VariableConflict"):
        pass
    raise VariableConflict(before or replace(_NONE, namespace=namespace, path=path))


def _check(path: str, items: Mapping[str, str]) -> None:
    if not items:
        raise bad_request("variable missing required Items object")
    parts = path.split("/")
    if not _PATH.fullmatch(path):
        raise _refused(f'invalid path "{path}"')
    if parts == ["nomad"]:
        raise _refused(
            '"nomad" is a reserved top-level directory path, but you may write variables to'
            ' "nomad/jobs", "nomad/job-templates", "nomad/sentinel", or below'
        )
    if parts[0] == "nomad" and parts[1] not in {"jobs", "job-templates"}:
        raise _refused(
            'only paths at "nomad/jobs" or "nomad/job-templates" and below are valid paths'
            ' under the top-level "nomad" directory'
        )
    if sum(len(key) + len(value) for key, value in items.items()) > MAX_BYTES:
        raise _refused("variables are limited to 64KiB in total size")


def _refused(text: str) -> Exception:
    refusal = bad_request(f"RPC Error:: 400,{text}")
    refusal.index = 0
    return refusal


_NONE: Final = Variable("", "", 0, 0, 0, 0, {})
