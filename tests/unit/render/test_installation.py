"""The operator's own manifests: no right too many, pods that Kubernetes' strictest rules admit."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner

from orrery import __version__
from orrery.api import crd
from orrery.cli import main
from orrery.cli.installation import FOLDERS, bases
from orrery.config import Config
from orrery.planning.rights import RIGHTS, TEARDOWN_RIGHTS
from orrery.ports import Right
from orrery.ports.hubrights import EVERYWHERE, INSIDE, TENANTS, HubRight
from orrery.render.installation import (
    HEALTH_PORT,
    IMAGE,
    METRICS_PORT,
    Installation,
    render_installation,
)

ROOT = Path(__file__).parents[3]
PARTS = {"": EVERYWHERE, "-tenants": TENANTS}


def rendered(**options: Any) -> list[dict[str, Any]]:
    files = render_installation(Installation(**options))
    return [manifest for manifests in files.values() for manifest in manifests]


def of_kind(kind: str, **options: Any) -> list[dict[str, Any]]:
    return [manifest for manifest in rendered(**options) if manifest["kind"] == kind]


def granted(role: dict[str, Any]) -> set[tuple[Right, str]]:
    """List what a role grants, each with the object that it is limited to, if any."""
    return {
        (Right(verb, group, resource), name)
        for rule in role["rules"]
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", [""])
    }


def of(rights: tuple[HubRight, ...]) -> set[tuple[Right, str]]:
    return {(right.right, right.name) for right in rights}


def printed(*options: str) -> list[dict[str, Any]]:
    said = CliRunner().invoke(main, ["render", "operator", *options])
    assert said.exit_code == 0, said.output
    return list(yaml.safe_load_all(said.output))


def test_each_role_grants_just_what_the_operator_does() -> None:
    roles = {r["metadata"]["name"]: r for kind in ("ClusterRole", "Role") for r in of_kind(kind)}
    by_kind = {role["metadata"]["name"]: granted(role) for role in of_kind("ClusterRole")}

    assert by_kind == {f"orrery-operator{part}": of(rights) for part, rights in PARTS.items()}
    assert granted(roles["orrery-operator"]) == of(INSIDE)
    assert roles["orrery-operator"]["metadata"]["namespace"] == "orrery-system"


def test_no_right_has_a_wildcard_or_stands_twice() -> None:
    rights = [*EVERYWHERE, *INSIDE, *TENANTS]
    words = [w for r in rights for w in (r.right.verb, r.right.group, r.right.resource, r.name)]

    assert not [word for word in words if "*" in word]
    assert len(set(rights)) == len(rights)


def test_secrets_are_written_in_the_operators_own_namespace_only_and_never_listed() -> None:
    wide = {right.right.verb for right in TENANTS}
    verbs = {right.right.verb for right in INSIDE if right.right.resource == "secrets"}

    assert wide == {"get"}
    assert not verbs & {"list", "watch"}
    assert not [right for right in EVERYWHERE if right.right.resource == "secrets"]


def test_secrets_can_be_read_in_chosen_namespaces_only() -> None:
    manifests = rendered(tenants=("team-a", "team-b"))

    roles = {m["metadata"]["name"] for m in manifests if m["kind"] == "ClusterRole"}
    places = [
        (m["kind"], m["metadata"]["namespace"])
        for m in manifests
        if m["metadata"]["name"] == "orrery-operator-tenants"
    ]
    assert roles == {"orrery-operator"}
    assert places == [
        (kind, tenant) for tenant in ("team-a", "team-b") for kind in ("Role", "RoleBinding")
    ]


def test_every_binding_is_of_a_role_that_is_there_to_the_account_of_the_pods() -> None:
    manifests = rendered(install="other", namespace="elsewhere", tenants=("team-a",))
    names = {(m["kind"], m["metadata"]["name"]) for m in manifests}
    (deployment,) = (m for m in manifests if m["kind"] == "Deployment")
    account = deployment["spec"]["template"]["spec"]["serviceAccountName"]
    bindings = [m for m in manifests if m["kind"].endswith("Binding")]

    assert ("ServiceAccount", account) in names
    assert len(bindings) == 3
    for binding in bindings:
        subject = {"kind": "ServiceAccount", "name": account, "namespace": "elsewhere"}
        assert binding["subjects"] == [subject]
        assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) in names


def test_two_installations_share_no_object_of_the_cluster() -> None:
    one, other = (
        {(m["kind"], m["metadata"]["name"], m["metadata"].get("namespace", "")) for m in manifests}
        for manifests in (rendered(), rendered(install="other", namespace="elsewhere"))
    )

    assert not one & other


def test_the_pod_starts_the_operator_with_settings_that_it_takes() -> None:
    (deployment,) = of_kind("Deployment", install="other")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    environment = {each["name"]: each.get("value") for each in container["env"]}
    options = {p.name for p in main.commands["run"].params}
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}

    assert container["command"][:2] == ["orrery", "run"]
    assert {name.removeprefix("ORRERY_").lower() for name in environment} <= options
    assert environment["ORRERY_INSTALL"] == "other"
    assert environment["ORRERY_HEALTH_PORT"] == str(ports["health"])
    assert environment["ORRERY_METRICS_PORT"] == str(ports["metrics"])
    assert (Config().health_port, Config().metrics_port) == (HEALTH_PORT, METRICS_PORT)
    assert Config(health_address="", metrics_address="").health_address == ""


def test_probes_and_metrics_reach_the_pods() -> None:
    (deployment,), (service,), (policy,), (budget,) = map(
        of_kind, ("Deployment", "Service", "NetworkPolicy", "PodDisruptionBudget")
    )
    template = deployment["spec"]["template"]
    (container,) = template["spec"]["containers"]
    (rule,) = policy["spec"]["ingress"]
    selectors = [
        service["spec"]["selector"],
        *(m["spec"]["selector"]["matchLabels"] for m in (deployment, budget)),
        policy["spec"]["podSelector"]["matchLabels"],
    ]

    assert selectors == [template["metadata"]["labels"]] * 4
    assert {each["port"] for each in rule["ports"]} == {HEALTH_PORT, METRICS_PORT}
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_the_image_that_nobody_gave_can_be_of_no_registry() -> None:
    assert f"registry.example/orrery:{__version__}" == IMAGE


@pytest.mark.parametrize("version", ["1.30", "1.37"])
def test_every_manifest_has_known_fields_of_the_right_types(version: str) -> None:
    for manifest in printed("--local", "--teardown", "--tenant", "team-a"):
        kubernetes_validate.validate(manifest, version, strict=True)


def test_continents_in_the_hub_itself_have_the_rights_of_any_continent() -> None:
    roles = {
        m["metadata"]["name"]: {right for right, _ in granted(m)}
        for m in printed("--local", "--teardown")
        if m["kind"] == "ClusterRole"
    }

    assert roles["orrery-operator-local"] == set(RIGHTS)
    assert roles["orrery-operator-local-teardown"] == set(TEARDOWN_RIGHTS)


def test_what_is_printed_is_what_the_bases_hold() -> None:
    texts = {path: text for path, text in bases().items() if not path.endswith("tion.yaml")}
    folders = {path.rpartition("/")[0] for path in bases()}
    held = [
        d for path, text in texts.items() if "operator/" in path for d in yaml.safe_load_all(text)
    ]

    assert folders == set(FOLDERS)
    assert held == printed()
    definitions = [yaml.safe_load(text) for path, text in texts.items() if "/crds/" in path]
    assert definitions == [dict(definition) for definition in crd.documents()]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        pytest.param(["--teardown"], "--teardown goes with --local", id="teardown-alone"),
        pytest.param(["--namespace", "No"], "namespace is 'No', must be a name", id="namespace"),
        pytest.param(["--tenant", "a/b"], "namespace is 'a/b', must be a name", id="tenant"),
        pytest.param(["--install", "My-Own"], "1 to 16 characters of a-z and 0-9", id="install"),
    ],
)
def test_what_cannot_be_installed_is_refused(options: list[str], sentence: str) -> None:
    said = CliRunner().invoke(main, ["render", "operator", *options])

    assert said.exit_code != 0
    assert sentence in " ".join(said.output.split())
