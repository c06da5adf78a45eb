"""One pass over the control plane of one Managed region: what it knows, and how it writes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from orrery.api.region import ControlPlaneStatus
from orrery.errors import NotYet, OrreryError
from orrery.planning.immutable import Refusal, keep_choices
from orrery.ports import AclToken, ContinentalCluster, Document, ObjectRef, Secret
from orrery.reconcile.manifests import AppliedMemory, enforce
from orrery.reconcile.regionsecrets import SecretsOutcome
from orrery.reconcile.remarks import remark_on
from orrery.reconcile.serverupdate import Pace
from orrery.render.region import Blueprint, Component, Manifest
from orrery.render.region.layers import render_layer

WAIT: Final = 3.0
"""Seconds after which something that comes by itself is looked at again."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """Where a region's tokens lie when nobody is there to ask."""

    copy: Secret | None
    """The hub's Secret, None when there is none yet."""
    management: str = field(repr=False)


@dataclass(slots=True)
class ControlPlaneScope:
    """One pass over one control plane; comments say which phase sets a field."""

    blueprint: Blueprint
    cluster: ContinentalCluster
    applied: AppliedMemory
    told: ControlPlaneStatus
    """What was known before the pass; grows as phases find out more."""
    record: Document | None = None
    """The manifest that remembers from which class it is built."""
    live: dict[ObjectRef, Document] = field(default_factory=dict)  # every phase that enforces
    rendered: list[Manifest] = field(default_factory=list)  # every phase that enforces
    repaired: list[str] = field(default_factory=list)  # every phase that enforces
    refusals: list[Refusal] = field(default_factory=list)  # every phase that enforces
    held: Sequence[ObjectRef] = ()  # clear_away
    secrets: SecretsOutcome | None = None  # keep_secrets
    pace: Pace = field(default_factory=Pace)  # raise_servers
    holdings: Holdings | None = None  # HandOver: read once in a pass
    token: AclToken | None = None  # grant_token: what Nomad is sure to know
    token_problem: NotYet | None = None  # grant_token, hand_over
    handed_over: bool = False  # hand_over
    snapshot_problem: NotYet | None = None  # take_snapshots
    mesh_problem: OrreryError | None = None  # raise_mesh

    @property
    def was_complete(self) -> bool:
        """Whether machines may rely on it: the record says so, too, when the hub has forgotten."""
        state = self.record["data"]["state"] if self.record is not None else "Building"
        return self.told.bootstrapped or state != "Building"

    @property
    def remark(self) -> OrreryError | None:
        """What is amiss though all is built."""
        return remark_on([ObjectRef.of(m) for m in self.rendered], self.applied, self.held)

    async def enforce(self, name: str) -> None:
        """Bring the cluster to what the layer *name* says, at the pace of the servers' update."""
        manifests = render_layer(self.blueprint, name).manifests
        self.rendered += manifests
        await self.enforce_all([self.pace.of(manifest) for manifest in manifests])

    async def enforce_all(self, manifests: Sequence[Manifest]) -> None:
        """Bring the cluster to what *manifests* say; a change that it refuses is noted."""

        def adjust(manifest: Document, live: Document) -> Document:
            kept, refusals = keep_choices(manifest, live)
            self.refusals += refusals
            return kept

        outcome = await enforce(self.cluster, manifests, previous=self.applied, adjust=adjust)
        self.live.update(outcome.live)
        self.repaired += outcome.repaired

    def live_of(self, api_version: str, kind: str, component: Component) -> Document:
        """Return what the cluster holds of *component*, which was enforced in this pass."""
        name = self.blueprint.object_name(component)
        return self.live[ObjectRef(api_version, kind, self.blueprint.namespace, name)]
