"""Request targets: a name never reaches another resource."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.adapters.nomad.paths import job_path, log_target, namespace_path, variable_target
from orrery.errors import InvalidSpec

HOSTILE = [
    "",
    ".",
    "..",
    "a/../../acl/tokens",
    "a/allocations",
    "a..b",
    "a?namespace=other",
    "a#b",
    "a b",
    "a%2f..%2facl",
    "a\x00b",
    "a\n",
    "a\r\nX-Nomad-Token: x",
    "шоп",
    "a\u202eb",
    "a" * 129,
    "*",
    "~",
]


@pytest.mark.parametrize("job_id", HOSTILE)
def test_hostile_job_ids_are_refused(job_id: str) -> None:
    with pytest.raises(InvalidSpec, match="cannot be used as a Nomad job id"):
        job_path("team-a", job_id)


@pytest.mark.parametrize("namespace", [*HOSTILE, "team_a", "team.a"])
def test_hostile_namespaces_are_refused_everywhere(namespace: str) -> None:
    refused = "cannot be used as a Nomad namespace"

    with pytest.raises(InvalidSpec, match=refused):
        job_path(namespace, "shop")
    with pytest.raises(InvalidSpec, match=refused):
        variable_target(namespace, "nomad/jobs/shop")
    with pytest.raises(InvalidSpec, match=refused):
        namespace_path(namespace)


@pytest.mark.parametrize(
    "path",
    [
        *(p for p in HOSTILE if p not in {"~", "a/allocations"}),
        "/nomad/jobs/a",
        "nomad/jobs/",
        "nomad//jobs",
        "nomad/jobs/../x",
        "nomad/jobs/a.b",
    ],
)
def test_hostile_variable_paths_are_refused(path: str) -> None:
    with pytest.raises(InvalidSpec, match="cannot be used as a Nomad variable path"):
        variable_target("team-a", path)


def test_targets_name_the_namespace_and_the_query() -> None:
    assert job_path("team-a", "shop") == "/v1/job/shop?namespace=team-a"
    assert (
        job_path("team-a", "shop", "/submission", version=3)
        == "/v1/job/shop/submission?namespace=team-a&version=3"
    )
    assert (
        variable_target("team-a", "nomad/jobs/shop", cas=0)
        == "/v1/var/nomad/jobs/shop?namespace=team-a&cas=0"
    )
    assert namespace_path("team-a") == "/v1/namespace/team-a"


@given(st.text(max_size=140), st.text(max_size=140))
def test_what_is_accepted_stays_in_its_place(namespace: str, job_id: str) -> None:
    try:
        target = job_path(namespace, job_id)
    except InvalidSpec as refusal:
        words = refusal.message
    else:
        words = ""
        assert target == f"/v1/job/{job_id}?namespace={namespace}"
        assert set(job_id) <= set(string.ascii_letters + string.digits + "._-")
        assert ".." not in job_id
        assert set(namespace) <= set(string.ascii_letters + string.digits + "-")

    assert words.isascii()
    assert words.isprintable()


@pytest.mark.parametrize("one", [*HOSTILE, "e0000000", "E0000000-0000-0000-0000-000000000000"])
def test_hostile_allocation_ids_are_refused(one: str) -> None:
    with pytest.raises(InvalidSpec, match="cannot be used as a Nomad allocation id"):
        log_target(one, "app")


@pytest.mark.parametrize("task", HOSTILE)
def test_hostile_tasks_are_refused(task: str) -> None:
    with pytest.raises(InvalidSpec, match="cannot be used as a Nomad task"):
        log_target("e0000000-0000-0000-0000-000000000000", task)
