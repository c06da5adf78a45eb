"""Talk to one region's Nomad.

::

    client        the calls of the port, one method each
    ├── admin         those that take a management token, and nothing else sends one
    ├── requester     one request after the other, each within its limits
    ├── paths         ids -> request targets; refuses what could reach another resource (pure)
    ├── translate     JSON -> port values (pure)
    ├── replies       status and words -> the error tree (pure)
    ├── stream        the event stream and its gaps
    ├── credentials   endpoint, token and PEM texts -> what a connection needs
    └── transport     HTTP; the only module that imports the HTTP library
"""

from orrery.adapters.nomad.client import NomadClient, NomadClientFactory
from orrery.adapters.nomad.limits import Limits

__all__ = ["Limits", "NomadClient", "NomadClientFactory"]
