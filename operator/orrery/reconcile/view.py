"""What one region's Nomad holds of ours, as its list and its event stream last told."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from orrery import names
from orrery.planning.protocol import Owner, Seen, owns
from orrery.ports import AgentFacts, Job, JobList, Key, Kind, Node, RegionEvent

KEYS_SHARED = 1 << 17
"""Deployments whose keys all regions share: each of them would else hold its own."""


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
    tried: set[Key] = field(default_factory=set)
    """Jobs whose last register failed, for whatever reason: they are read before the next."""
    moved: set[Key] = field(default_factory=set)
    """Jobs that an event told of before their deployment had its first pass: it looks at them."""
    index: int = 0
    listed: bool = False
    _jobs: dict[Key, Seen] = field(default_factory=dict)

    def replace(self, jobs: JobList) -> None:
        """Take a full list as the truth."""
        self.index = jobs.index
        self.listed = True
        self.moved.clear()
        self._jobs = {
            key: Seen(
                index=stub.job_modify_index,
                stop=stub.stop,
                ours=self._is_ours(key, stub.meta),
                running=stub.running,
            )
            for stub in jobs.jobs
            if (key := self.key(stub.namespace, stub.id)) is not None
        }

    def note(self, key: Key, job: Job | None, *, running: int = 0) -> None:
        """Take a job that was just read as the truth about that one job."""
        self.moved.discard(key)
        if job is None:
            self._jobs.pop(key, None)
            return
        ours = self._is_ours(key, job.meta)
        self._jobs[key] = Seen(job.job_modify_index, job.stop, ours=ours, running=running)

    def __len__(self) -> int:
        return len(self._jobs)

    def seen(self, key: Key) -> Seen | None:
        """Return the job of the GlobalDeployment *key*, None when the region has none."""
        return self._jobs.get(key)

    def knows(self, key: Key, event: RegionEvent) -> bool:
        """Tell whether *event* is about a version of the job that was read already: our own."""
        if event.type != "JobRegistered" or event.job_modify_index is None:
            return False
        seen = self._jobs.get(key)
        return seen is not None and seen.index == event.job_modify_index

    def owned(self) -> Iterator[Key]:
        """Iterate over the jobs that carry this installation's stamp and are not stopped."""
        return (key for key, seen in self._jobs.items() if seen.ours and not seen.stop)

    def key(self, namespace: str, job_id: str) -> Key | None:
        """Name the GlobalDeployment behind a job, None in a namespace that is not ours."""
        return _key(self.install, namespace, job_id)

    def _is_ours(self, key: Key, meta: Mapping[str, str]) -> bool:
        return owns(Owner(self.install, key.namespace, key.name), meta)


@lru_cache(maxsize=KEYS_SHARED)
def _key(install: str, namespace: str, job_id: str) -> Key | None:
    hub_namespace = names.hub_namespace(install, namespace)
    if hub_namespace is None or not job_id:
        return None
    return Key(Kind.GLOBAL_DEPLOYMENT, hub_namespace, job_id)
