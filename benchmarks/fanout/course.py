"""The course of a run: what is measured, one after the other.

Only one contender runs at a time, and the raw client takes turns with it.
"""

import pstats
from collections.abc import Collection
from pathlib import Path

from benchmarks.fanout.contenders import (
    Contender,
    peers,
    quiet,
    running_orrery,
    running_peer,
    settle,
)
from benchmarks.fanout.lab import Lab
from benchmarks.fanout.latency import impaired, series
from benchmarks.fanout.override import change_one
from benchmarks.fanout.process import Ended
from benchmarks.fanout.results import Results
from benchmarks.fanout.standing import profile_restart, standing
from benchmarks.fanout.sustained import load, raw_load

WARM_WITHIN = 120.0


async def measure(lab: Lab, parts: Collection[str], results: Results) -> None:
    """Measure the chosen *parts* into *results*; one that fails keeps no other from its turn."""
    results.rtt = dict(lab.regions.rtt)
    measures = {"orrery": _orrery, "peers": _peers, "standing": _standing}
    for part in parts:
        try:
            await measures[part](lab, results)
        except (TimeoutError, Ended) as error:
            results.failed.append(f"{part}: {error}")
            lab.say(results.failed[-1])


async def _orrery(lab: Lab, results: Results) -> None:
    await _raw_load(lab, results)
    await _sustain_orrery(lab, results)
    await lab.clear()
    async with running_orrery(lab) as orrery:
        await _warm_up(lab, orrery)
        await _one_at_a_time(lab, orrery, results)
        lab.say("Orrery: one region silent, one slow")
        results.impaired = await impaired(lab, orrery, results.latency[-1])
        lab.say("Orrery: one override")
        results.change = await change_one(lab, orrery)


async def _peers(lab: Lab, results: Results) -> None:
    for peer in peers(lab):
        await _raw_load(lab, results)
        async with running_peer(lab, peer) as contender:
            await _warm_up(lab, contender)
            await _sustain(lab, contender, results)
            await _one_at_a_time(lab, contender, results, patience=lab.scale.patience)


async def _standing(lab: Lab, results: Results) -> None:
    results.standing = await standing(lab)


async def _raw_load(lab: Lab, results: Results) -> None:
    """Measure the raw client under load; what is measured next is compared with it."""
    await lab.clear()
    results.raw_load = await raw_load(lab)
    await lab.clear()


async def _sustain_orrery(lab: Lab, results: Results) -> None:
    """Measure Orrery under load; once more without its lease, should it lose that."""
    for alone in (False, True):
        try:
            async with running_orrery(lab, alone=alone) as orrery:
                await _warm_up(lab, orrery)
                await _sustain(lab, orrery, results)
        except Ended as error:
            if alone:
                raise
            results.ended = str(error)
            lab.say(f"{error}\nonce more, without leader election")
            await lab.clear()
        else:
            return


async def _sustain(lab: Lab, contender: Contender, results: Results) -> None:
    lab.say(f"{contender.name}: many deployments at once")
    assert results.raw_load is not None
    found = await load(lab, contender)
    results.loads[contender.name] = (results.raw_load, found)
    lab.say(f"{contender.name}: {found.rate:,.0f} registers/s")


async def _one_at_a_time(
    lab: Lab, contender: Contender, results: Results, *, patience: float = float("inf")
) -> None:
    lab.say(f"{contender.name}: one deployment at a time")
    await lab.regions.distant()
    await lab.regions.make_room_for_raw()
    await lab.raw.warm()
    await quiet(lab, within=WARM_WITHIN)
    found = await series(lab, contender, "latency", rounds=lab.scale.rounds, patience=patience)
    results.latency.append(found)
    p50, raw = found.own_quantile(0.5), found.raw_quantile(0.5)
    lab.say(f"{contender.name}: p50 {p50:.3f} s, raw {raw:.3f} s")


async def _warm_up(lab: Lab, contender: Contender) -> None:
    """Have the contender do everything once: connections are open and code is loaded after."""
    await lab.regions.near()
    await lab.hub.create(contender.describe("warm"))
    await settle(lab, contender, "warm", regions=lab.scale.regions, within=WARM_WITHIN)
    await quiet(lab, within=WARM_WITHIN)


async def profile(lab: Lab, parts: Collection[str], stats: Path) -> None:
    """Write where Orrery's time goes under load, or when it starts; print the largest parts.

    A profile makes it so slow that it would lose its lease.
    """
    await lab.clear()
    if "orrery" in parts:
        async with running_orrery(lab, profile=stats, alone=True) as orrery:
            await _warm_up(lab, orrery)
            await load(lab, orrery)
    else:
        await profile_restart(lab, stats)
    pstats.Stats(str(stats)).sort_stats("tottime").print_stats(30)
