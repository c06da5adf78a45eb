"""Compare what two regions answer to the same request, with ids and indexes mapped.

A reply is compared as the operator reads it: what it does not read is held by ``tests/contract``.
Of a job, a submission, a variable and every reply to a write, that is the whole document.
"""

import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from typing import Any, Final

from orrery.adapters.nomad import translate

INDEXES: Final = frozenset(
    {
        "CreateIndex",
        "EvalCreateIndex",
        "Index",
        "JobModifyIndex",
        "ModifyIndex",
        "job_modify_index",
        "modify_index",
    }
)

TIMES: Final = frozenset({"CreateTime", "ModifyTime", "SubmitTime"})
"""Two regions live at different times."""

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NUMBER = re.compile(r"\d+")

Answer = tuple[int, str]


@dataclass
class Names:
    """Which id and which index of one region is which of the other: one to one, in one order."""

    ids: dict[str, str] = field(default_factory=dict)
    indexes: dict[int, int] = field(default_factory=dict)

    def index(self, index: int) -> int:
        """Return the other region's index."""
        return self.indexes.get(index, index)

    def translated(self, value: Any, name: str = "") -> Any:
        """Return a document of a request with the other region's ids and indexes."""
        if isinstance(value, dict):
            return {key: self.translated(item, key) for key, item in value.items()}
        if isinstance(value, list):
            return [self.translated(item) for item in value]
        if name in INDEXES and isinstance(value, int):
            return self.index(value)
        return self.ids.get(value, value) if isinstance(value, str) else value

    def fits(self, mine: Any, theirs: Any) -> bool:
        """Tell whether two ids, or two indexes, may be the same thing."""
        known: Mapping[Any, Any] = self.ids if isinstance(mine, str) else self.indexes
        if mine in known:
            return bool(known[mine] == theirs)
        return theirs not in known.values()

    def bind(self, mine: Any, theirs: Any) -> None:
        known: dict[Any, Any] = self.ids if isinstance(mine, str) else self.indexes
        known[mine] = theirs

    def disorder(self) -> list[str]:
        """List the indexes that have another order in the other region."""
        pairs = sorted(self.indexes.items())
        return [
            f"index {a} comes before {b}, but {x} does not before {y}"
            for (a, x), (b, y) in itertools.pairwise(pairs)
            if x >= y
        ]


def differences(path: str, mine: Answer, theirs: Answer, names: Names) -> list[str]:
    """List how two answers to one request differ; if they do not, remember what is what."""
    if mine[0] != theirs[0]:
        return [f"status {mine[0]} -> {theirs[0]}: {mine[1][:200]!r} -> {theirs[1][:200]!r}"]
    tried = Names(dict(names.ids), dict(names.indexes))
    unlike = list(_unlike(_read(path, *mine), _read(path, *theirs), "", tried))
    if not unlike:
        names.ids, names.indexes = tried.ids, tried.indexes
    return unlike


def known(path: str) -> bool:
    """Tell whether a reply to a read of *path* has a reader."""
    return _reader(path) is not None


def _unlike(mine: Any, theirs: Any, where: str, names: Names) -> Iterator[str]:
    if isinstance(mine, dict) and isinstance(theirs, dict):
        for key in sorted(mine.keys() | theirs.keys()):
            if key not in TIMES:
                here = f"{where}.{key}"
                yield from _unlike(mine.get(key), theirs.get(key), here, names)
    elif isinstance(mine, list) and isinstance(theirs, list) and len(mine) == len(theirs):
        for number, pair in enumerate(zip(mine, theirs, strict=True)):
            yield from _unlike(*pair, f"{where}[{number}]", names)
    elif _is_name(where, mine) and _is_name(where, theirs):
        if names.fits(mine, theirs):
            names.bind(mine, theirs)
        else:
            yield f"{where}: {mine!r} is not {theirs!r}, both are known otherwise"
    elif mine != theirs:
        yield f"{where}: {mine!r} -> {theirs!r}"


def _is_name(where: str, value: Any) -> bool:
    """Tell whether a value is an id or an index of its region; 0 is none."""
    if isinstance(value, str):
        return _UUID.fullmatch(value) is not None
    return bool(value) and isinstance(value, int) and where.rpartition(".")[2] in INDEXES


def _read(path: str, status: int, text: str) -> Any:
    if status != 200:
        # The words matter, as the operator judges by them; numbers in them are indexes.
        return _NUMBER.sub("#", text)
    if not text.strip():
        return ""
    reader = _reader(path)
    value = json.loads(text)
    return _plain(reader(value) if reader and not _is_write(value) else value)


def _is_write(value: Any) -> bool:
    """Tell whether a document is the reply to a register or a purge, not a job."""
    return isinstance(value, dict) and "EvalCreateIndex" in value


def _plain(value: Any) -> Any:
    """Return values of the port as JSON has them, sets and rows in an order of their own."""
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _leader(document: Any) -> bool:
    """Read whether there is a leader; each region has its own addresses."""
    return bool(translate.leader(document))


def _agent(document: Any) -> str:
    """Read the region's name; a simulated one has a version of its own."""
    return translate.agent(document).region


def _autopilot(document: dict[str, Any]) -> Any:
    """Read how the servers are; names and moments are each region's own."""
    health = translate.autopilot(document)
    return replace(
        health, servers=[replace(one, name="", stable_since="") for one in health.servers]
    )


def _allocations(rows: list[Any]) -> list[Any]:
    """Read allocations as a set: which of several equal ones comes first is chance.

    So is, while others start, how far one got before it was told to stop, and how soon it ends.
    """
    allocations = translate.allocations(rows)
    starting = any(allocation.desired_status == "run" for allocation in allocations)
    found = []
    for allocation in allocations:
        seen = asdict(replace(allocation, id=""))
        if allocation.desired_status == "stop":
            seen |= {"healthy": None, "message": ""} | ({"client_status": ""} if starting else {})
        found.append(seen)
    return sorted(found, key=str)


def _deployments(rows: list[Any]) -> list[Any]:
    """Read deployments; a cancelled one may count instances that were stopped on the way.

    A machine reports them as unhealthy if it had begun to watch them, which is chance.
    """
    found = translate.deployments(rows)
    return [replace(d, unhealthy=0) if d.status == "cancelled" else d for d in found]


def _nodes(rows: list[Any]) -> list[Any]:
    """Read machines by name; Nomad sorts by id, and ids are chance."""
    return sorted(translate.nodes(rows), key=lambda node: node.name)


_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "/v1/agent/self": _agent,
    "/v1/job/[^/]+": translate.job,
    "/v1/job/[^/]+/allocations": _allocations,
    "/v1/job/[^/]+/deployments": _deployments,
    "/v1/job/[^/]+/evaluations": translate.waiting,
    "/v1/job/[^/]+/submission": translate.submission,
    "/v1/jobs": translate.job_stubs,
    "/v1/namespace/[^/]+": translate.namespace,
    "/v1/namespace": translate.written,
    "/v1/namespaces": translate.namespaces,
    "/v1/nodes": _nodes,
    "/v1/operator/autopilot/health": _autopilot,
    "/v1/status/leader": _leader,
    "/v1/var/.+": translate.variable,
}
"""By pattern of the path: how the operator reads a reply."""


def _reader(path: str) -> Callable[[Any], Any] | None:
    return next((read for pattern, read in _READERS.items() if re.fullmatch(pattern, path)), None)
