"""Update the Nomad servers of a region one at a time, each when the quorum can bear it.

A changed template is first applied with a partition as high as there are servers, so that none
starts anew. Then the partition is lowered server by server. All of this stands in the cluster:
while Orrery is away the update rests between two servers, and another one goes on where it rests.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from orrery import names
from orrery.errors import OrreryError
from orrery.planning.budget import is_allowed
from orrery.planning.manifests import differs, left_over
from orrery.planning.serverupdate import Server, Step, Unasked, UpdateFacts, plan_update, progress
from orrery.ports import AutopilotHealth, Clock, ContinentalCluster, Document, ObjectRef
from orrery.reconcile.manifests import AppliedMemory
from orrery.reconcile.snapshots import await_snapshot
from orrery.render.region import Blueprint, Manifest

TEMPLATE = "spec.template"
LABEL_REVISION = "controller-revision-hash"
"""Kubernetes itself writes it to each pod of a StatefulSet."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How far the servers may go now."""

    partition: int = 0
    sentence: str = ""
    """For users; empty when no update is under way."""

    def of(self, manifest: Manifest) -> Manifest:
        """Return the StatefulSet *manifest* with this partition; any other one as it is."""
        if manifest["kind"] != "StatefulSet":
            return manifest
        strategy = {**manifest["spec"]["updateStrategy"]}
        strategy["rollingUpdate"] = {"partition": self.partition}
        return {**manifest, "spec": {**manifest["spec"], "updateStrategy": strategy}}


@dataclass(frozen=True, slots=True)
class ServerUpdate:
    """What it takes to pace the servers of one region."""

    blueprint: Blueprint
    cluster: ContinentalCluster
    applied: AppliedMemory
    clock: Clock
    ask: Callable[[], Awaitable[AutopilotHealth]]
    """Asks the region's autopilot; raises what the ports raise."""

    async def pace(self, manifest: Manifest, live: Document) -> Pace:
        """Say where the partition of *live*, a StatefulSet, belongs when *manifest* is applied."""
        if self._is_other_template(manifest, live):
            count = int(live["spec"]["replicas"])
            return Pace(count, f"updating servers: 0 of {manifest['spec']['replicas']}")
        if is_at_rest(live):
            # The last one counts, too: until then a leader is new, and what is known of it is old.
            return Pace() if _are_settled(live) else Pace(sentence=_settling(live))
        if not _is_observed(live):
            return Pace(
                _partition(live), "updating servers: the cluster is about to see the change"
            )
        facts = await self._facts(live)
        step = plan_update(facts)
        if step.asks:
            step = plan_update(facts, await self._health())
        if step.starts and (objection := await self._save(live, facts, step)):
            step = Step(step.partition + 1, objection)
        return Pace(step.partition, _sentence(facts, step))

    async def _save(self, live: Document, facts: UpdateFacts, step: Step) -> str:
        """Have a snapshot taken before a changed class touches the first server; say why to wait.

        Certificates that are renewed change nothing that a snapshot could bring back.
        """
        target = facts.servers[step.partition]
        begun = any(server is not None and server.updated for server in facts.servers)
        if begun or facts.unchecked or target is None or target.expired:
            return ""
        pod = await self.cluster.read(ObjectRef("v1", "Pod", self.blueprint.namespace, target.name))
        if pod is None or _substance(pod) == _substance(live["spec"]["template"]):
            return ""
        revision = str((live.get("status") or {}).get("updateRevision"))
        return await await_snapshot(self.blueprint, self.cluster, revision)

    def _is_other_template(self, manifest: Manifest, live: Document) -> bool:
        """Tell whether other pods are wanted, but for what a webhook insists on."""
        paths = _of_template({*differs(manifest, live), *left_over(manifest, live)})
        contested = self.applied.contested.get(ObjectRef.of(manifest))
        return bool(paths) and not (contested and _of_template(contested.paths) == paths)

    async def _facts(self, live: Document) -> UpdateFacts:
        name, count = live["metadata"]["name"], int(live["spec"]["replicas"])
        namespace = self.blueprint.namespace
        pods = [
            await self.cluster.read(ObjectRef("v1", "Pod", namespace, f"{name}-{number}"))
            for number in range(count)
        ]
        ready = sum(pod is not None and _is_ready(pod) for pod in pods)
        status = live.get("status") or {}
        annotation = self.blueprint.region.metadata.annotations.get(
            names.ANNOTATION_UPDATE_UNCHECKED, ""
        )
        return UpdateFacts(
            region=self.blueprint.name,
            partition=_partition(live),
            servers=[self._server(pod, status.get("updateRevision")) for pod in pods],
            settled=(status.get("availableReplicas") or 0) >= ready,
            unchecked=is_allowed(annotation, now=self.clock.now()),
        )

    def _server(self, pod: Document | None, newest: object) -> Server | None:
        if pod is None:
            return None
        metadata = pod["metadata"]
        expiry = (metadata.get("annotations") or {}).get(names.ANNOTATION_CERTIFICATES_EXPIRE, "")
        return Server(
            name=metadata["name"],
            updated=(metadata.get("labels") or {}).get(LABEL_REVISION) == newest,
            ready=_is_ready(pod),
            expired=bool(expiry) and not is_allowed(expiry, now=self.clock.now()),
        )

    async def _health(self) -> AutopilotHealth | Unasked:
        try:
            return await self.ask()
        except OrreryError as error:
            return Unasked(error.message)


def _are_settled(live: Document) -> bool:
    """Tell whether no server has become ready just now; one that is not ready is no matter here."""
    status = live.get("status") or {}
    ready, available = (status.get(key) or 0 for key in ("readyReplicas", "availableReplicas"))
    return bool(ready <= available or ready < int(live["spec"]["replicas"]))


def _settling(live: Document) -> str:
    count = live["spec"]["replicas"]
    return f"updating servers: {count} of {count}: the servers have just become ready"


def is_at_rest(live: Document) -> bool:
    """Tell whether every pod of the StatefulSet *live* is of its newest template."""
    status = live.get("status") or {}
    replicas = int(live["spec"]["replicas"])
    return (
        _is_observed(live)
        and status.get("currentRevision") == status.get("updateRevision")
        and (status.get("updatedReplicas") or 0) == (status.get("replicas") or 0) == replicas
    )


def _sentence(facts: UpdateFacts, step: Step) -> str:
    told = progress(facts)
    if all(server is None or server.updated for server in facts.servers):
        return ""
    return f"{told}: {step.waits_for}" if step.waits_for else told


def _of_template(paths: Iterable[str]) -> list[str]:
    return sorted(path for path in paths if path.startswith(TEMPLATE))


def _substance(pod: Document) -> Document:
    """Take of a pod, or of its template, what a class decides about it."""
    annotations = pod["metadata"].get("annotations") or {}
    containers = pod["spec"].get("containers") or [{}]
    fields = ("image", "command", "args", "resources")
    return {
        "configuration": annotations.get(names.ANNOTATION_CONFIGURATION),
        **{field: containers[0].get(field) for field in fields},
    }


def _partition(live: Document) -> int:
    rolling = live["spec"].get("updateStrategy", {}).get("rollingUpdate") or {}
    return int(rolling.get("partition") or 0)


def _is_observed(live: Document) -> bool:
    seen = (live.get("status") or {}).get("observedGeneration") or 0
    return int(seen) >= int(live["metadata"].get("generation") or 0)


def _is_ready(pod: Document) -> bool:
    if pod["metadata"].get("deletionTimestamp"):
        return False
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)
