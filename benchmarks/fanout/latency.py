"""How long it takes from apply to registered everywhere: deployments one at a time."""

import asyncio
import time
from collections.abc import Collection
from dataclasses import dataclass

from benchmarks.fanout.contenders import Contender, settle
from benchmarks.fanout.figures import Line, line, quantile
from benchmarks.fanout.lab import Lab, until
from benchmarks.fanout.scale import SLOW_RTT
from benchmarks.fanout.workload import RAW_NAMESPACE, raw_body

REGISTER_WITHIN = 180.0
SETTLE_WITHIN = 60.0
PAUSE = 0.7
"""Seconds after a round of the raw client, in which its jobs start and become healthy."""

Round = dict[str, float]
"""Seconds from apply until a region's answer is back, by region."""


@dataclass(frozen=True, slots=True)
class Series:
    """Rounds of one contender, each after a round of the raw client."""

    contender: str
    raw: list[Round]
    own: list[Round]

    def raw_quantile(self, share: float) -> float:
        """Return a quantile of the raw client's seconds to all regions."""
        return quantile([max(one.values()) for one in self.raw], share)

    def own_quantile(self, share: float) -> float:
        """Return a quantile of the contender's seconds to all regions."""
        return quantile([max(one.values()) for one in self.own], share)

    def single_quantile(self, share: float, regions: Collection[str]) -> float:
        """Return a quantile of the seconds to single ones of *regions*."""
        return quantile([one[region] for one in self.own for region in regions], share)

    def by_distance(self, rtt: dict[str, float]) -> Line:
        """Split the seconds into what does not depend on distance, and round trips."""
        return line([(rtt[region], took) for one in self.own for region, took in one.items()])


@dataclass(frozen=True, slots=True)
class Impaired:
    """The other regions, without and with one region that is silent and one that is slow."""

    silent: str
    slow: str
    healthy: Series
    impaired: Series

    def others(self, share: float) -> tuple[float, float]:
        """Return a quantile of single regions: without, with."""
        regions = [r for r in self.healthy.own[0] if r not in {self.silent, self.slow}]
        return (
            self.healthy.single_quantile(share, regions),
            self.impaired.single_quantile(share, regions),
        )


async def series(
    lab: Lab,
    contender: Contender,
    label: str,
    *,
    rounds: int,
    patience: float = float("inf"),
    without: Collection[str] = (),
) -> Series:
    """Time up to *rounds* deployments, in all regions but those *without*.

    No round is begun after *patience* seconds; one is, whatever it takes.
    """
    wanted = [region for region in lab.regions.names if region not in without]
    raw: list[Round] = []
    own: list[Round] = []
    end = time.monotonic() + patience
    for number in range(rounds):
        name = f"{label}-{number:03}"
        if not without:
            raw.append(await _time_raw(lab, name))
            await asyncio.sleep(PAUSE)
        own.append(await _time(lab, contender, name, wanted))
        await settle(lab, contender, name, regions=len(wanted), within=SETTLE_WITHIN)
        await asyncio.sleep(PAUSE)
        if time.monotonic() > end:
            break
    return Series(contender.name, raw, own)


async def impaired(lab: Lab, orrery: Contender, healthy: Series) -> Impaired:
    """Time deployments while one region is silent and one slow, then once more without."""
    slow, silent = lab.regions.names[1], lab.regions.names[2]
    await lab.regions.faults({silent: {"hang": True}, slow: {"latency": SLOW_RTT}})
    troubled = await series(
        lab, orrery, "impaired", rounds=lab.scale.rounds, without={slow, silent}
    )
    await lab.regions.faults({silent: {"hang": False}})
    await lab.regions.distant()

    async def all_open() -> bool:
        return await lab.hub.open_regions() == lab.scale.regions

    await until(all_open, what="all regions are open again", seconds=120, pause=0.5)
    await settle(
        lab,
        orrery,
        f"impaired-{lab.scale.rounds - 1:03}",
        regions=lab.scale.regions,
        within=SETTLE_WITHIN,
    )
    after = await series(lab, orrery, "recovered", rounds=max(2, lab.scale.rounds // 2))
    both = Series(healthy.contender, healthy.raw + after.raw, healthy.own + after.own)
    return Impaired(silent, slow, both, troubled)


async def _time_raw(lab: Lab, name: str) -> Round:
    body = raw_body(name)
    began = await lab.raw.fan_out(body)
    return await _seconds(lab, name, began, lab.regions.names, namespace=RAW_NAMESPACE)


async def _time(lab: Lab, contender: Contender, name: str, wanted: Collection[str]) -> Round:
    document = contender.describe(name)
    began = time.time()
    await lab.hub.create(document)

    async def everywhere() -> bool:
        contender.process.require()
        return (await lab.regions.registered(name)).keys() >= set(wanted)

    what = f"{contender.name} registered {name}"
    await until(everywhere, what=what, seconds=REGISTER_WITHIN)
    return await _seconds(lab, name, began, wanted)


async def _seconds(
    lab: Lab, name: str, began: float, wanted: Collection[str], **where: str
) -> Round:
    """Read when each region took the job, and add the answer's way back."""
    moments = await lab.regions.registered(name, **where)
    return {region: moments[region] + lab.regions.rtt[region] / 2 - began for region in wanted}
