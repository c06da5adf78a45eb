"""Write results as tables, in Markdown that reads well on a terminal too. Pure."""

from collections.abc import Iterator, Sequence

from benchmarks.fanout.contenders import ORRERY
from benchmarks.fanout.results import Results, milliseconds

MICRO = 1e6


def render(found: Results) -> str:
    """Write all tables."""
    parts = [_targets(found), _peers(found), _costs(found), "\n".join(found.failed)]
    return "\n\n".join(part for part in parts if part)


def _targets(found: Results) -> str:
    if not found.rows:
        return ""
    head = ["measured", "target", "raw client", "Orrery", "verdict"]
    return table([head, *([r.what, r.target, r.raw, r.orrery, r.verdict] for r in found.rows)])


def _peers(found: Results) -> str:
    """Compare all contenders, each with the raw client of its own moments."""
    if not found.loads:
        return ""
    head = ["contender", "p50", "p99", "rounds", "raw p50", "registers/s", "share of raw"]
    head += ["CPU each", "CPU share"]
    return table([head, *_contenders(found)])


def _contenders(found: Results) -> Iterator[list[str]]:
    by_name = {one.contender: one for one in found.latency}
    for name, (raw, load) in found.loads.items():
        series = by_name.get(name)
        times = ["-"] * 4
        if series:
            quantiles = [series.own_quantile(0.5), series.own_quantile(0.99)]
            times = [milliseconds(each) for each in quantiles]
            times += [str(len(series.own)), milliseconds(series.raw_quantile(0.5))]
        yield [
            name,
            *times,
            f"{load.rate:,.0f}",
            f"{load.rate / raw.rate:.0%}",
            f"{load.cpu_each * MICRO:,.0f} us",
            f"{load.cpu_each / raw.cpu_each:.1f} x raw",
        ]


def _costs(found: Results) -> str:
    """Break down what a register costs, and where the time to registered goes."""
    lines: list[str] = []
    if found.orrery:
        start, slope = found.orrery.by_distance(found.rtt)
        lines.append(
            f"Orrery's time to registered is {milliseconds(start)} + {slope:.2f} round trips"
            " (least squares over regions)."
        )
    if ORRERY in found.loads:
        _, load = found.loads[ORRERY]
        each = [f"{n / load.registers:.2f} {what}" for what, n in load.requests.items()]
        lines.append(f"Requests to regions per register: {', '.join(each[:8])}.")
        hub = [f"{number} {what}" for what, number in load.hub_requests.items() if number]
        deployments = load.registers // max(1, len(found.rtt))
        lines.append(f"Requests to the API server for {deployments} deployments: {', '.join(hub)}.")
        lines.append(
            f"The regions' process used {load.regions_cpu / load.seconds:.0%} of a core meanwhile,"
            f" Orrery {load.cpu / load.seconds:.0%}; its slowest liveness probe took"
            f" {load.slowest_probe:.2f} s."
        )
    return "\n".join(lines)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Align *rows*, the first of which is the head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]

    def row_of(cells: Sequence[str]) -> str:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        return f"| {' | '.join(padded)} |"

    rule = f"|{'|'.join('-' * (width + 2) for width in widths)}|"
    return "\n".join([row_of(rows[0]), rule, *(row_of(row) for row in rows[1:])])
