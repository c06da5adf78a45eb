"""A continent's cluster that is silent, strange or hostile costs the others nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from tests.unit.adapters.kube.servers import Handler, kubeconfig_of, serving, silence

from orrery.adapters.kube import HubSource, KubeClusterFactory
from orrery.adapters.kube.cluster import collection, grants, object_path
from orrery.errors import InvalidSpec, Refused, Unreachable
from orrery.ports import ClusterAccess, ContinentalCluster, ObjectRef, Right

SECRET = ObjectRef("v1", "Secret", "orrery-fra", "fra-ca")
MANY = tuple(Right("get", "", f"things{number}") for number in range(20))


@asynccontextmanager
async def a_cluster(server: str, *, deadline: float = 30) -> AsyncIterator[ContinentalCluster]:
    factory = KubeClusterFactory(HubSource(), deadline=deadline)
    cluster = factory.connect(ClusterAccess(kubeconfig_of(server)))
    try:
        yield cluster
    finally:
        await cluster.close()


def answering(status: int, document: Any = None, **headers: str) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response(document, status=status, headers=headers)

    return answer


async def test_a_silent_cluster_keeps_no_other_waiting() -> None:
    async with AsyncExitStack() as stack:
        silent = await stack.enter_async_context(silence())
        lively = await stack.enter_async_context(serving(answering(200, {"gitVersion": "v1.34.3"})))
        factory = KubeClusterFactory(HubSource(), deadline=30)
        dead, well = (
            factory.connect(ClusterAccess(kubeconfig_of(server))) for server in (silent, lively)
        )
        waiting = [asyncio.create_task(dead.version()) for _ in range(200)]

        versions = await asyncio.gather(*(well.version() for _ in range(50)))

        assert set(versions) == {"v1.34.3"}
        assert not any(task.done() for task in waiting)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await dead.close()
        await well.close()


async def test_a_silent_cluster_is_unreachable_at_the_deadline() -> None:
    async with silence() as server, a_cluster(server, deadline=0.2) as cluster:
        with pytest.raises(Unreachable, match="the continent's cluster gave no answer within"):
            await cluster.read(SECRET)


async def test_a_redirect_is_not_followed_with_the_token() -> None:
    asked: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        asked.append(request.headers.get("Authorization", ""))
        return web.json_response({})

    async with serving(elsewhere) as thief:
        handler = answering(307, {}, Location=f"{thief}/version")
        async with serving(handler) as server, a_cluster(server) as cluster:
            with pytest.raises(Refused):
                await cluster.version()

    assert asked == []


async def test_a_reply_without_end_is_cut_off() -> None:
    async def flood(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        try:
            while True:
                await response.write(b" " * 65536)
        except ConnectionError:
            return response

    async with serving(flood) as server, a_cluster(server) as cluster:
        with pytest.raises(Unreachable, match="answered more than 16777216 bytes"):
            await cluster.version()


@pytest.mark.parametrize("status", [400, 422])
async def test_what_is_wrong_with_a_secret_is_not_quoted(status: int) -> None:
    words = {
        "message": "illegal base64: s3cret",
        "reason": "Invalid",
        "details": {"name": "fra-ca"},
    }
    async with serving(answering(status, words)) as server, a_cluster(server) as cluster:
        with pytest.raises(Refused) as refusal:
            await cluster.read(SECRET)

    assert refusal.value.message == "read Secret fra-ca in namespace orrery-fra: Invalid"


async def test_what_is_forbidden_is_told_of_secrets_too() -> None:
    words = {"message": 'user "orrery" cannot get secrets'}
    async with serving(answering(403, words)) as server, a_cluster(server) as cluster:
        with pytest.raises(Refused, match="cannot get secrets"):
            await cluster.read(SECRET)


async def test_a_kubeconfig_that_cannot_be_used_is_told_at_the_first_call() -> None:
    cluster = KubeClusterFactory(HubSource()).connect(ClusterAccess("nothing"))

    with pytest.raises(InvalidSpec, match="the kubeconfig cannot be used"):
        await cluster.version()


async def test_a_way_to_the_hub_that_is_broken_now_may_be_mended(tmp_path: Any) -> None:
    factory = KubeClusterFactory(HubSource(str(tmp_path / "gone")))

    with pytest.raises(Unreachable, match="does not exist"):
        await factory.connect(ClusterAccess()).version()


async def test_rights_that_an_incomplete_list_lacks_are_asked_for_a_few_at_a_time() -> None:
    at_once, most = 0, 0
    rule = {"verbs": ["get"], "apiGroups": [""], "resources": ["things0"]}

    async def answer(request: web.Request) -> web.Response:
        nonlocal at_once, most
        body = await request.json()
        if body["kind"] == "SelfSubjectRulesReview":
            return web.json_response({"status": {"resourceRules": [rule], "incomplete": True}})
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0)
        at_once -= 1
        resource = body["spec"]["resourceAttributes"]["resource"]
        return web.json_response({"status": {"allowed": resource != "things7"}})

    async with serving(answer) as server, a_cluster(server) as cluster:
        assert await cluster.missing_rights(MANY) == [MANY[7]]

    assert 1 <= most <= 4


@pytest.mark.parametrize(
    ("rule", "granted"),
    [
        pytest.param({}, True, id="just-it"),
        pytest.param({"verbs": ["*"]}, True, id="any-verb"),
        pytest.param({"apiGroups": ["*"]}, True, id="any-group"),
        pytest.param({"resources": ["*"]}, True, id="any-resource"),
        pytest.param({"resources": ["*/status"]}, True, id="any-status"),
        pytest.param({"resources": ["jobs"]}, False, id="only-the-resource"),
        pytest.param({"apiGroups": [""]}, False, id="another-group"),
        pytest.param({"verbs": ["get"]}, False, id="another-verb"),
        pytest.param({"resourceNames": ["fra"]}, False, id="one-object"),
    ],
)
def test_a_rule_grants_what_it_names(rule: dict[str, Any], *, granted: bool) -> None:
    whole = {"verbs": ["get", "patch"], "apiGroups": ["batch"], "resources": ["jobs/status"]}

    assert grants(whole | rule, Right("patch", "batch", "jobs/status")) is granted


def test_paths_are_those_of_the_api() -> None:
    assert object_path(SECRET) == "/api/v1/namespaces/orrery-fra/secrets/fra-ca"
    assert object_path(ObjectRef("v1", "Namespace", "", "a")) == "/api/v1/namespaces/a"
    assert collection("batch/v1", "Job", "a/b") == "/apis/batch/v1/namespaces/a%2Fb/jobs"


def test_a_kind_that_is_not_kept_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        collection("v1", "Node", "")
    with pytest.raises(AssertionError):
        collection("v1", "Secret", "")
