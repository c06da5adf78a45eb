"""Looks at the jobs of a real Nomad agent, as its API shows them."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, Final

from tests.lab.nomad import NomadAgent
from tests.lab.polling import until_blocking

from orrery import names
from orrery.ports import Document, Submission

NAMESPACE: Final = "orrery-team-a"


class JobProbe:
    """What tests ask of an agent about jobs, in Nomad's own words."""

    def __init__(self, agent: NomadAgent) -> None:
        self.agent = agent

    def read(self, method: str, path: str, body: object = None) -> str:
        """Send a request, return the reply's text; an error is an assertion that holds its text."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.agent.address + path,
            data=data,
            method=method,
            headers={"X-Nomad-Token": self.agent.token},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                return str(reply.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{method} {path}: {error.read().decode()}") from None

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Send a request, return the reply's document."""
        return json.loads(self.read(method, path, body) or "null")

    def job(self, name: str, what: str = "", **query: object) -> Any:
        """Read a job, or *what* belongs to it."""
        asked = "".join(f"&{key}={value}" for key, value in query.items())
        return self.call("GET", f"/v1/job/{name}{what}?namespace={NAMESPACE}{asked}")

    def register(self, job: Document, submission: Submission | None = None) -> None:
        """Register *job*, and wait until the scheduler has looked at it."""
        body: dict[str, Any] = {"Job": job}
        if submission is not None:
            body["Submission"] = {"Source": submission.source, "Format": submission.format}
        evaluation = self.call("PUT", "/v1/jobs", body)["EvalID"]
        until_blocking(
            lambda: self.call("GET", f"/v1/evaluation/{evaluation}")["Status"] == "complete"
        )

    def allocations(self, name: str) -> list[dict[str, Any]]:
        """List the allocations of a job, oldest first."""
        found: list[dict[str, Any]] = self.job(name, "/allocations", all="true")
        return sorted(found, key=lambda allocation: int(allocation["CreateIndex"]))

    def running(self, name: str, count: int = 1) -> list[str]:
        """Wait until *count* allocations, all of the newest version, run; return their ids."""

        def of_the_newest() -> list[str]:
            version = self.job(name)["Version"]
            alive = [a for a in self.allocations(name) if a["ClientStatus"] == "running"]
            newest = [a["ID"] for a in alive if a["JobVersion"] == version]
            return newest if len(newest) == len(alive) == count else []

        return until_blocking(of_the_newest)

    def ended(self, name: str, status: str) -> list[str]:
        """Return the ids of the allocations that have ended as *status*."""
        return [a["ID"] for a in self.allocations(name) if a["ClientStatus"] == status]

    def settled(self, name: str) -> dict[str, Any]:
        """Wait until the deployment of the newest version has ended; return it."""

        def ended() -> dict[str, Any]:
            found: list[dict[str, Any]] = self.job(name, "/deployments")
            version = self.job(name)["Version"]
            ends = [d for d in found if d["Status"] in {"successful", "failed"}]
            return next((d for d in ends if d["JobVersion"] == version), {})

        return until_blocking(ended)

    def log(self, allocation: str) -> str:
        """Return what an allocation has printed."""
        path = f"/v1/client/fs/logs/{allocation}?task={names.TASK}&type=stdout&plain=true"
        return self.read("GET", f"{path}&namespace={NAMESPACE}")

    def put_variable(self, name: str, items: Mapping[str, str]) -> None:
        """Write the variable of a job."""
        path = names.variable_path(name)
        body = {"Namespace": NAMESPACE, "Path": path, "Items": dict(items)}
        self.call("PUT", f"/v1/var/{path}?namespace={NAMESPACE}", body)

    def stop_everything(self) -> None:
        """Stop all jobs, so that no process of theirs outlives the agent."""
        for stub in self.call("GET", f"/v1/jobs?namespace={NAMESPACE}"):
            self.call("DELETE", f"/v1/job/{stub['ID']}?namespace={NAMESPACE}")
        until_blocking(
            lambda: (
                not [
                    a
                    for a in self.call("GET", f"/v1/allocations?namespace={NAMESPACE}")
                    if a["ClientStatus"] in {"running", "pending"}
                ]
            )
        )
