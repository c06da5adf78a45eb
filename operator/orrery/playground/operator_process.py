"""Start the operator and wait until it is ready; start it again after it was killed."""

import sys
from collections.abc import Callable, Sequence
from typing import Final

import aiohttp

from orrery.names import LEASE, OPERATOR_NAMESPACE
from orrery.playground.kubeapi import KubeApi
from orrery.playground.ports import LOOPBACK
from orrery.playground.processes import Process, await_ready, environment, start
from orrery.playground.state import OPERATOR, Layout

READY_WITHIN: Final = 60.0
LEADS_WITHIN: Final = 60.0
"""Seconds; one that died left a lease behind, which takes 15 to expire."""
_LEASES: Final = "coordination.k8s.io/v1"
_OK: Final = 200


def operator_command(layout: Layout, *, metrics_port: int, health_port: int) -> tuple[str, ...]:
    """Return the command that runs the operator; the same one brings it back."""
    return (
        *(sys.executable, "-P", "-m", "orrery", "run"),
        *("--kubeconfig", str(layout.kubeconfig), "--namespace", OPERATOR_NAMESPACE),
        *("--metrics-port", str(metrics_port), "--health-port", str(health_port)),
    )


async def leader(hub: KubeApi) -> str:
    """Return who holds the operator's lease, or held it last; empty when nobody did."""
    lease = await hub.read(_LEASES, "Lease", LEASE, namespace=OPERATOR_NAMESPACE)
    return str(((lease or {}).get("spec") or {}).get("holderIdentity") or "")


async def await_leading(hub: KubeApi, process: Process, *, before: str) -> None:
    """Wait until *process* leads, in place of the one *before*: until then it does nothing."""

    async def leads() -> bool:
        return await leader(hub) not in ("", before)

    what = "the operator leads"
    await await_ready(leads, what=what, deadline=LEADS_WITHIN, watched=[process])


async def start_operator(
    layout: Layout, command: Sequence[str], *, health_port: int, record: Callable[[Process], None]
) -> Process:
    """Start the operator, tell *record* at once what runs, and wait until it is ready."""
    log = layout.log_of(OPERATOR)
    process = start(OPERATOR, command, log=log, env=environment(layout.marker))
    record(process)
    url = f"http://{LOOPBACK}:{health_port}/readyz"
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:

        async def ready() -> bool:
            try:
                async with session.get(url) as reply:
                    return reply.status == _OK
            except (aiohttp.ClientError, TimeoutError):
                return False

        what = "the operator is ready"
        await await_ready(ready, what=what, deadline=READY_WITHIN, watched=[process])
    return process
