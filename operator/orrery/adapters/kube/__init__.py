"""Talk to the API servers of the hub and of continents, in plain documents.

::

    hub           the calls of `orrery.ports.Hub`
    ├── events        which events are worth writing (pure)
    hubrights     the calls of `orrery.ports.hubrights.HubRights`: what we may do in the hub
    lease         the calls of `orrery.ports.LeaseStore`
    cluster       the calls of `orrery.ports.ContinentalCluster`
    connection    one call: deadline, credentials, errors
    ├── replies       status and words -> the error tree (pure)
    └── access        where a server is and who we are; the only module that imports the library
        └── kubeconfig    a kubeconfig out of a Secret, and what it must not say
"""

from orrery.adapters.kube.access import HubAccess, HubSource
from orrery.adapters.kube.cluster import KubeCluster, KubeClusterFactory
from orrery.adapters.kube.connection import MERGE_PATCH, HubConnection
from orrery.adapters.kube.hub import KubeHub, object_path
from orrery.adapters.kube.hubrights import KubeHubRights
from orrery.adapters.kube.lease import KubeLeases

__all__ = [
    "MERGE_PATCH",
    "HubAccess",
    "HubConnection",
    "HubSource",
    "KubeCluster",
    "KubeClusterFactory",
    "KubeHub",
    "KubeHubRights",
    "KubeLeases",
    "object_path",
]
