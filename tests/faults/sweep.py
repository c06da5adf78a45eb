"""Kill the operator's process at a chosen write, have another one take over, look at the end.

The twin of ``tests/world/crashes`` on real servers: what is killed is a process, what it wrote to
is a real API server, and regions over TLS. A round is the life of one deployment: each of its steps
begins where the one before has ended, so nothing has to be set up or cleared away in between.
"""

import asyncio
import copy
import itertools
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import aiohttp
from tests.fakes.mortal import Fate
from tests.faults.planet import NAMESPACE, TENANT, FaultPlanet, a_shop
from tests.faults.process import OperatorProcess
from tests.lab import faultproxy_actions as do
from tests.lab.faultproxy import Door
from tests.lab.faultproxy_journal import Entry, Match
from tests.lab.planet import is_ready
from tests.lab.polling import until

REGIONS = ("fra", "was")
NAME = "shop"
QUIET = 1.3
"""Seconds without a write after which a step is over: statuses are written once a second."""

FATES = (Fate.KILLED_BEFORE, Fate.KILLED_UNTOLD, Fate.KILLED_AFTER)
OVERRIDE = {"name": "big", "regions": ["was"], "scaling": {"count": 2}}
SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "keys", "namespace": NAMESPACE},
    "stringData": {"key": "s3cret"},
}
ENV = [{"name": "KEY", "secretRef": {"name": "keys", "key": "key"}}]
BRISK = {
    "update": {"minHealthyTime": "1s"},
    "healthChecks": [{"type": "http", "port": 3000, "path": "/", "interval": "1s"}],
}
"""On a real Nomad the waits are real, too."""

_VARIES = {
    "CreateIndex",
    "JobModifyIndex",
    "ModifyIndex",
    "SubmitTime",
    "index",
    "lastTransitionTime",
}

Plan = tuple[int, Fate]


def shop(**spec: Any) -> dict[str, Any]:
    whole = {"env": ENV, "overrides": [OVERRIDE], **BRISK, **spec}
    return a_shop(NAME, REGIONS, **whole)


SECOND = {"image": "registry.example/shop:2"}
BIGGER = [{**OVERRIDE, "scaling": {"count": 3}}]

LAST = shop(docker=SECOND, overrides=BIGGER, scaling={"count": 1})

STEPS: Mapping[str, dict[str, Any]] = {
    "create": shop(),
    "update": shop(docker=SECOND),
    "change-override": shop(docker=SECOND, overrides=BIGGER),
    "scale": shop(docker=SECOND, overrides=BIGGER, scaling={"count": 2}),
    "dark-and-back": LAST,
    "leave": shop(**{**LAST["spec"], "deletionPolicy": "Orphan"}),
    "adopt": LAST,
    "delete": LAST,
}
"""What a user wants at each step."""

GONE = ("leave", "delete")
"""Steps at which the object goes: without its jobs, and with them."""

DARK = "was"
"""The region that does not answer while the spec changes."""


@dataclass(frozen=True)
class Trace:
    """How a step went, and where it ended."""

    writes: Sequence[str]
    """The counted writes, in order, with what became of them."""
    updates: Mapping[str, int]
    """How often each object was changed; statuses and events left out."""
    state: Mapping[str, Any]
    problems: Sequence[str] = ()
    reached: bool = True
    """Whether the write that was to be the last one of the process came."""

    def compare(self, other: "Trace") -> list[str]:
        """List in what *other* differs from this."""
        unlike = [
            f"{what}: {mine.get(key)!r} -> {theirs.get(key)!r}"
            for kind, mine, theirs in (
                ("updates", self.updates, other.updates),
                ("state", _flat(self.state), _flat(other.state)),
            )
            for key in sorted(mine.keys() | theirs.keys())
            if mine.get(key) != theirs.get(key)
            for what in [f"{kind} of {key}"]
        ]
        return [*unlike, *other.problems]


@dataclass
class Sweep:
    """A planet on which one deployment lives round after round."""

    planet: FaultPlanet
    session: aiohttp.ClientSession
    operator: OperatorProcess
    options: Sequence[str]
    reference: dict[str, Trace] = field(default_factory=dict)

    async def rehearse(self) -> None:
        """Go through all steps without faults."""
        await self.planet.apply(SECRET)
        for step in STEPS:
            self.reference[step] = await self.go(step)
        for trace in self.reference.values():
            assert not trace.problems

    def plans(self, step: str) -> list[Plan]:
        """List all ways to die in a step, shuffled, though in every run alike."""
        writes = len(self.reference[step].writes)
        plans = list(itertools.product(range(1, writes + 1), FATES))
        Random(step).shuffle(plans)
        return plans

    async def go(self, step: str, plan: Plan | None = None) -> Trace:
        """Carry out one step; by *plan*, the process dies at a write, and is started anew."""
        planet = self.planet
        planet.proxy.journal.begin()
        rule = None
        if plan is not None:
            number, fate = plan
            rule = planet.proxy.add(Match(write=number), do.kill(self.operator.kill, fate), nth=1)
        if step == "dark-and-back":
            await planet.proxy.turn(DARK, Door.REFUSED)
        await planet.apply(STEPS[step])
        if step in GONE:
            await planet.delete(NAME)
        if step == "dark-and-back":
            opened = asyncio.create_task(self._open_again())
            await self._settle(gone=False)
            await opened
        await self._settle(gone=step in GONE)
        planet.proxy.lift()
        trace = await self._trace()
        return trace if rule is None or rule.hits else Trace((), {}, {}, reached=False)

    async def reset(self) -> None:
        """Begin a round anew after one that went wrong."""
        await self.planet.delete(NAME)
        await self._settle(gone=True)

    async def _open_again(self) -> None:
        """Let the dark region answer once the others have the change."""
        updates = self.planet.proxy.journal.updates
        others = {f"{region} register {NAME}" for region in REGIONS if region != DARK}
        await until(lambda: updates().keys() >= others, told=updates)
        await self.planet.proxy.turn(DARK, Door.OPEN)

    async def _settle(self, *, gone: bool) -> None:
        async def settled() -> bool:
            if not self.operator.alive:
                self.operator = await self.planet.start(*self.options)
            if not await self.operator.is_ready():
                return False
            body = (await self.planet.deployments()).get(NAME, {})
            last = max((e.time for e in self.planet.proxy.journal.writes), default=began)
            return (not body if gone else is_ready(body)) and loop.time() - last > QUIET

        loop = asyncio.get_running_loop()
        began = loop.time()
        await until(settled, seconds=90, pause=0.1, told=lambda: self.operator.said[-2000:])

    async def _trace(self) -> Trace:
        writes = self.planet.proxy.journal.writes
        body = (await self.planet.deployments()).get(NAME)
        regions = {name: await self._region(name) for name in REGIONS}
        told = {
            region: seen["index"]
            for continent in (body or {}).get("status", {}).get("continents", ())
            for region, seen in continent["regions"].items()
        }
        found = {name: (regions[name]["job"] or {}).get("JobModifyIndex", 0) for name in told}
        problems = [] if told == found else [f"remembered indexes {told} are really {found}"]
        hub = {k: v for k, v in (body or {}).items() if k in {"spec", "status"}}
        return Trace(
            [str(entry) for entry in writes],
            Counter(_what(e) for e in writes if e.applied and _counts(e)),
            _calm({"hub": hub, "regions": regions}),
            problems,
        )

    async def _region(self, name: str) -> dict[str, Any]:
        """Read what a region holds: the job, how many instances it has had, and its variable."""
        job = await self._ask(name, f"/v1/job/{NAME}")
        instances = await self._ask(name, f"/v1/job/{NAME}/allocations") or []
        variable = await self._ask(name, f"/v1/var/nomad/jobs/{NAME}")
        return {
            "job": job,
            "instances": dict(Counter(one["DesiredStatus"] for one in instances)),
            "variable": (variable or {}).get("Items"),
        }

    async def _ask(self, region: str, path: str) -> Any:
        """Ask a region past the proxy; None when what is asked for is not there."""
        return await ask(self.planet, self.session, region, path)


async def ask(
    planet: FaultPlanet,
    session: aiohttp.ClientSession,
    region: str,
    path: str,
    *,
    method: str = "GET",
    body: Any = None,
) -> Any:
    """Speak to a region past the proxy; None when what is asked for is not there."""
    url = f"{planet.proxy.targets[region].upstream}{path}?namespace={TENANT}"
    headers = {"X-Nomad-Token": planet.tokens[region]}
    async with session.request(method, url, json=body, headers=headers) as reply:
        return await reply.json() if method == "GET" and reply.status == 200 else None


def _counts(entry: Entry) -> bool:
    return not entry.path.endswith("/status") and "/events" not in entry.path


def _what(entry: Entry) -> str:
    """Name a write without what varies from run to run."""
    if entry.job:
        return f"{entry.target} {entry.verb} {entry.job}"
    return f"{entry.target} {entry.method} {entry.path}"


def _calm(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _calm(v) for k, v in sorted(value.items()) if k not in _VARIES}
    return [_calm(item) for item in value] if isinstance(value, list) else copy.copy(value)


def _flat(value: Any, path: str = "") -> dict[str, str]:
    """Lay a document out as one value per path, so that differences name the field."""
    if isinstance(value, Mapping) and value:
        found: dict[str, str] = {}
        for key, item in value.items():
            found |= _flat(item, f"{path}.{key}" if path else str(key))
        return found
    return {path: json.dumps(value, sort_keys=True)}
