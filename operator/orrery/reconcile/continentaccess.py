"""Find the way to a continent's cluster, and say what users are told when it cannot be used."""

from typing import Final

from orrery.api.conditions import Reason
from orrery.api.continent import Continent
from orrery.errors import InvalidSpec, NotYet, OrreryError, Refused, Unreachable
from orrery.ports import ClusterAccess, Hub
from orrery.reconcile.handover import read_secret

PROBE: Final = 60.0
"""Seconds between two probes of a cluster."""


async def access_to(continent: Continent, hub: Hub, namespace: str) -> ClusterAccess | None:
    """Find the way to the cluster; None for a continent without one.

    Its kubeconfig is a Secret in *namespace*, the operator's own. Raises `NotYet` while there is
    none.
    """
    cluster = continent.spec.cluster
    if cluster is None:
        return None
    reference = cluster.kubeconfig_secret_ref
    if reference is None:
        return ClusterAccess()
    secret = await read_secret(hub, namespace, reference.name)
    where = f'Secret "{reference.name}" in namespace "{namespace}"'
    if secret is None:
        message = f"spec.cluster.kubeconfigSecretRef.name: {where} does not exist"
        raise NotYet(Reason.CREDENTIALS_INVALID, message, retry_after=10)
    text = secret.data.get(reference.key, b"")
    if not text:
        message = f'spec.cluster.kubeconfigSecretRef.key: {where} has no "{reference.key}"'
        raise NotYet(Reason.CREDENTIALS_INVALID, message, retry_after=10)
    return ClusterAccess(text.decode(errors="replace"))


def told(error: OrreryError) -> OrreryError:
    """Say what users are told of *error*, whatever client it came from."""
    match error:
        case Unreachable():
            return Unreachable(Reason.CONTINENT_UNREACHABLE, error.message)
        case Refused():
            return NotYet(Reason.CONTINENT_REFUSED, error.message, retry_after=PROBE)
        case InvalidSpec() if error.reason not in set(Reason):
            return InvalidSpec(Reason.CREDENTIALS_INVALID, f"spec.cluster: {error.message}")
        case _:
            return error
