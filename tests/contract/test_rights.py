"""The rights that Orrery's calls need in a real Nomad, and the one for which there is no right.

All calls but one are content with fine-grained capabilities, none of which lets anybody into an
instance. The creation of a namespace takes a management token.
"""

from http import HTTPStatus

import aiohttp
import pytest
from tests.contract.rights import CAPABILITIES, REST, VARIABLES, allowed, every_call, rules
from tests.contract.test_client_nomad import a_job, registered
from tests.lab.nomad import NomadAgent
from tests.lab.polling import until

from orrery.errors import Refused, Unreachable
from orrery.ports import Allocation


async def test_fine_capabilities_are_enough_for_every_call(real_agent: NomadAgent) -> None:
    async with allowed(real_agent, rules()) as (region, namespace, _):
        await every_call(region, namespace)


@pytest.mark.parametrize("left_out", sorted(CAPABILITIES | VARIABLES | REST))
async def test_none_of_them_can_be_left_out(real_agent: NomadAgent, left_out: str) -> None:
    fewer = rules(CAPABILITIES - {left_out}, VARIABLES - {left_out}, REST - {left_out})
    async with allowed(real_agent, fewer) as (region, namespace, _):
        with pytest.raises((Refused, Unreachable, AssertionError)):
            await every_call(region, namespace)


async def test_a_namespace_takes_a_management_token(real_agent: NomadAgent) -> None:
    async with allowed(real_agent, rules()) as (region, *_):
        with pytest.raises(Refused):
            await region.create_namespace("orrery-another", "")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        pytest.param("GET", "/v1/client/fs/ls/{id}?path=/", id="files"),
        pytest.param("GET", "/v1/client/fs/logs/{id}?task=app&type=stdout", id="logs"),
        pytest.param("POST", "/v1/client/allocation/{id}/restart", id="restart"),
        pytest.param("POST", "/v1/allocation/{id}/stop", id="stop"),
        pytest.param("GET", "/v1/acl/tokens", id="tokens"),
        pytest.param("GET", "/v1/operator/snapshot", id="snapshot"),
    ],
)
async def test_nobody_gets_into_an_instance_by_them(
    real_agent: NomadAgent, method: str, path: str
) -> None:
    async with allowed(real_agent, rules()) as (region, namespace, token):
        await registered(region, a_job(namespace))

        async def on_its_machine() -> Allocation | None:
            listed = await region.list_allocations(namespace, "shop")
            return next((a for a in listed if a.client_status != "pending"), None)

        allocation = await until(on_its_machine)  # before, the machine knows none of that id

        status = await asked(real_agent, token, method, path.format(id=allocation.id))

    assert status == HTTPStatus.FORBIDDEN


async def asked(agent: NomadAgent, token: str, method: str, path: str) -> int:
    """Ask for something that Orrery never asks for; return the status."""
    headers = {"X-Nomad-Token": token}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.request(method, agent.address + path) as reply,
    ):
        return reply.status
