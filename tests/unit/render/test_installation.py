"""The operator itself, as manifests: no right too many, nothing that strict clusters refuse."""

from collections.abc import Sequence
from typing import Any

import kubernetes_validate
import pytest
from tests.unit.render.region.test_schemas import VERSIONS

from orrery.planning.rights import RIGHTS
from orrery.ports.hubrights import EVERYWHERE, INSIDE, TENANTS
from orrery.render.installation import Installation, render_installation, render_local_rights


def rendered(**options: Any) -> list[dict[str, Any]]:
    installation = Installation(**options)
    found = [m for each in render_installation(installation).values() for m in each]
    return [*found, *render_local_rights(installation, RIGHTS, "local")]


def rules(manifests: Sequence[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [rule for m in manifests if m["kind"] == kind for rule in m["rules"]]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_has_known_fields_of_the_right_types(version: str) -> None:
    for manifest in rendered(tenants=["shop"]):
        kubernetes_validate.validate(manifest, version, strict=True)


def test_no_rule_has_a_wildcard() -> None:
    manifests = rendered(tenants=["shop"])
    found = rules(manifests, "ClusterRole") + rules(manifests, "Role")

    words = {
        word for rule in found for words in rule.values() for word in words if "*" in str(word)
    }
    assert len(found) > 10
    assert words == set()


def test_what_is_granted_is_what_the_operator_looks_for() -> None:
    manifests = [m for each in render_installation(Installation()).values() for m in each]
    granted = {
        (verb, rule["apiGroups"][0], rule["resources"][0])
        for kind in ("ClusterRole", "Role")
        for rule in rules(manifests, kind)
        for verb in rule["verbs"]
    }

    wanted = [each.right for each in (*EVERYWHERE, *INSIDE, *TENANTS)]
    assert granted == {(right.verb, right.group, right.resource) for right in wanted}


def test_secrets_are_written_in_its_own_namespace_only() -> None:
    manifests = [m for each in render_installation(Installation()).values() for m in each]

    everywhere = [r for r in rules(manifests, "ClusterRole") if "secrets" in r["resources"]]
    assert [rule["verbs"] for rule in everywhere] == [["get"]]


def test_with_tenants_secrets_are_read_in_their_namespaces_only() -> None:
    manifests = [
        m for each in render_installation(Installation(tenants=["a", "b"])).values() for m in each
    ]

    assert not [r for r in rules(manifests, "ClusterRole") if "secrets" in r["resources"]]
    places = {m["metadata"]["namespace"] for m in manifests if m["kind"] == "Role"}
    assert places == {"orrery-system", "a", "b"}


def test_two_installations_share_no_role_of_the_cluster() -> None:
    names = [
        {m["metadata"]["name"] for m in rendered(install=one) if m["kind"].startswith("Cluster")}
        for one in ("orrery", "other")
    ]

    assert names[0].isdisjoint(names[1])
