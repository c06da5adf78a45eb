"""`orrery sim`: simulated regions on this machine, until Ctrl-C."""

import asyncio
import os
import signal
import ssl
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from orrery.adapters.pki import (
    PRIVATE,
    PUBLIC,
    KeyPair,
    Usage,
    create_authority,
    issue,
    write_file,
    write_key_pair,
)
from orrery.app import loop_factory
from orrery.playground.regions import RegionPlan, plan_regions
from orrery.playground.regionsfile import RegionEntry, write_regions_file
from orrery.sim import Machine, Served, SimulatedRegion, Timing, serve

MOST_REGIONS: Final = 1000
LAST_PORT: Final = 65535
CONTINENTS: Final = 2
"""As a playground has them, so that both put a region into the same one."""

CA: Final = "ca.pem"
TOKEN: Final = "token"  # noqa: S105 - the name of a file
CLIENT: Final = "client"


@dataclass(frozen=True, slots=True)
class _Options:
    regions: int
    base_port: int
    admin_port: int
    tls_directory: Path | None
    latency: float
    nodes: int
    event_buffer: int
    max_connections: int
    scale: float


@click.command(context_settings={"show_default": True})
@click.option(
    "--regions",
    default=1,
    type=click.IntRange(1, MOST_REGIONS),
    help="Number of regions; all live in this process.",
)
@click.option(
    "--base-port",
    default=0,
    type=click.IntRange(0, LAST_PORT),
    help="Port of the first region, the others follow; 0: free ones.",
)
@click.option(
    "--admin-port",
    default=0,
    type=click.IntRange(0, LAST_PORT),
    help="Port of /sim/v1, where faults and counters are; 0: a free one.",
)
@click.option(
    "--tls-directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Serve HTTPS to clients with a certificate, and ask for an ACL token. Certificates, the"
    " token and regions.json are written there. Without it: plain HTTP, and no ACLs.",
)
@click.option(
    "--latency",
    default=0.0,
    type=click.FloatRange(min=0),
    help="Milliseconds that every request takes there and back.",
)
@click.option(
    "--nodes", default=3, type=click.IntRange(min=0), help="Number of machines in each region."
)
@click.option(
    "--event-buffer",
    default=100,
    type=click.IntRange(min=1),
    help="Batches of events that each region remembers. Nomad's default is 100.",
)
@click.option(
    "--max-connections",
    default=0,
    type=click.IntRange(min=0),
    help="Connections per client address, the rest is turned away; 0: no limit."
    " Nomad's default is 100.",
)
@click.option(
    "--time-scale",
    "scale",
    default=Timing().scale,
    type=click.FloatRange(min=0, min_open=True),
    help="Seconds that one second of a job's deadlines and delays takes.",
)
def sim(**values: object) -> None:
    """Simulate regions, by the thousand if need be.

    Each region answers Nomad's API on its own port: jobs are registered, placed, become healthy or
    fail. An image with the tag "bad" never starts; one with the tag "flaky" starts at the second
    attempt.
    """
    options = _Options(**values)  # type: ignore[arg-type] # click has checked the types
    if options.base_port + options.regions - 1 > LAST_PORT:
        last = LAST_PORT - options.regions + 1
        raise click.UsageError(
            f"--base-port is {options.base_port}: at most {last} leaves room for"
            f" {options.regions} regions"
        )
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_run(options))


async def _run(options: _Options) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    directory = options.tls_directory
    authority = create_authority("orrery sim") if directory else None
    token = str(uuid.uuid4()) if directory else None
    plans = plan_regions(
        continents=min(CONTINENTS, options.regions), regions=options.regions, most=MOST_REGIONS
    )
    regions = [_region(plan, token, options) for plan in plans]
    ports = [options.base_port + i if options.base_port else 0 for i in range(len(regions))]
    try:
        context = _server_tls(authority, directory) if authority and directory else None
    except OSError as error:
        words = f"--tls-directory: {directory} cannot be used: {error.strerror}"
        raise click.ClickException(words) from error
    try:
        async with serve(
            regions, ports=ports, ssl=context, admin_port=options.admin_port
        ) as served:
            if authority and directory and token:
                _write_directory(directory, authority, token, served, plans)
            _announce(served, regions, directory)
            await ended.wait()
    except OSError as error:
        raise click.ClickException(f"cannot listen: {error.strerror or error}") from error


def _region(plan: RegionPlan, token: str | None, options: _Options) -> SimulatedRegion:
    machines = [
        Machine(f"{plan.name}-{position}", datacenter=plan.data_center)
        for position in range(1, options.nodes + 1)
    ]
    region = SimulatedRegion(
        plan.name,
        nodes=machines,
        token=token,
        timing=Timing(scale=options.scale),
        event_buffer=options.event_buffer,
        max_connections=options.max_connections,
        seed=uuid.uuid4(),
    )
    region.set_faults(latency=options.latency / 1000)
    return region


def _server_tls(authority: KeyPair, directory: Path) -> ssl.SSLContext:
    """Make one certificate for all regions, and ask clients for theirs."""
    directory.mkdir(parents=True, exist_ok=True)
    write_file(directory / CA, authority.certificate, mode=PUBLIC)
    pair = issue(authority, "server", hosts=["localhost", "127.0.0.1"], usages=[Usage.SERVER])
    certificate, key = write_key_pair(directory, "server", pair)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(directory / CA))
    context.load_cert_chain(certificate, key)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def _write_directory(
    directory: Path,
    authority: KeyPair,
    token: str,
    served: Served,
    plans: Sequence[RegionPlan],
) -> None:
    """Write what a client needs, in the form that the playground uses, too."""
    write_file(directory / TOKEN, token, mode=PRIVATE)
    pair = issue(authority, CLIENT, usages=[Usage.CLIENT])
    certificate, key = write_key_pair(directory, CLIENT, pair)
    entries = [
        RegionEntry(
            name=plan.name,
            continent=plan.continent,
            nomad_address=served.address(plan.name),
            token_file=directory / TOKEN,
            ca_file=directory / CA,
            cert_file=certificate,
            key_file=key,
            pid=os.getpid(),
        )
        for plan in plans
    ]
    write_regions_file(directory / "regions.json", entries)


def _announce(served: Served, regions: list[SimulatedRegion], directory: Path | None) -> None:
    lines = [f"{region.name:<12}{served.address(region.name)}" for region in regions]
    lines.append(f"faults and counters: {served.admin_address}/sim/v1/regions")
    if directory:
        lines.append(f"credentials: {directory}")
    lines.append("Ctrl-C ends.")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
