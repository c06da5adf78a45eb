"""Find the way to a continent's cluster, for verbs that go there themselves."""

from orrery.api.continent import Continent
from orrery.cli.hub import Reader
from orrery.errors import InvalidSpec
from orrery.ports import ClusterAccess


async def access_of(continent: Continent, reader: Reader, namespace: str) -> ClusterAccess:
    """Find the way to the cluster; its kubeconfig is a Secret in *namespace*, the operator's.

    Raises `InvalidSpec` when there is none: no access would be the hub's.
    """
    where = f'Continent "{continent.metadata.name}"'
    cluster = continent.spec.cluster
    if cluster is None:
        raise InvalidSpec("ContinentWithoutCluster", f"{where} has no spec.cluster")
    reference = cluster.kubeconfig_secret_ref
    if reference is None:
        return ClusterAccess()
    secret = await reader.read_secret(namespace, reference.name)
    text = b"" if secret is None else secret.data.get(reference.key, b"")
    if not text:
        message = (
            f"{where}: spec.cluster.kubeconfigSecretRef: Secret "
            f'"{reference.name}" in namespace "{namespace}" has no "{reference.key}"'
        )
        raise InvalidSpec("CredentialsInvalid", message)
    return ClusterAccess(text.decode(errors="replace"))
