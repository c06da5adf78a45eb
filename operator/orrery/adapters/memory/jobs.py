"""The history of one job in a region in memory: versions, submissions, deployments, reverts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from orrery.ports import Allocation, JobDeployment, JobStub, Node, Submission

_SILENT_FIELDS = frozenset({"UI", "Version", "JobModifyIndex", "ModifyIndex", "Status", "Stable"})


@dataclass(slots=True)
class HeldJob:
    """One job with its history."""

    versions: list[dict[str, Any]] = field(default_factory=list)
    submissions: dict[int, Submission] = field(default_factory=dict)
    deployments: list[JobDeployment] = field(default_factory=list)
    index: int = 0
    healthy: bool = True
    started: int = 0
    """Instances ever started: grows with each destructive update."""

    @property
    def current(self) -> dict[str, Any]:
        """The job as it is now."""
        return self.versions[-1]

    def commit(
        self, document: dict[str, Any], submission: Submission | None, raft: Iterator[int]
    ) -> None:
        """Make *document* the newest version, at the next index of *raft*.

        An image with the tag ``bad`` fails, and the last healthy version comes back.
        """
        self.index = next(raft)
        if not self.versions or _runs(self.current) != _runs(document):
            self.started += count_of(document)
        self.versions.append(document | {"JobModifyIndex": self.index})
        version = len(self.versions) - 1
        if submission is not None:
            self.submissions[version] = submission
        self.healthy = not _image(document).endswith(":bad")
        if document.get("Type") != "sysbatch":
            self._deploy(version, raft)

    def run_on(self, node: Node, *, busy: bool) -> Allocation:
        """Return the run of a job of type sysbatch on one machine."""
        version = len(self.versions) - 1
        status = "failed" if not self.healthy else "running" if busy else "complete"
        return Allocation(
            id=f"{version}@{node.name}",
            job_version=version,
            client_status=status,
            desired_status="run",
            healthy=None,
            node=node.name,
            message="" if self.healthy else f"Failed to pull `{_image(self.current)}`: not found",
            node_id=node.id,
            started=self.healthy,
        )

    def stub(self, namespace: str, job_id: str) -> JobStub:
        """Return the row of the job list."""
        stop = bool(self.current.get("Stop"))
        count = 0 if stop else count_of(self.current)
        return JobStub(
            namespace=namespace,
            id=job_id,
            job_modify_index=self.index,
            status="dead" if stop else "running",
            stop=stop,
            meta=self.current.get("Meta") or {},
            running=count if self.healthy else 0,
            failed=0 if self.healthy else count,
            queued=0,
        )

    def _deploy(self, version: int, raft: Iterator[int]) -> None:
        count = count_of(self.current)
        if self.healthy:
            done = JobDeployment(f"d{version}", version, "successful", "ok", count, count, 0)
            self.deployments.append(done)
            return
        healthy = [d.job_version for d in self.deployments if d.status == "successful"]
        back = f" - rolling back to job version {healthy[-1]}" if healthy else ""
        why = f"Failed due to unhealthy allocations{back}"
        self.deployments.append(
            JobDeployment(f"d{version}", version, "failed", why, count, 0, count)
        )
        if healthy:
            self.index = next(raft)
            self.versions.append(
                self.versions[healthy[-1]] | {"JobModifyIndex": self.index, "Stop": False}
            )
            self.submissions[version + 1] = self.submissions[healthy[-1]]
            self.healthy = True
            self._deploy(version + 1, raft)


def essence(document: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what makes no new version of a job."""
    kept = {k: v for k, v in document.items() if k not in _SILENT_FIELDS}
    return {"Stop": False, **kept}


def machine_of(allocation: str) -> str:
    """Name the machine of a run of a job of type sysbatch."""
    return allocation.partition("@")[2]


def count_of(document: Mapping[str, Any]) -> int:
    """Count the instances that a job asks for."""
    return sum(int(group.get("Count") or 0) for group in document.get("TaskGroups") or ())


def _runs(document: Mapping[str, Any]) -> tuple[object, ...]:
    """Name what instances are replaced for."""
    task = _task(document)
    return (document.get("Meta"), task.get("Config"), task.get("Env"), task.get("Resources"))


def _task(document: Mapping[str, Any]) -> Mapping[str, Any]:
    groups = document.get("TaskGroups") or [{}]
    tasks = groups[0].get("Tasks") or [{}]
    first: Mapping[str, Any] = tasks[0]
    return first


def _image(document: Mapping[str, Any]) -> str:
    return str((_task(document).get("Config") or {}).get("image", ""))
