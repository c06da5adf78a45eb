"""All that one run found, and its verdicts: the targets of the design, in one place. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from benchmarks.fanout.contenders import ORRERY
from benchmarks.fanout.latency import Impaired, Series
from benchmarks.fanout.override import Change
from benchmarks.fanout.scale import SLOWEST_RTT
from benchmarks.fanout.standing import Standing
from benchmarks.fanout.sustained import Load

MIB: Final = 1024 * 1024
KB: Final = 1000

P50_MARGIN: Final = 0.040
P99_RATIO: Final = 1.25
SHARE: Final = 0.5
REQUESTS: Final = 0.3
HUB_REQUESTS: Final = 1.0
STEADY: Final = 60.0
CHANGE: Final = 2.0
OTHERS: Final = 1.05
BASE_BYTES: Final = 120 * MIB
BYTES_EACH: Final = 30 * KB
HUB_WRITES: Final = 2


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    what: str
    target: str
    raw: str
    orrery: str
    holds: bool
    gate: bool = False
    """Whether a miss fails the run: counts do, times do not."""

    @property
    def verdict(self) -> str:
        """Say in a word how it went."""
        return "holds" if self.holds else "VIOLATED" if self.gate else "missed"


@dataclass(slots=True)
class Results:
    """What was measured so far; parts that were left out stay empty."""

    latency: list[Series] = field(default_factory=list)
    """One of each contender."""
    raw_load: Load | None = None
    """The newest of the raw client."""
    loads: dict[str, tuple[Load, Load]] = field(default_factory=dict)
    """The raw client's and the contender's, by contender."""
    impaired: Impaired | None = None
    change: Change | None = None
    standing: Standing | None = None
    rtt: dict[str, float] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    """Why a part came to no end: its counts are not known then."""
    ended: str = ""
    """The last words of Orrery, if the load made it end; it was measured without a lease then."""

    @property
    def violated(self) -> bool:
        """Tell whether a count was wrong, or could not be taken."""
        return bool(self.failed) or any(row.gate and not row.holds for row in self.rows)

    @property
    def orrery(self) -> Series | None:
        """Orrery's own series."""
        return next((one for one in self.latency if one.contender == ORRERY), None)

    @property
    def rows(self) -> list[Row]:
        """Judge everything."""
        parts: list[Callable[[Results], Iterator[Row]]]
        parts = [_latency, _sustained, _rest, _restart, _impaired, _memory, _change]
        return [row for part in parts for row in part(self)]

    def document(self) -> dict[str, Any]:
        """Render everything for a JSON document."""
        return {
            "rows": [{**asdict(row), "verdict": row.verdict} for row in self.rows],
            **asdict(self),
        }


def _latency(found: Results) -> Iterator[Row]:
    one = found.orrery
    if one is None:
        return
    p50, raw50 = one.own_quantile(0.5), one.raw_quantile(0.5)
    p99, raw99 = one.own_quantile(0.99), one.raw_quantile(0.99)
    what = "apply to registered in all regions"
    yield Row(
        f"{what}, p50",
        f"<= {milliseconds(SLOWEST_RTT + P50_MARGIN)}",
        milliseconds(raw50),
        milliseconds(p50),
        p50 <= SLOWEST_RTT + P50_MARGIN,
    )
    yield Row(
        f"{what}, p99",
        f"<= {P99_RATIO:g} x raw",
        milliseconds(raw99),
        f"{milliseconds(p99)}, {p99 / raw99:.2f} x",
        p99 <= P99_RATIO * raw99,
    )


def _sustained(found: Results) -> Iterator[Row]:
    if ORRERY not in found.loads:
        return
    raw, own = found.loads[ORRERY]
    share = own.rate / raw.rate
    yield Row(
        "sustained registers",
        f">= {SHARE:.0%} of raw",
        f"{raw.rate:,.0f}/s",
        f"{own.rate:,.0f}/s, {share:.0%}",
        share >= SHARE,
    )
    yield _lives_on("sustained registers", found.ended)


def _rest(found: Results) -> Iterator[Row]:
    for one in found.standing.rests if found.standing else ():
        what = f"{one.deployments:,} at rest for {one.seconds:.0f} s"
        yield Row(
            f"{what}, requests per region",
            f"<= {REQUESTS:g}/s",
            "0",
            f"{one.requests:.3f}/s",
            one.requests <= REQUESTS,
        )
        yield Row(
            f"{what}, requests to the API server",
            f"<= {HUB_REQUESTS:g}/s",
            "0",
            f"{one.hub_requests:.2f}/s",
            one.hub_requests <= HUB_REQUESTS,
        )
        yield _no_writes(what, one.region_writes, one.hub_writes)


def _restart(found: Results) -> Iterator[Row]:
    if found.standing is None:
        return
    for one in found.standing.restarts:
        what = f"restart over {one.deployments:,} unchanged"
        yield Row(
            f"{what}, until steady",
            f"<= {STEADY:.0f} s",
            "-",
            f"{one.steady:.1f} s (ready {one.ready:.1f} s)",
            one.steady <= STEADY,
        )
        yield _no_writes(what, one.region_writes, one.hub_writes)
        yield _lives_on(what, one.ended)
    meanwhile = found.standing.meanwhile
    what = f"{len(meanwhile.changes)} changes while it restarts over {meanwhile.deployments:,}"
    yield Row(
        f"{what}, slowest",
        f"<= {CHANGE:g} s",
        "-",
        f"{meanwhile.worst:.2f} s",
        meanwhile.worst <= CHANGE,
    )
    yield Row(
        f"{what}, registers",
        f"{len(meanwhile.changes)}",
        "-",
        f"{meanwhile.registers}",
        meanwhile.registers == len(meanwhile.changes),
        gate=True,
    )


def _lives_on(what: str, ended: str) -> Row:
    told = "no, it ended by itself" if ended else "yes"
    return Row(f"{what}, the operator lives on", "yes", "-", told, not ended)


def _no_writes(what: str, regions: int, hub: dict[str, int]) -> Row:
    total = regions + sum(hub.values())
    shown = str(total) if not total else f"{regions} to regions, {sum(hub.values())} to the hub"
    return Row(f"{what}, writes", "0", "0", shown, total == 0, gate=True)


def _impaired(found: Results) -> Iterator[Row]:
    if found.impaired is None:
        return
    without, impaired = found.impaired.others(0.99)
    yield Row(
        "one region silent, one at 2 s: p99 of the others",
        f"<= {OTHERS - 1:+.0%}",
        "-",
        f"{milliseconds(without)} -> {milliseconds(impaired)}, {impaired / without - 1:+.0%}",
        impaired <= OTHERS * without,
    )


def _memory(found: Results) -> Iterator[Row]:
    if found.standing is None:
        return
    empty = found.standing.empty
    yield _fits(0, empty, f"{empty / MIB:.0f} MiB")
    for one in found.standing.rests:
        each = (one.resident - empty) / one.deployments / KB
        yield _fits(
            one.deployments, one.resident, f"{one.resident / MIB:.0f} MiB, {each:.0f} KB each"
        )


def _fits(deployments: int, resident: float, told: str) -> Row:
    limit = BASE_BYTES + BYTES_EACH * deployments
    what = f"memory with {deployments:,} deployments"
    return Row(what, f"<= {limit / MIB:.0f} MiB", "-", told, resident <= limit)


def _change(found: Results) -> Iterator[Row]:
    if found.change is None:
        return
    registers = sum(found.change.registers.values())
    yield Row(
        "one override for one region, registers",
        "exactly 1",
        "1",
        f"{registers}",
        found.change.exact,
        gate=True,
    )
    writes = sum(found.change.hub_writes.values())
    told = ", ".join(f"{number} {what}" for what, number in found.change.hub_writes.items())
    yield Row(
        "one override for one region, API writes",
        f"<= {HUB_WRITES}",
        "-",
        f"{writes} ({told})",
        writes <= HUB_WRITES,
        gate=True,
    )


def milliseconds(seconds: float) -> str:
    """Write a duration for people."""
    return f"{seconds * 1000:,.0f} ms"
