"""The policy of Orrery's run-time token, as the operator writes it, is enough on a real Nomad."""

import copy
import json
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any

import aiohttp
import pytest
from click.testing import CliRunner
from tests.contract.rights import allowed, every_call
from tests.contract.test_probe_nomad import ran
from tests.lab.nomad import NomadAgent

from orrery import names
from orrery.cli import main
from orrery.errors import Refused, Unreachable
from orrery.planning.nomadrights import as_json, run_time_rules
from orrery.ports import RegionNomad

INSTALL = "orrery"
SYSTEM = names.system_namespace(INSTALL)


def without() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the rules with each right left out by itself, by the name of what is left out."""
    whole = json.loads(as_json(run_time_rules(INSTALL, joins=False)))
    for namespace, block in whole["namespace"].items():
        for capability in block["capabilities"]:
            fewer = copy.deepcopy(whole)
            fewer["namespace"][namespace]["capabilities"].remove(capability)
            yield f"{capability} in {namespace}", fewer
        for capability in _of_variables(block):
            fewer = copy.deepcopy(whole)
            _of_variables(fewer["namespace"][namespace]).remove(capability)
            yield f"{capability} of variables in {namespace}", fewer
    for part in ("node", "agent", "operator"):
        yield part, {name: block for name, block in whole.items() if name != part}


def _of_variables(block: dict[str, Any]) -> list[str]:
    paths: dict[str, Any] = block.get("variables", {}).get("path", {})
    found: list[str] = paths["nomad/jobs/*"]["capabilities"] if paths else []
    return found


WITHOUT = dict(without())


async def everything(region: RegionNomad, namespace: str, agent: NomadAgent) -> None:
    """Do all that Orrery does: for tenants, with a job of somebody else beside, and its probes."""
    await every_call(region, namespace)
    assert "foreign" in {stub.id for stub in (await region.list_jobs()).jobs}
    assert (await region.read_job("default", "foreign")) is not None
    _, output = await ran(region, agent.address.removeprefix("http://"))
    assert output
    assert output.seconds
    assert SYSTEM in {stub.namespace for stub in (await region.list_jobs()).jobs}
    await region.purge_job(SYSTEM, names.PROBE_JOB)


@pytest.fixture(scope="module")
def settled_agent(any_agent: NomadAgent) -> NomadAgent:
    """An agent with the namespaces that a management token makes, and a job of somebody else."""
    any_agent.call("PUT", "/v1/namespace/" + SYSTEM, {"Name": SYSTEM})
    job = {
        "ID": "foreign",
        "Name": "foreign",
        "Type": "batch",
        "Datacenters": ["elsewhere"],
        "TaskGroups": [
            {
                "Name": "a",
                "Tasks": [{"Name": "a", "Driver": "raw_exec", "Config": {"command": "true"}}],
            }
        ],
    }
    any_agent.call("PUT", "/v1/jobs", {"Job": job})
    return any_agent


def printed() -> str:
    said = CliRunner().invoke(main, ["region", "rights"], catch_exceptions=False)
    return said.output


def written() -> str:
    return as_json(run_time_rules(INSTALL, joins=False))


@pytest.mark.parametrize("text_of", [written, printed])
async def test_the_rules_are_enough(settled_agent: NomadAgent, text_of: Callable[[], str]) -> None:
    text = text_of()
    async with allowed(settled_agent, text) as (region, namespace, _):
        await everything(region, namespace, settled_agent)


@pytest.mark.parametrize("left_out", WITHOUT)
async def test_no_rule_can_be_left_out(settled_agent: NomadAgent, left_out: str) -> None:
    text = as_json(WITHOUT[left_out])
    try:
        async with allowed(settled_agent, text) as (region, namespace, _):
            with pytest.raises((Refused, Unreachable, AssertionError, AttributeError)):
                await everything(region, namespace, settled_agent)
    finally:
        settled_agent.call("DELETE", f"/v1/job/{names.PROBE_JOB}?namespace={SYSTEM}&purge=true")


async def test_a_machine_is_introduced_by_a_region_that_machines_join(
    settled_agent: NomadAgent,
) -> None:
    statuses = []
    for joins in (True, False):
        text = as_json(run_time_rules(INSTALL, joins=joins))
        async with allowed(settled_agent, text) as (*_, secret):
            statuses.append(await introduced(settled_agent, secret))

    assert statuses == [HTTPStatus.OK, HTTPStatus.FORBIDDEN]


async def introduced(agent: NomadAgent, token: str) -> int:
    url = agent.address + "/v1/acl/identity/client-introduction-token"
    async with (
        aiohttp.ClientSession(headers={"X-Nomad-Token": token}) as session,
        session.post(url, json={"TTL": "5m"}) as said,
    ):
        return said.status
