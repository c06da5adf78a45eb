"""Talk to the hub's API server, in plain documents.

::

    hub           the calls of `orrery.ports.Hub`
    ├── events        which events are worth writing (pure)
    lease         the calls of `orrery.ports.LeaseStore`
    connection    one call: deadline, credentials, errors
    ├── replies       status and words -> the error tree (pure)
    └── access        where the hub is and who we are; the only module that imports the library
"""

from orrery.adapters.kube.access import HubAccess, HubSource
from orrery.adapters.kube.connection import HubConnection
from orrery.adapters.kube.hub import KubeHub
from orrery.adapters.kube.lease import KubeLeases

__all__ = ["HubAccess", "HubConnection", "HubSource", "KubeHub", "KubeLeases"]
