"""What one region's Nomad holds of ours, as its list and its event stream last told."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from orrery import names
from orrery.ports import AgentFacts, Job, JobList, JobStub, Key, Kind, Node


@dataclass(slots=True)
class RegionView:
    """The jobs of one installation in one region, and what its servers and machines say."""

    install: str
    agent: AgentFacts | None = None
    nodes: Sequence[Node] = ()
    namespaces: set[str] = field(default_factory=set)
    namespaces_unsure: bool = False
    """Whether a namespace may exist that is not listed: its creation had no known outcome."""
    creating_namespace: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One creation at a time: many jobs of a new tenant arrive together."""
    index: int = 0
    listed: bool = False
    _jobs: dict[Key, JobStub] = field(default_factory=dict)

    def replace(self, jobs: JobList) -> None:
        """Take a full list as the truth."""
        self.index = jobs.index
        self.listed = True
        self._jobs = {
            key: stub
            for stub in jobs.jobs
            if (key := self.key(stub.namespace, stub.id)) is not None
        }

    def note(self, key: Key, job: Job | None, *, running: int = 0) -> None:
        """Take a job that was just read as the truth about that one job."""
        if job is None:
            self._jobs.pop(key, None)
            return
        self._jobs[key] = JobStub(
            namespace=job.namespace,
            id=job.id,
            job_modify_index=job.job_modify_index,
            status=str(job.document.get("Status", "")),
            stop=job.stop,
            meta=job.meta,
            running=running,
            failed=0,
            queued=0,
        )

    def __len__(self) -> int:
        return len(self._jobs)

    def stub(self, key: Key) -> JobStub | None:
        """Return the job of the GlobalDeployment *key*, None when the region has none."""
        return self._jobs.get(key)

    def owned(self) -> Iterator[tuple[Key, JobStub]]:
        """Iterate over the jobs that carry this installation's stamp and are not stopped."""
        for key, stub in self._jobs.items():
            stamp = names.job_meta(self.install, key.namespace, key.name)
            if not stub.stop and all(stub.meta.get(k) == v for k, v in stamp.items()):
                yield key, stub

    def key(self, namespace: str, job_id: str) -> Key | None:
        """Name the GlobalDeployment behind a job, None in a namespace that is not ours."""
        hub_namespace = names.hub_namespace(self.install, namespace)
        if hub_namespace is None or not job_id:
            return None
        return Key(Kind.GLOBAL_DEPLOYMENT, hub_namespace, job_id)
