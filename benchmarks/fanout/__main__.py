"""Measure the fan-out against its limits and its peers: ``python -m benchmarks.fanout``.

A hundred simulated regions in one process, a real API server with its etcd, and the operator as a
process of its own. All of it shares one machine with whatever else runs there, so times mean
something only as ratios inside one run. Counts are exact: when one of them is violated, the exit
code is 1.

The parts, chosen with --only:

orrery    registers a second when many deployments are applied at once; apply to registered in all
          regions, one deployment at a time; the same with one region silent and one slow; the
          writes after one override
peers     the first two for a naive kopf operator and for minimal ones on controller-runtime
standing  restarts over unchanged deployments; requests and writes at rest; memory
"""

import argparse
import asyncio
import dataclasses
import json
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.fanout.course import measure, profile
from benchmarks.fanout.lab import running_lab
from benchmarks.fanout.page import describe, replace_run
from benchmarks.fanout.process import ROOT
from benchmarks.fanout.results import Results
from benchmarks.fanout.scale import FULL, QUICK, Scale
from benchmarks.fanout.table import render

from orrery.app import loop_factory

PARTS = ("orrery", "peers", "standing")


def circumstances(scale: Scale) -> dict[str, Any]:
    """Describe the machine and the run."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "command": shlex.join(["python", "-m", "benchmarks.fanout", *sys.argv[1:]]),
        "began": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "commit": commit.stdout.strip(),
        "cores": len(os.sched_getaffinity(0)),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30,
        "load": os.getloadavg()[0],
        "system": platform.platform(),
        "python": platform.python_version(),
        "scale": dataclasses.asdict(scale),
    }


async def run(options: argparse.Namespace, scale: Scale, directory: Path) -> Results:
    """Run everything that was asked for."""
    began = time.monotonic()

    def say(words: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {words}", file=sys.stderr, flush=True)

    results = Results()
    this = asyncio.current_task()
    assert this is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    async with running_lab(directory, scale, say) as lab:
        if options.profile:
            await profile(lab, options.only, options.profile)
        else:
            await measure(lab, options.only, results)
    return results


def main() -> None:
    """Read the options, run, print, judge."""
    options = _options()
    scale = FULL if options.full else QUICK
    changes = {n: v for n in ("regions", "rounds", "sustained") if (v := getattr(options, n))}
    if options.standing:
        changes |= {"idle": tuple(options.standing), "restart": max(options.standing)}
    if options.idle_seconds:
        changes["idle_seconds"] = options.idle_seconds
    scale = dataclasses.replace(scale, **changes)
    about = circumstances(scale)
    directory = Path(tempfile.mkdtemp(prefix="orrery-bench-"))
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            results = runner.run(run(options, scale, directory))
    except BaseException:
        print(f"logs are in {directory}", file=sys.stderr)
        raise
    if results.failed:
        print(f"logs are in {directory}", file=sys.stderr)
    else:
        shutil.rmtree(directory)
    if options.profile:
        return
    about["load_after"] = os.getloadavg()[0]
    tables = render(results)
    print(tables)
    if options.output:
        text = json.dumps({**about, **results.document()}, indent=1, default=str)
        options.output.write_text(f"{text}\n", encoding="utf-8")
    if options.page:
        page = options.page.read_text(encoding="utf-8")
        run_of_it = f"{describe(about)}\n\n{tables}"
        options.page.write_text(replace_run(page, run_of_it), encoding="utf-8")
    sys.exit(results.violated)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fanout",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="a few minutes; the default")
    size.add_argument("--full", action="store_true", help="hours: the numbers of the design")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART")
    parser.add_argument("--output", type=Path, help="also write everything as JSON")
    parser.add_argument("--page", type=Path, help="also put the tables into this page")
    parser.add_argument(
        "--profile",
        type=Path,
        help="only profile Orrery: under load, or when it starts if the part is standing",
    )
    parser.add_argument("--regions", type=int, help="other than 100")
    parser.add_argument("--rounds", type=int, help="deployments that are timed")
    parser.add_argument("--sustained", type=int, help="deployments that are applied at once")
    parser.add_argument("--standing", type=int, nargs="+", help="deployments at rest")
    parser.add_argument("--idle-seconds", type=float, help="seconds at rest")
    return parser.parse_args()


if __name__ == "__main__":
    main()
