"""Who holds a token with a policy of its own at a real Nomad, and all that Orrery does with it."""

import itertools
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.contract.test_client_nomad import a_job, registered
from tests.lab.nomad import NomadAgent

from orrery.adapters.nomad import NomadClientFactory
from orrery.ports import AclToken, Credentials, RegionNomad, Submission
from orrery.reconcile.regiontokens import keep_token

CAPABILITIES = frozenset({"list-jobs", "read-job", "register-job", "plan-job", "purge-job"})
VARIABLES = frozenset({"read", "write", "destroy"})
REST = frozenset({"node", "agent", "operator"})

_numbers = itertools.count(1)


def quoted(words: frozenset[str]) -> str:
    return "[" + ", ".join(f'"{word}"' for word in sorted(words)) + "]"


def rules(
    capabilities: frozenset[str] = CAPABILITIES,
    variables: frozenset[str] = VARIABLES,
    rest: frozenset[str] = REST,
) -> str:
    path = f'variables {{ path "nomad/jobs/*" {{ capabilities = {quoted(variables)} }} }}'
    inside = f"capabilities = {quoted(capabilities)} {path}"
    others = " ".join(f'{part} {{ policy = "read" }}' for part in sorted(rest))
    # A stream of all namespaces is denied as a whole where one of them may not be read.
    everywhere = f"capabilities = {quoted(capabilities & {'read-job'})}"
    return f'namespace "*" {{ {everywhere} }} namespace "orrery-*" {{ {inside} }} {others}'


@asynccontextmanager
async def allowed(agent: NomadAgent, text: str) -> AsyncIterator[tuple[RegionNomad, str, str]]:
    """Connect with a token that has the policy *text*."""
    number = next(_numbers)
    name = f"fine-{number}"
    token = AclToken(name, (name,), str(uuid.uuid4()), str(uuid.uuid4()))
    factory = NomadClientFactory()
    management = factory.administer(Credentials(agent.address, agent.token))
    await management.create_namespace(f"orrery-rights-{number}", "")
    await keep_token(management, token, text)
    await management.close()
    client = factory.connect(Credentials(agent.address, token.secret))
    try:
        yield client, f"orrery-rights-{number}", token.secret
    finally:
        await client.close()


async def every_call(region: RegionNomad, namespace: str) -> None:
    """Do once all that Orrery does in a region whose namespaces exist."""
    path = "nomad/jobs/shop"
    await region.leader()
    await region.agent()
    await region.autopilot()
    assert await region.list_nodes()
    assert namespace in await region.list_namespaces()
    await region.write_variable(namespace, path, {"a": "b"}, expected_index=0)
    variable = await region.read_variable(namespace, path)
    assert variable
    async with region.events(index=0) as events:
        await anext(events)
    await region.plan_job(a_job(namespace))
    job = await registered(region, a_job(namespace))
    assert await region.read_submission(namespace, "shop", 0)
    assert "shop" in {stub.id for stub in (await region.list_jobs()).jobs}
    await region.list_allocations(namespace, "shop")
    await region.list_deployments(namespace, "shop")
    await region.placement_failures(namespace, "shop")
    stop = a_job(namespace, Stop=True)
    index = job.job_modify_index
    await region.register_job(stop, expected_index=index, submission=Submission("{}"))
    await region.purge_job(namespace, "shop")
    await region.delete_variable(namespace, path, expected_index=variable.modify_index)
