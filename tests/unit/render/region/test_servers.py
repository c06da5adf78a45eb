"""The servers of a region, and what holds for all manifests beneath its front door."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.render.region.blueprints import (
    NOMAD_IMAGE,
    a_blueprint,
    pod_templates,
    restricted_violations,
)

from orrery import names
from orrery.render.region.blueprint import Blueprint, Manifest, SecretName
from orrery.render.region.bootstrap import render_bootstrap
from orrery.render.region.foundation import render_foundation
from orrery.render.region.servers import render_servers

DNS_1123 = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
POD_SUFFIX = len("-xxxxx")

NAMES = st.from_regex(r"[a-z]([-a-z0-9]{0,30}[a-z0-9])?", fullmatch=True)
PREFIXES = st.from_regex(r"[a-z][-a-z0-9]{0,28}-", fullmatch=True)


def everything(blueprint: Blueprint) -> list[Manifest]:
    return [
        *render_foundation(blueprint),
        *render_servers(blueprint),
        *render_bootstrap(blueprint),
    ]


@st.composite
def blueprints(draw: st.DrawFn) -> Blueprint:
    return a_blueprint(
        draw(NAMES),
        install=draw(st.sampled_from(["orrery", "o" * 20])),
        address=str(draw(st.ip_addresses())),
        nomad={"servers": draw(st.sampled_from([1, 3, 5]))},
        continent={"namespacePrefix": draw(PREFIXES)},
    )


def of_kind(kind: str, blueprint: Blueprint | None = None) -> Any:
    found, *others = (m for m in render_servers(blueprint or a_blueprint()) if m["kind"] == kind)
    assert kind == "Service" or not others
    return found


def addresses(blueprint: Blueprint | None = None) -> dict[str, Any]:
    """List the Services that give each server an address."""
    found = [m for m in render_servers(blueprint or a_blueprint()) if m["kind"] == "Service"]
    return {m["metadata"]["name"]: m["spec"] for m in found if "clusterIP" not in m["spec"]}


def configuration(blueprint: Blueprint | None = None) -> dict[str, Any]:
    return own("server", blueprint)


def own(server: str, blueprint: Blueprint | None = None) -> dict[str, Any]:
    data = of_kind("ConfigMap", blueprint)["data"]
    loaded: dict[str, Any] = json.loads(data[f"{server}.json"])
    return loaded


def container(blueprint: Blueprint | None = None) -> dict[str, Any]:
    (found,) = of_kind("StatefulSet", blueprint)["spec"]["template"]["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, (dict, list)):
        for key, below in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(below, f"{path}/{key}")
    else:
        yield path, value


def changed(before: Blueprint, after: Blueprint) -> set[str]:
    """Name the fields of manifests in which two renders differ, by kind and path."""
    old, new = (
        {
            f"{m['kind']}{path}": value
            for m in everything(b)
            if m["kind"] != "Service"
            for path, value in leaves(m)
        }
        for b in (before, after)
    )
    return {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}


@given(blueprint=blueprints())
def test_all_pods_are_restricted(blueprint: Blueprint) -> None:
    found = {
        name: restricted_violations(t["spec"]) for name, t in pod_templates(everything(blueprint))
    }

    assert len(found) == 2
    assert not any(found.values()), found


@given(blueprint=blueprints())
def test_names_are_short_and_good_in_dns(blueprint: Blueprint) -> None:
    manifests = everything(blueprint)

    given = [m["metadata"]["name"] for m in manifests]
    assert [name for name in given if not DNS_1123.fullmatch(name) or len(name) > 63] == []
    assert [name for name, _ in pod_templates(manifests) if len(name.split("/")[1]) > 57] == []
    assert {m["metadata"].get("namespace", blueprint.namespace) for m in manifests} == {
        blueprint.namespace
    }


@given(blueprint=blueprints())
def test_everything_carries_the_labels_of_its_region(blueprint: Blueprint) -> None:
    wanted = names.region_labels(blueprint.install, blueprint.name).items()

    manifests = everything(blueprint)

    carried = [m["metadata"]["labels"] for m in manifests]
    carried += [template["metadata"]["labels"] for _, template in pod_templates(manifests)]
    assert [labels for labels in carried if not wanted <= labels.items()] == []


@given(blueprint=blueprints())
def test_the_same_blueprint_gives_the_same_bytes(blueprint: Blueprint) -> None:
    copy = Blueprint(
        blueprint.install,
        blueprint.region.model_copy(deep=True),
        blueprint.class_.model_copy(deep=True),
        blueprint.continent.model_copy(deep=True),
        blueprint.address,
    )

    assert json.dumps(everything(blueprint)) == json.dumps(everything(copy))


@given(blueprint=blueprints())
def test_secrets_are_named_and_never_held(blueprint: Blueprint) -> None:
    manifests = everything(blueprint)

    volumes = [v for _, t in pod_templates(manifests) for v in t["spec"]["volumes"]]
    wanted = (SecretName.GOSSIP, SecretName.NOMAD, SecretName.BOOTSTRAP, SecretName.OPERATOR)
    assert {v["secret"]["secretName"] for v in volumes if "secret" in v} == {
        blueprint.object_name(secret) for secret in wanted
    }
    assert "Secret" not in {manifest["kind"] for manifest in manifests}
    assert "encrypt" not in configuration(blueprint)["server"]
    assert "PRIVATE KEY" not in json.dumps(manifests)


@settings(max_examples=25)
@given(blueprint=blueprints())
def test_what_selects_the_servers_selects_no_other_pod(blueprint: Blueprint) -> None:
    manifests = everything(blueprint)
    selector = of_kind("Service", blueprint)["spec"]["selector"]

    pods = {name: t["metadata"]["labels"] for name, t in pod_templates(manifests)}

    selected = [name for name, labels in pods.items() if selector.items() <= labels.items()]
    assert selected == [f"StatefulSet/{blueprint.name}-nomad"]
    for kind in ("StatefulSet", "PodDisruptionBudget"):
        assert of_kind(kind, blueprint)["spec"]["selector"]["matchLabels"] == selector


@pytest.mark.parametrize("servers", [1, 3, 5])
def test_a_class_says_how_many_servers_wait_for_each_other(servers: int) -> None:
    blueprint = a_blueprint(nomad={"servers": servers})

    server = configuration(blueprint)["server"]

    assert of_kind("StatefulSet", blueprint)["spec"]["replicas"] == servers
    assert server["bootstrap_expect"] == servers
    assert [*addresses(blueprint)] == [f"fra-nomad-{number}" for number in range(servers)]


def test_a_server_looks_for_all_others_and_not_for_itself() -> None:
    hosts = [f"fra-nomad-{number}.orrery-fra.svc:4648" for number in range(3)]

    looked_for = [own(f"fra-nomad-{n}")["server"]["server_join"]["retry_join"] for n in range(3)]

    assert looked_for == [[h for h in hosts if h != hosts[n]] for n in range(3)]
    assert "server" not in own("fra-nomad-0", a_blueprint(nomad={"servers": 1}))


def test_a_server_is_known_by_an_address_that_stays_when_its_pod_does_not() -> None:
    for server, spec in addresses().items():
        assert own(server) == own(server) | {"advertise": {"serf": f"{server}.orrery-fra.svc"}}
        assert spec["selector"] == of_kind("Service")["spec"]["selector"] | {
            "statefulset.kubernetes.io/pod-name": server
        }
        assert spec["publishNotReadyAddresses"] is True
    assert "-config=/etc/nomad.d/server/$(POD_NAME).json" in container()["args"]
    assert "-node=$(POD_NAME)" in container()["args"]


def test_servers_can_find_each_other_before_they_are_ready() -> None:
    stateful_set, service = of_kind("StatefulSet")["spec"], of_kind("Service")

    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["publishNotReadyAddresses"] is True
    assert stateful_set["serviceName"] == service["metadata"]["name"]
    assert stateful_set["podManagementPolicy"] == "Parallel"


def test_machines_are_sent_to_the_front_door_and_servers_to_each_other() -> None:
    found = configuration(a_blueprint(address="198.51.100.9"))

    assert found["advertise"] == {"http": "198.51.100.9", "rpc": "198.51.100.9"}
    assert found["ports"] == {"http": 4646, "rpc": 4647, "serf": 4648}
    assert found["bind_addr"] == "0.0.0.0"


def test_nothing_is_served_without_mutual_tls_and_a_token() -> None:
    found = configuration()

    assert found["tls"] == {
        "http": True,
        "rpc": True,
        "ca_file": "/etc/nomad.d/tls/ca.crt",
        "cert_file": "/etc/nomad.d/tls/tls.crt",
        "key_file": "/etc/nomad.d/tls/tls.key",
        "verify_server_hostname": True,
        "verify_https_client": True,
    }
    assert found["acl"] == {"enabled": True}


def test_one_load_balancer_may_hold_the_connections_of_all_machines() -> None:
    limits = configuration()["limits"]

    assert limits == {"http_max_conns_per_client": 0, "rpc_max_conns_per_client": 0}


def test_an_election_costs_no_allocation_and_no_event() -> None:
    server = configuration()["server"]

    assert server["heartbeat_grace"] == "60s"
    assert server["event_buffer_size"] >= 10_000
    assert server["client_introduction"]["enforcement"] == "strict"


def test_files_that_are_read_are_files_that_are_mounted() -> None:
    blueprint = a_blueprint()
    mounts = [mount["mountPath"] for mount in container(blueprint)["volumeMounts"]]
    found = configuration(blueprint)
    tls = [value for key, value in found["tls"].items() if key.endswith("_file")]

    flags = [a.removeprefix("-config=") for a in container(blueprint)["args"] if "-config" in a]

    read = [*tls, *flags, f"{found['data_dir']}/server"]
    assert [path for path in read if path.rpartition("/")[0] not in mounts] == []


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"address": "198.51.100.9"}, id="address"),
        pytest.param({"nomad": {"servers": 5}}, id="servers"),
    ],
)
def test_another_configuration_rolls_the_servers(change: dict[str, Any]) -> None:
    def annotation(blueprint: Blueprint) -> str:
        metadata = of_kind("StatefulSet", blueprint)["spec"]["template"]["metadata"]
        return str(metadata["annotations"][names.ANNOTATION_CONFIGURATION])

    assert annotation(a_blueprint()) == annotation(a_blueprint())
    assert annotation(a_blueprint()) != annotation(a_blueprint(**change))


TEMPLATE = "StatefulSet/spec/template/spec/containers/0"
CLAIM = "StatefulSet/spec/volumeClaimTemplates/0/spec"
JOB = {"Job/metadata/name", "Job/spec/template/spec/containers/0/image"}


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        pytest.param(
            {"nomad": {"resources": {"cpu": "2", "memory": "4Gi"}}},
            {
                f"{TEMPLATE}/resources/requests/cpu",
                f"{TEMPLATE}/resources/requests/memory",
                f"{TEMPLATE}/resources/limits/memory",
            },
            id="resources",
        ),
        pytest.param(
            {"nomad": {"storage": "50Gi"}}, {f"{CLAIM}/resources/requests/storage"}, id="storage"
        ),
        pytest.param(
            {"continent": {"storageClassName": "fast"}},
            {f"{CLAIM}/storageClassName"},
            id="storage-class",
        ),
        pytest.param({"nomad": {"image": "n:2"}}, {f"{TEMPLATE}/image", *JOB}, id="image"),
        pytest.param({"front_door": {"replicas": 3}}, set(), id="front-door"),
        pytest.param({"region": {"displayName": "Frankfurt"}}, set(), id="display-name"),
    ],
)
def test_a_change_changes_what_it_must_and_no_more(
    change: dict[str, Any], fields: set[str]
) -> None:
    change = {k: {**v} if k != "nomad" else {"image": NOMAD_IMAGE, **v} for k, v in change.items()}

    assert changed(a_blueprint(), a_blueprint(**change)) == fields


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        pytest.param(
            "nomad:2.0.6", "mirror.example/cache/docker.io/library/nomad:2.0.6", id="bare"
        ),
        pytest.param(
            "quay.io/a/n@sha256:0", "mirror.example/cache/quay.io/a/n@sha256:0", id="host"
        ),
    ],
)
def test_images_come_from_the_mirror(image: str, expected: str) -> None:
    blueprint = a_blueprint(
        nomad={"image": image}, continent={"registry": {"mirror": "mirror.example/cache"}}
    )

    templates = pod_templates(everything(blueprint))

    assert {c["image"] for _, t in templates for c in t["spec"]["containers"]} == {expected}


def test_memory_is_limited_to_what_is_reserved_and_cpu_is_not_limited() -> None:
    resources = container(a_blueprint(nomad={"resources": {"cpu": "1", "memory": "2Gi"}}))[
        "resources"
    ]

    assert resources == {"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"memory": "2Gi"}}


def test_one_node_is_enough_and_more_are_used() -> None:
    pod = of_kind("StatefulSet")["spec"]["template"]["spec"]

    (apart,) = pod["affinity"]["podAntiAffinity"].values()
    assert [term["podAffinityTerm"]["topologyKey"] for term in apart] == ["kubernetes.io/hostname"]
    assert [c["whenUnsatisfiable"] for c in pod["topologySpreadConstraints"]] == ["ScheduleAnyway"]
    assert "required" not in json.dumps(pod["affinity"])


def test_one_server_at_a_time_is_touched_and_has_time_to_get_its_vote_back() -> None:
    stateful_set = of_kind("StatefulSet")["spec"]

    assert stateful_set["updateStrategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"partition": 0},
    }
    assert stateful_set["minReadySeconds"] >= 30
    assert of_kind("PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    assert configuration()["leave_on_terminate"] is False
