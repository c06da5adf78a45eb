"""The Protocols that reconcilers talk through, and the values they exchange.

Every method may raise the leaves of `orrery.errors`: `Unreachable` when the remote gives no usable
answer, `Refused` when it says no, `Conflict` when a compare-and-set lost, `OutcomeUnknown` when a
write may have happened. Nothing else escapes an adapter.
"""

from orrery.ports.admin import AclToken, AclTokenStub, RegionAdmin
from orrery.ports.clock import Clock
from orrery.ports.continental import (
    ClusterAccess,
    ClusterFactory,
    ContinentalCluster,
    ObjectRef,
    Right,
)
from orrery.ports.hub import Hub, HubEvent, Lease, LeaseStore, Secret
from orrery.ports.nomad import (
    AgentFacts,
    Allocation,
    AutopilotHealth,
    Credentials,
    EventBatch,
    Job,
    JobDeployment,
    JobList,
    JobStub,
    Node,
    NomadFactory,
    PlacementFailure,
    PlanResult,
    RegionEvent,
    RegionNomad,
    ServerHealth,
    Submission,
    Variable,
)
from orrery.ports.pki import Certificate, KeyPair, Pki, SigningKey, Usage
from orrery.ports.values import Document, Key, Kind

__all__ = [
    "AclToken",
    "AclTokenStub",
    "AgentFacts",
    "Allocation",
    "AutopilotHealth",
    "Certificate",
    "Clock",
    "ClusterAccess",
    "ClusterFactory",
    "ContinentalCluster",
    "Credentials",
    "Document",
    "EventBatch",
    "Hub",
    "HubEvent",
    "Job",
    "JobDeployment",
    "JobList",
    "JobStub",
    "Key",
    "KeyPair",
    "Kind",
    "Lease",
    "LeaseStore",
    "Node",
    "NomadFactory",
    "ObjectRef",
    "Pki",
    "PlacementFailure",
    "PlanResult",
    "RegionAdmin",
    "RegionEvent",
    "RegionNomad",
    "Right",
    "Secret",
    "ServerHealth",
    "SigningKey",
    "Submission",
    "Usage",
    "Variable",
]
