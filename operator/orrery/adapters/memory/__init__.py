"""A world in memory behind the ports, for tests of the reconcilers and for dry runs.

It is held to reality: the contract suites run the same cases on it and on real servers.
"""

from orrery.adapters.memory.cluster import MemoryCluster, MemoryClusterFactory
from orrery.adapters.memory.hub import MemoryHub
from orrery.adapters.memory.nomad import MemoryFactory, MemoryNomad

__all__ = [
    "MemoryCluster",
    "MemoryClusterFactory",
    "MemoryFactory",
    "MemoryHub",
    "MemoryNomad",
]
