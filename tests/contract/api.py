"""Speak Nomad's API as it stands on the wire: status, headers, words."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from tests.lab.polling import until

Document = dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def index(self) -> int:
        return int(self.headers["X-Nomad-Index"])

    @property
    def said(self) -> tuple[int, str]:
        """Status and words, for refusals."""
        return self.status, self.text


class Nomad:
    """One server, simulated or real; *unique* keeps the names of one test apart from others."""

    def __init__(
        self, session: aiohttp.ClientSession, address: str, token: str, *, kind: str, unique: str
    ) -> None:
        self.session = session
        self.address = address
        self.token = token
        self.kind = kind
        self.unique = unique
        self.first: Document = {}
        """The job that the test begins with, when it asked for one."""

    def name(self, prefix: str = "job") -> str:
        return f"{prefix}-{self.unique}"

    async def call(
        self, method: str, path: str, body: object = None, *, token: str | None = ""
    ) -> Reply:
        """Call the API; *token*: empty for the management token, None for none."""
        secret = self.token if token == "" else token
        headers = {} if secret is None else {"X-Nomad-Token": secret}
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        async with self.session.request(
            method, self.address + path, data=data, headers=headers
        ) as reply:
            return Reply(reply.status, reply.headers.copy(), await reply.text())

    async def get(self, path: str, *, token: str | None = "") -> Reply:
        return await self.call("GET", path, token=token)

    async def put(self, path: str, body: object = None, *, token: str | None = "") -> Reply:
        return await self.call("PUT", path, body, token=token)

    async def delete(self, path: str, *, token: str | None = "") -> Reply:
        return await self.call("DELETE", path, token=token)

    async def register(self, job: Document, **fields: Any) -> Document:
        """Register *job*; the reply must be a success."""
        reply = await self.put("/v1/jobs", {"Job": job, **fields})
        assert reply.status == 200, reply.text
        document: Document = reply.json
        return document

    async def job(self, job_id: str, namespace: str = "default") -> Document:
        reply = await self.get(f"/v1/job/{job_id}?namespace={namespace}")
        assert reply.status == 200, reply.text
        document: Document = reply.json
        return document

    async def plan(self, job: Document) -> Document:
        reply = await self.put(f"/v1/job/{job['ID']}/plan", {"Job": job, "Diff": True})
        assert reply.status == 200, reply.text
        document: Document = reply.json
        return document

    async def rows(self, job_id: str, what: str) -> list[Document]:
        """List allocations, deployments or evaluations of a job, oldest first."""
        rows = (await self.get(f"/v1/job/{job_id}/{what}")).json
        return sorted(rows, key=lambda row: (row["CreateIndex"], row.get("Name", "")))

    async def settled(self, job_id: str, version: int) -> Document:
        """Wait until the deployment of *version* has ended; return it."""

        async def ended() -> Document | None:
            for row in await self.rows(job_id, "deployments"):
                if row["JobVersion"] == version and row["Status"] not in {"running", "pending"}:
                    return row
            return None

        return await until(ended)

    async def dead(self, job_id: str) -> Document:
        """Wait until nothing of a job is left to do; return it."""

        async def dead() -> Document | None:
            job = await self.job(job_id)
            return job if job["Status"] == "dead" else None

        return await until(dead)

    async def running(self, job_id: str, version: int, count: int) -> list[Document]:
        """Wait until *count* instances of *version* run, and no others; return all instances."""

        async def run() -> list[Document] | None:
            rows = await self.rows(job_id, "allocations")
            alive = [row for row in rows if row["ClientStatus"] in {"pending", "running"}]
            fine = all(r["JobVersion"] == version and r["ClientStatus"] == "running" for r in alive)
            return rows if fine and len(alive) == count else None

        return await until(run)
