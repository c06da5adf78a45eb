"""Snapshots of a real Nomad: taken by a token that can do nothing else, and good for a restore."""

import asyncio
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.lab.nomad import NomadAgent

from orrery.adapters.nomad import NomadClientFactory
from orrery.cli import main
from orrery.ports import AclToken, Credentials
from orrery.reconcile.regiontokens import keep_token
from orrery.render.region.snapshots import POLICY_RULES

JOB = {
    "Job": {
        "ID": "kept",
        "Type": "service",
        "Datacenters": ["nowhere"],
        "TaskGroups": [
            {"Name": "g", "Tasks": [{"Name": "t", "Driver": "mock_driver", "Config": {}}]}
        ],
    }
}


class Server(NomadAgent):
    """A server that keeps its data on disk: one in `-dev` mode cannot take a snapshot."""

    def start(self) -> None:
        server = {"enabled": True, "bootstrap_expect": 1}
        self.rpc = self._start({"region": self.region, "server": server})
        self._await("a leader", lambda: bool(self.call("GET", "/v1/status/leader")))
        body = {"BootstrapSecret": self.token}
        self._await("its ACLs", lambda: bool(self.call("POST", "/v1/acl/bootstrap", body)))


@pytest.fixture
def nomad(tmp_path: Path, nomad_binary: Path) -> Iterator[NomadAgent]:
    agent = Server(str(nomad_binary), tmp_path / "nomad")
    try:
        agent.start()
        yield agent
    finally:
        agent.stop()


async def allow(agent: NomadAgent) -> AclToken:
    """Have *agent* know a token for snapshots, twice: the second time changes nothing."""
    name = "orrery-snapshot"
    token = AclToken(name, (name,), str(uuid.uuid4()), str(uuid.uuid4()))
    client = NomadClientFactory().administer(Credentials(agent.address, agent.token))
    await keep_token(client, token, POLICY_RULES)
    await keep_token(client, token, POLICY_RULES)
    await client.close()
    return token


def taken(agent: NomadAgent, token: str, folder: Path, *more: str) -> Result:
    folder.mkdir(exist_ok=True)
    file = folder.parent / "token"
    file.write_text(token)
    options = ["--address", agent.address, "--token-file", str(file), "--folder", str(folder)]
    return CliRunner().invoke(main, ["snapshot", *options, *more])


def restore(agent: NomadAgent, snapshot: Path) -> None:
    request = urllib.request.Request(
        f"{agent.address}/v1/operator/snapshot",
        method="PUT",
        data=snapshot.read_bytes(),
        headers={"X-Nomad-Token": agent.token},
    )
    with urllib.request.urlopen(request, timeout=60):
        pass


async def test_jobs_are_back_after_all_data_was_lost(
    nomad: NomadAgent, tmp_path: Path, nomad_binary: Path
) -> None:
    token, folder = await allow(nomad), tmp_path / "snapshots"
    nomad.call("POST", "/v1/jobs", JOB)
    result = await asyncio.to_thread(taken, nomad, token.secret, folder)
    assert result.exit_code == 0, result.output
    nomad.stop()
    (snapshot,) = folder.iterdir()
    other = Server(str(nomad_binary), tmp_path / "other")
    try:
        other.start()
        assert not other.call("GET", "/v1/jobs")

        restore(other, snapshot)

        other.token = nomad.token  # Tokens are part of a snapshot.
        assert [job["ID"] for job in other.call("GET", "/v1/jobs")] == ["kept"]
    finally:
        other.stop()


async def test_the_token_of_snapshots_can_do_nothing_else(
    nomad: NomadAgent, tmp_path: Path
) -> None:
    token = await allow(nomad)
    management, nomad.token = nomad.token, token.secret

    for method, path, body in (
        ("POST", "/v1/jobs", JOB),
        ("GET", "/v1/nodes", None),
        ("GET", "/v1/agent/self", None),
        ("GET", "/v1/acl/tokens", None),
        ("PUT", "/v1/operator/snapshot", {}),
    ):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            nomad.call(method, path, body)
    nomad.token = management


async def test_a_token_that_was_revoked_is_known_again(nomad: NomadAgent, tmp_path: Path) -> None:
    token = await allow(nomad)
    nomad.call("DELETE", f"/v1/acl/token/{token.accessor}")
    refused = await asyncio.to_thread(taken, nomad, token.secret, tmp_path / "s")

    client = NomadClientFactory().administer(Credentials(nomad.address, nomad.token))
    await keep_token(client, token, POLICY_RULES)
    await client.close()

    assert refused.exit_code == 1
    assert "403" in refused.output
    assert token.secret not in refused.output
    done = await asyncio.to_thread(taken, nomad, token.secret, tmp_path / "s")
    assert done.exit_code == 0, done.output


async def test_the_oldest_go_and_other_files_stay(nomad: NomadAgent, tmp_path: Path) -> None:
    token, folder = await allow(nomad), tmp_path / "s"
    folder.mkdir()
    for name in ("nomad-20200101T000000Z.snap", "nomad-20200102T000000Z.snap", "mine.snap"):
        (folder / name).write_text("old")

    result = await asyncio.to_thread(taken, nomad, token.secret, folder, "--keep", "2")

    names = sorted(path.name for path in folder.iterdir())
    assert result.exit_code == 0, result.output
    assert names[:2] == ["mine.snap", "nomad-20200102T000000Z.snap"]
    assert len(names) == 3
