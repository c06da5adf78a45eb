"""Rights: each is there for a call that is made, and none is wider than that."""

from orrery.planning.rights import RIGHTS, TEARDOWN_RIGHTS, render_rbac
from orrery.ports import Right


def test_no_right_has_a_wildcard_or_stands_twice() -> None:
    words = [word for right in RIGHTS for word in (right.verb, right.group, right.resource)]

    assert not [word for word in words if "*" in word]
    assert len(set(RIGHTS)) == len(RIGHTS)


def test_what_cannot_be_made_anew_cannot_be_deleted() -> None:
    kept = {"secrets", "namespaces", "persistentvolumeclaims", "pods"}

    assert not [right for right in RIGHTS if right.resource in kept and right.verb == "delete"]
    assert Right("list", "", "secrets") not in RIGHTS


def test_a_teardown_needs_one_right_more_and_only_when_asked_for() -> None:
    (role,) = [m for m in render_rbac("test", teardown=True) if m["kind"] == "ClusterRole"]

    granted = [(rule["resources"], rule["verbs"]) for rule in role["rules"]]
    assert (Right("delete", "", "namespaces"),) == TEARDOWN_RIGHTS
    assert (["namespaces"], ["get", "create", "patch", "delete"]) in granted
    assert len({str(resources) for resources, _ in granted}) == len(granted)


def test_all_kinds_are_applied_by_the_same_rights() -> None:
    for verb in ("get", "create", "patch"):
        assert Right(verb, "apps", "statefulsets") in RIGHTS
        assert Right(verb, "", "namespaces") in RIGHTS


def test_the_role_grants_just_the_rights_to_the_account() -> None:
    by_kind = {manifest["kind"]: manifest for manifest in render_rbac("test")}

    granted = {
        Right(verb, group, resource)
        for rule in by_kind["ClusterRole"]["rules"]
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    account = by_kind["ServiceAccount"]["metadata"]
    (subject,) = by_kind["ClusterRoleBinding"]["subjects"]

    assert granted == set(RIGHTS)
    assert (subject["name"], subject["namespace"]) == (account["name"], account["namespace"])
    assert by_kind["ClusterRoleBinding"]["roleRef"]["name"] == "test-hub"
    assert {manifest["metadata"]["name"] for manifest in render_rbac("test")} == {
        "orrery-system",
        "test-hub",
        "test-hub-token",
    }
