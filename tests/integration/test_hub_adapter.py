"""The hub adapter on a real API server: writes hit the very object, answers become our errors."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio
import yaml
from tests.builders import a_deployment
from tests.lab.hubproxy import HubProxy
from tests.lab.polling import until
from tests.lab.rest import Rest

from orrery.adapters.clock import SystemClock
from orrery.adapters.kube import HubConnection, HubSource, KubeHub
from orrery.errors import Conflict, InvalidSpec, NotYet, Refused, Unreachable
from orrery.ports import HubEvent, Key, Kind
from orrery.telemetry import Telemetry

FINALIZER = "orrery.dev/regional-jobs"

in_default = partial(a_deployment, namespace="default")


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


@pytest.fixture
def hub(connection: HubConnection, telemetry: Telemetry) -> KubeHub:
    return a_hub(connection, telemetry)


@pytest_asyncio.fixture
async def proxied(proxy: HubProxy, tmp_path: Path) -> AsyncIterator[KubeHub]:
    """A hub reached through the proxy."""
    source = HubSource(str(proxy.kubeconfig(tmp_path / "proxied")))
    async with HubConnection(source) as connection:
        yield a_hub(connection, Telemetry())


def a_hub(connection: HubConnection, telemetry: Telemetry) -> KubeHub:
    return KubeHub(connection, clock=SystemClock(), telemetry=telemetry, instance="test")


def created(rest: Rest, name: str) -> tuple[Key, str]:
    """Create a deployment; return its key and uid."""
    reply = rest.create(in_default(name))
    assert reply.ok, reply.message
    return Key(Kind.GLOBAL_DEPLOYMENT, "default", name), reply.body["metadata"]["uid"]


def recreated(rest: Rest, name: str) -> str:
    """Replace a deployment by another of the same name; return the new uid."""
    rest.delete(in_default(name))
    return created(rest, name)[1]


async def test_an_object_is_read_as_it_is_and_none_when_it_is_not(hub: KubeHub, rest: Rest) -> None:
    key, uid = created(rest, "read")

    found = await hub.read(key)

    assert found is not None
    assert found["metadata"]["uid"] == uid
    assert await hub.read(Key(Kind.REGION, "", "nowhere")) is None


async def test_a_list_spans_namespaces_and_pages(
    hub: KubeHub, rest: Rest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orrery.adapters.kube.hub.PAGE", "2")
    for number in range(5):
        created(rest, f"listed-{number}")

    names = {found["metadata"]["name"] for found in await hub.list(Kind.GLOBAL_DEPLOYMENT, dict)}

    assert {f"listed-{number}" for number in range(5)} <= names


async def test_a_status_is_replaced_as_a_whole(hub: KubeHub, rest: Rest) -> None:
    key, uid = created(rest, "status")

    await hub.write_status(key, uid, {"observedGeneration": 1, "display": {"status": "old"}})
    await hub.write_status(key, uid, {"observedGeneration": 2})

    found = rest.read(in_default("status")).body
    assert found["status"] == {"observedGeneration": 2}
    assert found["metadata"]["generation"] == 1


async def test_a_status_never_reaches_another_object_of_the_same_name(
    hub: KubeHub, rest: Rest
) -> None:
    key, old = created(rest, "again")
    recreated(rest, "again")

    with pytest.raises(Conflict):
        await hub.write_status(key, old, {"observedGeneration": 1})

    assert "status" not in rest.read(in_default("again")).body


async def test_a_status_of_an_object_that_is_gone_is_a_conflict(hub: KubeHub, rest: Rest) -> None:
    key, uid = created(rest, "gone")
    rest.delete(in_default("gone"))

    with pytest.raises(Conflict):
        await hub.write_status(key, uid, {"observedGeneration": 1})


async def test_a_status_that_breaks_the_schema_is_refused_with_the_field(
    hub: KubeHub, rest: Rest
) -> None:
    key, uid = created(rest, "broken")

    with pytest.raises(Refused, match=r"status\.observedGeneration"):
        await hub.write_status(key, uid, {"observedGeneration": "one"})


async def test_a_finalizer_is_added_once_and_removed_beside_those_of_others(
    hub: KubeHub, rest: Rest, telemetry: Telemetry
) -> None:
    document = in_default("finalized")
    document["metadata"]["finalizers"] = ["example.com/other"]
    uid = rest.create(document).body["metadata"]["uid"]
    key = Key(Kind.GLOBAL_DEPLOYMENT, "default", "finalized")

    await hub.add_finalizer(key, uid, FINALIZER)
    await hub.add_finalizer(key, uid, FINALIZER)

    metadata = rest.read(document).body["metadata"]
    assert metadata["finalizers"] == ["example.com/other", FINALIZER]
    writes = 'orrery_hub_writes_total{kind="GlobalDeployment",verb="finalizers"} 1.0'
    assert writes in telemetry.page().decode()
    await hub.remove_finalizer(key, uid, FINALIZER)
    assert rest.read(document).body["metadata"]["finalizers"] == ["example.com/other"]


async def test_a_finalizer_is_added_although_others_keep_writing(hub: KubeHub, rest: Rest) -> None:
    key, uid = created(rest, "contended")

    writes = [hub.add_finalizer(key, uid, f"orrery.dev/f{number}") for number in range(4)]
    await asyncio.gather(*writes)

    finalizers = rest.read(in_default("contended")).body["metadata"]["finalizers"]
    assert sorted(finalizers) == [f"orrery.dev/f{number}" for number in range(4)]


async def test_finalizers_never_reach_another_object_of_the_same_name(
    hub: KubeHub, rest: Rest
) -> None:
    key, old = created(rest, "reborn")
    new = recreated(rest, "reborn")
    await hub.add_finalizer(key, new, FINALIZER)

    with pytest.raises(Conflict):
        await hub.add_finalizer(key, old, "orrery.dev/late")
    await hub.remove_finalizer(key, old, FINALIZER)

    metadata = rest.read(in_default("reborn")).body["metadata"]
    assert metadata["finalizers"] == [FINALIZER]


async def test_the_last_finalizer_lets_an_object_go(hub: KubeHub, rest: Rest) -> None:
    key, uid = created(rest, "leaving")
    await hub.add_finalizer(key, uid, FINALIZER)
    rest.delete(in_default("leaving"))

    await hub.remove_finalizer(key, uid, FINALIZER)
    await hub.remove_finalizer(key, uid, FINALIZER)

    assert rest.read(in_default("leaving")).status == 404


async def test_a_secret_is_read_decoded_and_stays_out_of_its_repr(hub: KubeHub, rest: Rest) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "fra",
            "namespace": "default",
            "annotations": {"orrery.dev/endpoint": "https://fra:4646"},
        },
        "data": {"token": base64.b64encode(b"s3cret").decode()},
    }
    rest.create(secret)

    found = await hub.read_secret("default", "fra")

    assert found is not None
    assert found.data == {"token": b"s3cret"}
    assert found.annotations == {"orrery.dev/endpoint": "https://fra:4646"}
    assert "s3cret" not in repr(found)
    assert await hub.read_secret("default", "nothing") is None


@pytest.mark.parametrize("kind", [Kind.GLOBAL_DEPLOYMENT, Kind.REGION])
async def test_an_event_is_written_once_and_seen_at_its_object(
    hub: KubeHub, rest: Rest, kind: Kind
) -> None:
    namespace = "default" if kind is Kind.GLOBAL_DEPLOYMENT else ""
    key = Key(kind, namespace, "eventful")
    event = HubEvent(key, f"uid-{kind}", "Warning", "DriftRepaired", "fra: repaired the count")

    for _ in range(5):
        await hub.emit_event(event)

    items = rest.get("/api/v1/namespaces/default/events").body["items"]
    (found,) = [item for item in items if item["involvedObject"].get("uid") == f"uid-{kind}"]
    assert found["involvedObject"]["kind"] == kind
    assert found["message"] == "fra: repaired the count"
    assert found["reason"] == "DriftRepaired"
    assert found["reportingComponent"] == "orrery.dev/operator"


async def test_a_lost_event_is_no_error(proxied: KubeHub, proxy: HubProxy) -> None:
    proxy.answer = (500, {"message": "etcd is on fire"})

    await proxied.emit_event(
        HubEvent(Key(Kind.REGION, "", "fra"), "uid", "Normal", "Opened", "fra is open")
    )

    assert proxy.methods == {"POST"}


@pytest.mark.parametrize(
    ("status", "error"),
    [(403, Refused), (400, Refused), (409, Conflict), (500, Unreachable), (503, Unreachable)],
)
async def test_answers_become_errors_with_the_words_of_the_server(
    proxied: KubeHub, proxy: HubProxy, status: int, error: type[Exception]
) -> None:
    proxy.answer = (status, {"message": 'user "x" may not list regions'})

    with pytest.raises(error, match=r"GET .*/regions: user .x. may not list regions"):
        await proxied.list(Kind.REGION, dict)


async def test_a_busy_server_is_asked_again_when_it_says(proxied: KubeHub, proxy: HubProxy) -> None:
    proxy.answer, proxy.headers = (429, {"message": "too many requests"}), {"Retry-After": "1"}
    began = time.monotonic()
    asking = asyncio.create_task(proxied.list(Kind.REGION, dict))
    await until(lambda: proxy.requests)
    proxy.answer = None

    await asking

    assert len(proxy.requests) == 2
    assert time.monotonic() - began >= 1


async def test_a_server_that_stays_busy_is_unreachable_in_the_end(
    proxy: HubProxy, tmp_path: Path
) -> None:
    proxy.answer, proxy.headers = (429, {"message": "too many requests"}), {"Retry-After": "60"}
    source = HubSource(str(proxy.kubeconfig(tmp_path / "busy")))

    async with HubConnection(source, deadline=1) as connection:
        with pytest.raises(Unreachable, match="no answer within 1 s"):
            await a_hub(connection, Telemetry()).read(Key(Kind.REGION, "", "fra"))


async def test_namespaces_are_listed_with_their_labels(hub: KubeHub) -> None:
    found = await hub.list_namespaces()

    assert found["default"]["kubernetes.io/metadata.name"] == "default"


async def test_a_hub_that_is_gone_is_unreachable(tmp_path: Path, proxy: HubProxy) -> None:
    path = proxy.kubeconfig(tmp_path / "gone")
    path.write_text(path.read_text().replace(proxy.url, "http://127.0.0.1:1"))

    async with HubConnection(HubSource(str(path))) as connection:
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1"):
            await a_hub(connection, Telemetry()).list(Kind.REGION, dict)


async def test_a_renewed_token_is_read_when_the_old_one_is_refused(
    proxy: HubProxy, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("old")
    source = HubSource(str(proxy.kubeconfig(tmp_path / "config", tokenFile=str(token))))
    async with HubConnection(source) as connection:
        hub = a_hub(connection, Telemetry())
        await hub.list(Kind.REGION, dict)

        token.write_text("new")
        proxy.known_token = "Bearer new"
        await asyncio.gather(*(hub.list(Kind.REGION, dict) for _ in range(10)))

    assert proxy.tokens[0] == "Bearer old"
    assert proxy.tokens[-1] == "Bearer new"


async def test_a_token_that_stays_unknown_is_refused_after_one_more_try(
    proxy: HubProxy, tmp_path: Path
) -> None:
    proxy.known_token = "Bearer other"
    source = HubSource(str(proxy.kubeconfig(tmp_path / "config", token="wrong")))
    async with HubConnection(source) as connection:
        with pytest.raises(Refused, match="does not know our credentials"):
            await a_hub(connection, Telemetry()).list(Kind.REGION, dict)

    assert len(proxy.requests) == 2


async def test_an_exec_plugin_gives_the_token(proxy: HubProxy, tmp_path: Path) -> None:
    plugin = tmp_path / "plugin"
    plugin.write_text(
        "#!/bin/sh\n"
        'echo \'{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential",'
        '"status":{"token":"from-plugin"}}\'\n'
    )
    plugin.chmod(0o755)
    command = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin)}
    source = HubSource(str(proxy.kubeconfig(tmp_path / "config", exec=command)))

    async with HubConnection(source) as connection:
        await a_hub(connection, Telemetry()).list(Kind.REGION, dict)

    assert proxy.tokens == ["Bearer from-plugin"]


async def test_a_context_is_chosen_by_name(proxy: HubProxy, tmp_path: Path) -> None:
    path = proxy.kubeconfig(tmp_path / "config")
    document = yaml.safe_load(path.read_text())
    document["contexts"][0]["name"] = "wanted"
    document["current-context"] = "other"
    path.write_text(yaml.safe_dump(document))

    async with HubConnection(HubSource(str(path), "wanted")) as connection:
        await a_hub(connection, Telemetry()).list(Kind.REGION, dict)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(None, "does not exist", id="no-file"),
        pytest.param("{}", "current-context", id="empty"),
        pytest.param("contexts: [", "is no kubeconfig", id="no-yaml"),
    ],
)
async def test_a_kubeconfig_that_cannot_be_used_is_named(
    tmp_path: Path, text: str | None, words: str
) -> None:
    path = tmp_path / "config"
    if text is not None:
        path.write_text(text)

    with pytest.raises(InvalidSpec, match=f"(?s){path}.*{words}"):
        await HubSource(str(path)).load()


async def test_kinds_that_the_hub_does_not_know_are_named(
    proxied: KubeHub, proxy: HubProxy
) -> None:
    await proxied.require_kinds()
    proxy.answer = (404, {"message": "the server could not find the requested resource"})

    with pytest.raises(NotYet, match=r"Continent, GlobalDeployment, .*install Orrery's CRDs"):
        await proxied.require_kinds()
