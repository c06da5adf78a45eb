"""Run a scenario in a world in memory while the operator dies by plan, and tell what is left."""

import asyncio
import copy
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import looptime
from tests.fakes.mortal import Fate, Ledger, Life, Remote
from tests.fakes.world import World

from orrery.adapters.memory import MemoryHub, MemoryNomad
from orrery.config import Config

Step = Callable[[World], Awaitable[None]]

RESTART_AFTER = 1.0
"""Seconds from a death to the next start of the operator."""
QUIET = 70.0
"""Seconds without a write after which nothing more is to come: longer than any pause but the
sweep's."""
GIVE_UP = 3600.0

_VARIES = {
    "JobModifyIndex",
    "deletionTimestamp",
    "index",
    "lastTransitionTime",
    "resourceVersion",
    "time",
    "uid",
}
"""What may differ between two runs that end alike."""


@dataclass(frozen=True)
class Scenario:
    """What users do: *arrange* goes well, *act* is where the operator dies."""

    name: str
    arrange: Step
    act: Step
    regions: tuple[str, ...] = ("fra", "was")
    config: Config = field(default_factory=Config)


@dataclass(frozen=True)
class Trace:
    """What is left of a run."""

    state: Mapping[str, Any]
    updates: Mapping[str, int]
    """How often each object was changed, status and events apart."""
    status_writes: int
    writes: tuple[str, ...]
    deaths: int
    problems: tuple[str, ...] = ()
    """What does not hold at rest, whatever happened before."""

    def compare(self, other: "Trace") -> list[str]:
        """Say in what *other* ended differently from this run."""
        found = [*other.problems, *_unlike("updates", self.updates, other.updates)]
        for part, objects in self.state.items():
            for name in objects.keys() | other.state[part].keys():
                ours, theirs = objects.get(name), other.state[part].get(name)
                found += _unlike(f"{part} {name}", ours or {}, theirs or {})
        return found


def trace(scenario: Scenario, plan: Mapping[int, Fate] | None = None) -> Trace:
    """Run *scenario* once, in virtual time."""
    # Nothing comes from outside the loop, so there is no need to look before time goes on.
    with asyncio.Runner(loop_factory=partial(looptime.new_event_loop, noop_cycles=0)) as runner:
        return runner.run(_run(scenario, plan or {}))


async def _run(scenario: Scenario, plan: Mapping[int, Fate]) -> Trace:
    world = MortalWorld(Ledger(plan), scenario)
    await world.controller.start()
    await scenario.arrange(world)
    await world.quiet()
    before = world.instances()
    world.ledger.counting = True
    await scenario.act(world)
    await world.quiet()
    applied = world.ledger.applied
    done = Trace(
        state=world.state(),
        updates=world.updates(before),
        status_writes=sum(n for write, n in applied.items() if "write_status" in write),
        writes=tuple(world.ledger.sent),
        deaths=world.deaths,
        problems=world.problems(),
    )
    await world.end()
    return done


class MortalWorld(World):
    """A world whose operator may die; another one starts a little later."""

    def __init__(self, ledger: Ledger, scenario: Scenario) -> None:
        self.ledger = ledger
        self.life = Life(ledger)
        self.deaths = 0
        self._replacing = asyncio.Lock()
        hub = MemoryHub(latency=0.005, lag=0.02)
        regions = {name: MemoryNomad(name) for name in scenario.regions}
        super().__init__(hub, regions, config=scenario.config)
        for nomad in self.regions.values():
            nomad.latency = 0.01
        self.furnish()
        self._immortal = {asyncio.current_task()}
        self._keeper = asyncio.create_task(self._keep_alive(), name="keeper")
        self._immortal.add(self._keeper)

    async def quiet(self) -> None:
        """Wait until nothing has been written for a while."""
        loop = asyncio.get_running_loop()
        end = loop.time() + GIVE_UP
        begin = loop.time()
        while loop.time() < max(self.ledger.last, begin) + QUIET or self.life.dead:
            assert loop.time() < end, "the world does not come to rest"
            await asyncio.sleep(0.5)

    async def wipe_hub(self) -> None:
        """Lose the operator and all GlobalDeployments, as a lost etcd does."""
        async with self._replacing:
            await self._bury()
            self.hub.objects = {k: v for k, v in self.hub.objects.items() if not k.namespace}
            await self._start()

    def instances(self) -> Counter[str]:
        """Count the instances ever started, by job."""
        return Counter(
            {
                f"{r} instances {n}": held
                for r, nomad in self.regions.items()
                for n, held in nomad.instances_started().items()
            }
        )

    def updates(self, before: Counter[str]) -> dict[str, int]:
        counted = Counter(
            {
                write: number
                for write, number in self.ledger.applied.items()
                if "write_status" not in write and "emit_event" not in write
            }
        )
        counted.update(self.instances() - before)
        return dict(sorted(counted.items()))

    def state(self) -> dict[str, Any]:
        """Describe the hub and the regions without what varies."""
        hub = {str(key): _calm(body) for key, body in self.hub.objects.items()}
        regions = {name: _calm(nomad.contents()) for name, nomad in self.regions.items()}
        return {"hub": hub, "regions": regions}

    def problems(self) -> tuple[str, ...]:
        """Look for what must hold at rest, whatever happened before."""
        found = []
        for key, body in self.hub.objects.items():
            for continent in (body.get("status") or {}).get("continents", ()):
                for region, told in continent["regions"].items():
                    job = self.regions[region].job(f"orrery-{key.namespace}", key.name)
                    index = job["JobModifyIndex"] if job else 0
                    if told["index"] != index:
                        found.append(f"{key}: index {told['index']} of {region} is really {index}")
        return tuple(found)

    def sees(self, target: str, remote: Remote) -> Any:
        """Show a remote as the living operator sees it."""
        return self.life.sees(target, remote)

    async def end(self) -> None:
        """End everything that runs."""
        self._keeper.cancel()
        self._immortal.discard(self._keeper)
        await self._bury()

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(0.25)
            async with self._replacing:
                if self.life.dead:
                    self.deaths += 1
                    await self._bury()
                    await asyncio.sleep(RESTART_AFTER)
                    await self._start()

    async def _bury(self) -> None:
        """Take away what is left of the operator's process."""
        self.life.dead = True
        self.hub.observer = None
        while remains := asyncio.all_tasks() - self._immortal:
            for task in remains:
                task.cancel()
            await asyncio.wait(remains)

    async def _start(self) -> None:
        self.life = Life(self.ledger)
        self.controller = self.make_controller()
        await self.controller.start()


def _unlike(path: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    return [
        f"{path}.{key}: {ours.get(key)!r} -> {theirs.get(key)!r}"
        for key in sorted(ours.keys() | theirs.keys())
        if ours.get(key) != theirs.get(key)
    ]


def _calm(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _calm(v) for k, v in sorted(value.items(), key=str) if k not in _VARIES}
    if isinstance(value, list | tuple):
        return [_calm(item) for item in value]
    return copy.deepcopy(value)
