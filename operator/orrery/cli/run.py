"""`orrery run`: run the operator."""

import asyncio
import sys
from typing import Any

import click

from orrery.app import loop_factory
from orrery.app import run as run_operator
from orrery.config import Config
from orrery.errors import InvalidSpec
from orrery.heap import keep_house
from orrery.logs import configure

DEFAULT = Config()


@click.command(context_settings={"auto_envvar_prefix": "ORRERY", "show_default": True})
@click.option(
    "--kubeconfig",
    default="",
    show_default=False,
    envvar=["ORRERY_KUBECONFIG", "KUBECONFIG"],
    show_envvar=True,
    help="Kubeconfig of the hub. Default: the pod's service account, else ~/.kube/config.",
)
@click.option(
    "--context",
    default="",
    show_default=False,
    help="Context of the kubeconfig. Default: its current one.",
)
@click.option(
    "--namespace",
    default=DEFAULT.namespace,
    help="The operator's own namespace: it holds the credentials of regions, and the lease.",
)
@click.option(
    "--install",
    default=DEFAULT.install,
    help="Marks what this installation owns in the regions. It must never change.",
)
@click.option(
    "--metrics-address",
    default=DEFAULT.metrics_address,
    help="Where /metrics listens; empty: on all addresses.",
)
@click.option("--metrics-port", default=DEFAULT.metrics_port, help="Port of /metrics; 0: any.")
@click.option(
    "--health-address",
    default=DEFAULT.health_address,
    help="Where /healthz and /readyz listen; empty: on all addresses.",
)
@click.option("--health-port", default=DEFAULT.health_port, help="Port of the probes; 0: any.")
@click.option(
    "--leader-election/--no-leader-election",
    default=DEFAULT.leader_election,
    help="Whether to work only while holding the lease.",
)
@click.option("--lease", default=DEFAULT.lease, help="Name of the lease.")
@click.option(
    "--resync-seconds",
    default=DEFAULT.resync_seconds,
    help="Seconds between two sweeps over everything.",
)
@click.option(
    "--probe-seconds",
    default=DEFAULT.probe_seconds,
    help="Seconds between two probes of a region's leader.",
)
@click.option(
    "--deletion-wait-seconds",
    default=DEFAULT.deletion_wait_seconds,
    help="Seconds that a deleted object waits for regions that do not answer. Then their Regions "
    "remember its jobs, to stop them on return.",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default=DEFAULT.log_format,
    help="text: fields as key=value; json: one object per line.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default=DEFAULT.log_level,
    help="The least severe messages that are logged.",
)
def run(**options: Any) -> None:
    """Run the operator until it gets SIGTERM or SIGINT.

    Each option can be given as an environment variable too: ORRERY_NAMESPACE, and so on.
    """
    try:
        config = Config(**options)
    except InvalidSpec as error:
        raise click.UsageError(error.message) from error
    configure(config.log_format, config.log_level)
    keep_house()
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            status = runner.run(run_operator(config))
    except InvalidSpec as error:
        raise click.ClickException(error.message) from error
    sys.exit(status)
