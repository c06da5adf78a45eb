"""Probe the machines of a region: run one small job on all of them, read what it printed.

The work is done in the region's own lane, under one key. The job stays as its last run left it, and
the next run takes its place: Nomad itself collects what older runs left, so nothing grows, and an
operator that was restarted reads the last run instead of beginning one.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from orrery import names
from orrery.api.base import seconds
from orrery.api.regionclass import RegionClass
from orrery.api.validation import validate_region_class
from orrery.engine.queue import Priority
from orrery.engine.result import Again, Done, Result
from orrery.errors import Refused, Unreachable
from orrery.planning import probing
from orrery.planning.probes import MachineProbe
from orrery.planning.probing import Output, ProbeOrder, Run
from orrery.planning.protocol import describe_owner
from orrery.planning.room import describe_failure
from orrery.ports import Allocation, Clock, Job, Key, Kind, Node, RegionNomad, Submission
from orrery.reconcile.fleet import Member
from orrery.reconcile.loop import guarded
from orrery.reconcile.view import RegionView
from orrery.render.digest import job_digest
from orrery.render.driver import select_driver
from orrery.render.probe import probed_address, render_probe
from orrery.telemetry import Telemetry

LOOK: Final = 2.0
"""Seconds after which a run under way is looked at; it grows with how long the run takes."""

LOOK_SELDOM: Final = 60.0

READERS: Final = 4
"""Machines that are asked at a time: users' jobs share the connections."""


def order_probes(member: Member, region_class: Mapping[str, Any], *, install: str) -> None:
    """Note how the machines of a region are to be probed, and have its lane look at that."""
    name = member.region.metadata.name
    member.probe = _order(member, validate_region_class(region_class), install)
    if member.is_open:
        assert member.actor is not None
        member.actor.lane.add(Key(Kind.REGION, "", name), priority=Priority.RESYNC)


def _order(member: Member, class_: RegionClass, install: str) -> ProbeOrder | None:
    """Derive what a run consists of; None when the class asks for none."""
    probe, region = class_.spec.probe, member.region
    address = probed_address(region, member.control_plane)
    if probe is None or not address:
        return None
    name = class_.metadata.name
    driver = select_driver(class_.spec.nomad.drivers, probe.driver or "", region_class=name)
    document = render_probe(
        probe, address=address, install=install, driver=driver, region_class=name
    )
    return ProbeOrder(
        document=document,
        digest=job_digest(document),
        nomad_driver=driver.nomad_driver,
        interval=seconds(probe.interval),
        asked=probing.text_digest(
            region.metadata.annotations.get(names.ANNOTATION_RECONCILE_AT, "")
        ),
    )


@dataclass(slots=True)
class Memory:
    """What this process knows of the last run in one region."""

    actor: object
    """Whose machines it speaks of: another actor may be another Nomad."""
    run: Run | None = None
    machines: frozenset[str] = frozenset()
    """The ids of those that the run is for."""
    outputs: dict[str, Output] = field(default_factory=dict)
    """By allocation, of this run."""
    over: set[str] = field(default_factory=set)
    """The allocations whose output was read after they had ended."""
    found: dict[str, MachineProbe] = field(default_factory=dict)
    """By machine, of this run."""
    settled: dict[str, MachineProbe] = field(default_factory=dict)
    """By machine, of the last run that ended on it: it stands while the next one is under way."""
    ended: bool = False

    def begin(self, run: Run, machines: Sequence[Node]) -> None:
        """Forget the run before, but for what stands until there is something newer."""
        self.run, self.machines = run, frozenset(node.id for node in machines)
        self.outputs, self.over, self.found, self.ended = {}, set(), {}, False

    def has_read(self, run: Allocation) -> bool:
        """Tell whether all that matters of a run's output is known."""
        output = self.outputs.get(run.id)
        return output is not None and (not output.error or run.id in self.over)

    def take(self, node: Node, probe: MachineProbe) -> None:
        """Note what the run has come to on one machine."""
        self.found[node.id] = probe
        if probe.outcome != "Pending":
            self.settled[node.id] = probe

    def failed(self) -> bool:
        """Tell whether the run failed on a machine, or nobody knows what it printed there."""
        return any(
            probe.outcome == "Failed" or (probe.outcome == "Passed" and not probe.latencies)
            for probe in self.found.values()
        )


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass over one region."""

    region: str
    member: Member
    order: ProbeOrder
    nomad: RegionNomad
    view: RegionView
    machines: Sequence[Node]
    memory: Memory
    now: float

    def left(self) -> float:
        """Return the seconds until a run is to begin; one under way is let end."""
        memory = self.memory
        joined = any(node.id not in memory.machines for node in self.machines)
        return probing.seconds_left(
            self.order,
            memory.run,
            joined=memory.ended and joined,
            failed=memory.ended and memory.failed(),
            now=self.now,
        )


class Probes:
    """Runs the probe job in regions, and tells their Members what came of it."""

    def __init__(
        self, clock: Clock, *, telemetry: Telemetry, install: str, told: Callable[[str], None]
    ) -> None:
        self._clock = clock
        self._telemetry = telemetry
        self._install = install
        self._told = told
        self._namespace = names.system_namespace(install)
        self._memories: dict[str, Memory] = {}
        self._cleared: dict[str, object] = {}
        """By region, the actor by which it was seen that nothing is left of us."""

    async def __call__(self, region: str, member: Member) -> Result:
        """Take the next step of the run in *region*, if there is one to take."""
        return await guarded(
            lambda: self._work(region, member),
            kind="Probe",
            name=names.PROBE_JOB,
            region=region,
            clock=self._clock,
            telemetry=self._telemetry,
        )

    async def _work(self, region: str, member: Member) -> Result:
        actor = member.actor
        if actor is None or not member.is_open or member.region.spec.paused:
            return Done()  # What opens it, or ends its pause, has this looked at again.
        if member.probe is None:
            return await self._clear(region, member)
        self._cleared.pop(region, None)
        memory = self._memories.get(region)
        if memory is None or memory.actor is not actor:
            memory = self._memories[region] = Memory(actor)
        this = Pass(
            region=region,
            member=member,
            order=member.probe,
            nomad=actor.nomad,
            view=actor.view,
            machines=probing.to_probe(actor.view.nodes, member.probe.nomad_driver),
            memory=memory,
            now=self._clock.now(),
        )
        if not memory.ended or not this.left():
            await self._step(this)
        self._publish(this)
        if not this.machines:
            return Done()  # Machines that come have this looked at.
        left, begun = this.left(), memory.run.begun if memory.run else this.now
        look = min(max(LOOK, (this.now - begun) / 10), LOOK_SELDOM)
        return Again(left if memory.ended else min(left, look) or LOOK)

    async def _step(self, this: Pass) -> None:
        """Begin a run when it is time, else see how far the last one is."""
        memory = this.memory
        job = await this.nomad.read_job(self._namespace, names.PROBE_JOB)
        if job is not None and probing.run_of(self._install, job.meta) is None:
            whose = describe_owner(job.meta)
            words = f'a job "{job.id}" exists in Nomad namespace "{job.namespace}" and is {whose}'
            self._fail(this, f"{words}; it is left alone")
            return
        if job is not None:
            self._recall(this, job)
        elif not memory.ended:
            memory.run = None  # Somebody purged it, or there has been none.
        if not this.left() and this.machines:
            await self._begin(this, job)
        elif job is not None and not memory.ended:
            await self._follow(this, job)

    def _recall(self, this: Pass, job: Job) -> None:
        """Go on with the run that the job tells of, whoever began it."""
        run, memory = probing.run_of(self._install, job.meta), this.memory
        if run is None or run == memory.run:
            return
        fits = run.machines == probing.machines_digest(this.machines)
        memory.begin(run, this.machines if fits else ())

    async def _begin(self, this: Pass, job: Job | None) -> None:
        """Run the job (once more) on all machines, unless somebody else has just done so."""
        run = Run(
            begun=float(int(this.now)),
            digest=this.order.digest,
            asked=this.order.asked,
            machines=probing.machines_digest(this.machines),
        )
        try:
            await self._ensure_namespace(this)
            await this.nomad.register_job(
                {**this.order.document, "Meta": run.meta(self._install)},
                expected_index=job.job_modify_index if job else 0,
                submission=Submission(source="{}"),
            )
        except Refused as error:
            self._fail(this, error.message)
            return
        this.memory.begin(run, this.machines)

    async def _ensure_namespace(self, this: Pass) -> None:
        view = this.view
        async with view.creating_namespace:
            if self._namespace in view.namespaces:
                return
            words = f"What Orrery installation {self._install} itself runs here"
            await this.nomad.create_namespace(self._namespace, words)
            view.namespaces.add(self._namespace)

    async def _follow(self, this: Pass, job: Job) -> None:
        """See what the run has come to on each machine."""
        memory = this.memory
        assert memory.run is not None
        listed = await this.nomad.list_allocations(job.namespace, job.id)
        runs = probing.newest(listed, job.version)
        memory.machines |= runs.keys()
        waited = this.now - memory.run.begun
        machines = [node for node in this.machines if node.id in memory.machines]
        no_room = ""
        if any(node.id not in runs for node in machines):
            failures = await this.nomad.placement_failures(job.namespace, job.id)
            no_room = "; ".join(sorted({describe_failure(one) for one in failures.values()}))
        await self._read(this, runs.values(), late=waited > probing.PATIENCE)
        for node in machines:
            run = runs.get(node.id)
            output = memory.outputs.get(run.id) if run else None
            has_run = run is not None and probing.is_readable(run) and probing.is_over(run)
            if output is not None or not has_run:
                probe = probing.judge(node, run, output, waited=waited, no_room=no_room)
                memory.take(node, probe)
        judged = [memory.found.get(node.id) for node in machines]
        settled = all(probe is not None and probe.outcome != "Pending" for probe in judged)
        memory.ended = settled or waited > probing.PATIENCE

    async def _read(self, this: Pass, runs: Iterable[Allocation], *, late: bool) -> None:
        """Read what was printed where it is not read yet, on a few machines at a time.

        A run that failed may be tried again by Nomad, so it is read until it is over.
        """
        memory, outputs = this.memory, this.memory.outputs
        unread = [run for run in runs if probing.is_readable(run) and not memory.has_read(run)]
        for start in range(0, len(unread), READERS):
            at_once = unread[start : start + READERS]
            found = await asyncio.gather(*(self._output(this, run, late=late) for run in at_once))
            for run, output in zip(at_once, found, strict=True):
                if output is not None:
                    outputs[run.id] = output
                    if probing.is_over(run):
                        memory.over.add(run.id)

    async def _output(self, this: Pass, run: Allocation, *, late: bool) -> Output | None:
        """Read what was printed on one machine; None while it cannot be asked.

        That a machine does not answer says nothing about the region: no lane is held for it.
        """
        try:
            text = await this.nomad.read_log(run.id, names.PROBE_JOB)
            before = this.memory.outputs.get(run.id)
            return probing.newer(before, text, over=probing.is_over(run))
        except Refused as error:
            return Output(error=error.message)
        except Unreachable:
            return Output(error="what the probe printed cannot be read") if late else None

    def _fail(self, this: Pass, message: str) -> None:
        """Tell of all machines that they cannot be probed, and why."""
        memory = this.memory
        memory.begin(Run(this.now, this.order.digest, this.order.asked, ""), this.machines)
        for node in this.machines:
            memory.take(node, MachineProbe(node.name, node.datacenter, "Failed", message))
        memory.ended = True

    def _publish(self, this: Pass) -> None:
        """Show what is known of the machines that are there, and say so when it is news."""
        member, memory = this.member, this.memory
        shown = [
            memory.settled.get(node.id)
            or memory.found.get(node.id)
            or MachineProbe(node.name, node.datacenter, "Pending")
            for node in this.machines
        ]
        before = member.probes, member.probed_at
        if memory.ended and memory.run is not None and memory.run.machines:
            member.probed_at = memory.run.begun
        member.probes = tuple(sorted(shown, key=lambda probe: (probe.data_center, probe.node)))
        if (member.probes, member.probed_at) != before:
            self._told(this.region)

    async def _clear(self, region: str, member: Member) -> Result:
        """Take away what was left, once the class asks for no probe any more."""
        actor = member.actor
        assert actor is not None
        self._memories.pop(region, None)
        if member.probes is not None:
            member.probes = member.probed_at = None
            self._told(region)
        if self._cleared.get(region) is actor or self._namespace not in actor.view.namespaces:
            return Done()
        job = await actor.nomad.read_job(self._namespace, names.PROBE_JOB)
        if job is not None and probing.run_of(self._install, job.meta) is not None:
            await actor.nomad.purge_job(self._namespace, names.PROBE_JOB)
        self._cleared[region] = actor
        return Done()
