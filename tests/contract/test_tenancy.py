"""Namespaces and ACLs."""

import json

import pytest
from tests.contract.api import Nomad
from tests.contract.jobs import a_job
from tests.contract.recorded import hold

NOBODY = "e0000000-0000-0000-0000-000000000000"
DENIED = (403, "Permission denied")


async def test_namespace_is_created_and_read(nomad: Nomad) -> None:
    name = nomad.name("ns")

    written = await nomad.put("/v1/namespace", {"Name": name, "Description": "a tenant"})
    read = await nomad.get(f"/v1/namespace/{name}")

    assert (written.status, written.text) == (200, "")
    assert written.index == read.json["CreateIndex"] == read.index
    assert (read.json["Name"], read.json["Description"]) == (name, "a tenant")
    hold(nomad, "namespace-fields", sorted(read.json))


async def test_writing_a_namespace_again_moves_its_index(nomad: Nomad) -> None:
    name = nomad.name("ns")
    first = await nomad.put("/v1/namespace", {"Name": name})

    second = await nomad.put(f"/v1/namespace/{name}", {"Name": name, "Description": "new"})

    read = (await nomad.get(f"/v1/namespace/{name}")).json
    assert read["CreateIndex"] == first.index < second.index == read["ModifyIndex"]
    assert read["Description"] == "new"


async def test_namespaces_are_listed_by_name(nomad: Nomad) -> None:
    for prefix in ("b", "a"):
        await nomad.put("/v1/namespace", {"Name": f"{nomad.unique}-{prefix}"})

    rows = (await nomad.get(f"/v1/namespaces?prefix={nomad.unique}")).json

    assert [row["Name"] for row in rows] == [f"{nomad.unique}-a", f"{nomad.unique}-b"]


async def test_bad_namespace_names_are_worded(nomad: Nomad) -> None:
    bad = await nomad.put("/v1/namespace", {"Name": "bad name!"})
    other = await nomad.put("/v1/namespace/one", {"Name": "other"})

    assert bad.said == (
        500,
        (
            'Invalid namespace "bad name!": 1 error occurred:\n\t* invalid name "bad name!".'
            " Must match regex ^[a-zA-Z0-9-]{1,128}$\n\n"
        ),
    )
    assert other.said == (400, "Namespace name does not match request path")


async def test_namespaces_are_deleted(nomad: Nomad) -> None:
    name = nomad.name("ns")
    await nomad.put("/v1/namespace", {"Name": name})

    gone = await nomad.delete(f"/v1/namespace/{name}")
    again = await nomad.delete(f"/v1/namespace/{name}")
    default = await nomad.delete("/v1/namespace/default")

    assert gone.status == 200
    assert again.said == (500, "namespace not found")
    assert default.said == (500, "can not delete default namespace")


async def test_namespace_with_running_jobs_stays(nomad: Nomad) -> None:
    name = nomad.name("ns")
    await nomad.put("/v1/namespace", {"Name": name})
    await nomad.register(a_job("x", Namespace=name))

    reply = await nomad.delete(f"/v1/namespace/{name}")

    assert reply.status == 500
    assert f'"{name}" has non-terminal jobs' in reply.text


@pytest.mark.parametrize("secret", [None, NOBODY], ids=["none", "unknown"])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/jobs", None),
        ("GET", "/v1/job/x", None),
        ("GET", "/v1/job/x/allocations", None),
        ("GET", "/v1/nodes", None),
        ("GET", "/v1/agent/self", None),
        ("GET", "/v1/var/nomad/jobs/x", None),
        ("GET", "/v1/namespace/default", None),
        ("PUT", "/v1/jobs", {"Job": a_job("x")}),
        ("PUT", "/v1/job/x/plan", {"Job": a_job("x")}),
        ("DELETE", "/v1/job/x", None),
        ("PUT", "/v1/namespace", {"Name": "zz"}),
        ("PUT", "/v1/var/nomad/jobs/x", {"Items": {"a": "1"}}),
    ],
)
async def test_without_a_token_nothing_is_shown_or_done(
    nomad: Nomad, secret: str | None, method: str, path: str, body: object
) -> None:
    assert (await nomad.call(method, path, body, token=secret)).said == DENIED


async def test_token_of_another_form_is_denied(nomad: Nomad) -> None:
    assert (await nomad.get("/v1/jobs", token="nonsense")).said == DENIED


async def test_invalid_jobs_are_refused_before_rights_are_looked_at(nomad: Nomad) -> None:
    reply = await nomad.put("/v1/jobs", {"Job": a_job("x", count=-1)}, token=None)

    assert reply.status == 500


class Tenant:
    """A token that may work in one namespace."""

    def __init__(self, namespace: str, secret: str) -> None:
        self.namespace = namespace
        self.secret = secret


@pytest.fixture
async def tenant(nomad: Nomad) -> Tenant:
    namespace = nomad.name("ns")
    secrets = {"path": {"nomad/jobs/*": {"capabilities": ["read", "write", "list", "destroy"]}}}
    rules = {
        "namespace": {
            namespace: {
                "capabilities": ["list-jobs", "read-job", "submit-job"],
                "variables": secrets,
            }
        }
    }
    policy = nomad.name("policy")
    await nomad.put("/v1/namespace", {"Name": namespace})
    made = await nomad.put(f"/v1/acl/policy/{policy}", {"Name": policy, "Rules": json.dumps(rules)})
    assert made.status == 200, made.text
    body = {"Name": "tenant", "Type": "client", "Policies": [policy]}
    token = (await nomad.put("/v1/acl/token", body)).json
    return Tenant(namespace, token["SecretID"])


async def test_tenant_works_in_its_namespace(nomad: Nomad, tenant: Tenant) -> None:
    query = f"namespace={tenant.namespace}"
    job = a_job("x", count=0, Namespace=tenant.namespace)

    replies = [
        await nomad.put("/v1/jobs", {"Job": job}, token=tenant.secret),
        await nomad.put("/v1/job/x/plan", {"Job": job, "Diff": True}, token=tenant.secret),
        await nomad.get(f"/v1/jobs?{query}", token=tenant.secret),
        await nomad.get(f"/v1/job/x?{query}", token=tenant.secret),
        await nomad.put(
            f"/v1/var/nomad/jobs/x?{query}", {"Items": {"a": "1"}}, token=tenant.secret
        ),
        await nomad.get(f"/v1/var/nomad/jobs/x?{query}", token=tenant.secret),
        await nomad.delete(f"/v1/var/nomad/jobs/x?{query}", token=tenant.secret),
        await nomad.get(f"/v1/namespace/{tenant.namespace}", token=tenant.secret),
        await nomad.delete(f"/v1/job/x?{query}&purge=true", token=tenant.secret),
    ]

    assert [reply.status for reply in replies] == [200, 200, 200, 200, 200, 200, 204, 200, 200]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/jobs", None),
        ("GET", "/v1/job/x", None),
        ("PUT", "/v1/jobs", {"Job": a_job("x")}),
        ("DELETE", "/v1/job/x", None),
        ("GET", "/v1/var/nomad/jobs/x", None),
        ("GET", "/v1/nodes", None),
        ("GET", "/v1/agent/self", None),
        ("GET", "/v1/services", None),
        ("PUT", "/v1/namespace", {"Name": "zz"}),
        ("DELETE", "/v1/namespace/zz", None),
        ("GET", "/v1/namespace/default", None),
    ],
)
async def test_tenant_is_denied_the_rest(
    nomad: Nomad, tenant: Tenant, method: str, path: str, body: object
) -> None:
    assert (await nomad.call(method, path, body, token=tenant.secret)).said == DENIED


async def test_tenant_sees_its_own_in_lists_of_everything(nomad: Nomad, tenant: Tenant) -> None:
    await nomad.register(a_job("x", count=0, Namespace=tenant.namespace))
    await nomad.register(a_job(nomad.name(), count=0))

    jobs = (await nomad.get("/v1/jobs?namespace=*", token=tenant.secret)).json
    namespaces = (await nomad.get("/v1/namespaces", token=tenant.secret)).json

    assert [job["Namespace"] for job in jobs] == [tenant.namespace]
    assert [one["Name"] for one in namespaces] == [tenant.namespace]


async def test_variables_outside_the_granted_path_are_denied(nomad: Nomad, tenant: Tenant) -> None:
    path = f"/v1/var/free/x?namespace={tenant.namespace}"

    assert (await nomad.get(path, token=tenant.secret)).said == DENIED
    assert (await nomad.put(path, {"Items": {"a": "1"}}, token=tenant.secret)).said == DENIED


async def test_listing_variables_without_rights_shows_none(nomad: Nomad, tenant: Tenant) -> None:
    await nomad.put(f"/v1/var/nomad/jobs/{nomad.name()}", {"Items": {"a": "1"}})

    assert (await nomad.get("/v1/vars", token=tenant.secret)).said == (200, "[]")


async def test_stopping_a_job_and_purging_it_are_two_rights(nomad: Nomad) -> None:
    policy, job_id = nomad.name("policy"), nomad.name()
    rules = {"namespace": {"default": {"capabilities": ["read-job", "deregister-job"]}}}
    await nomad.put(f"/v1/acl/policy/{policy}", {"Name": policy, "Rules": json.dumps(rules)})
    body = {"Name": "stopper", "Type": "client", "Policies": [policy]}
    secret = (await nomad.put("/v1/acl/token", body)).json["SecretID"]
    await nomad.register(a_job(job_id, count=0))

    purge = await nomad.call("DELETE", f"/v1/job/{job_id}?purge=true", token=secret)
    stop = await nomad.call("DELETE", f"/v1/job/{job_id}", token=secret)

    assert purge.said == DENIED
    assert stop.status == 200
