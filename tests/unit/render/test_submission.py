"""Submission and digests: what a job came from is kept beside it, and foreign notes are ignored."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.render.deployments import a_regional, a_spec

from orrery.api.globaldeployment import GlobalDeploymentSpec
from orrery.api.regionclass import DOCKER
from orrery.ports import Submission
from orrery.render.digest import job_digest, spec_revision
from orrery.render.nomad_job import render_job
from orrery.render.submission import TEMPLATE_VERSION, parse_submission, render_submission


def render(spec: GlobalDeploymentSpec) -> Submission:
    return render_submission(
        spec,
        install="orrery",
        namespace="team-a",
        name="shop",
        generation=7,
        revision="0123456789",
        digest="0123456789abcdef",
    )


def test_a_note_is_read_back_as_it_was_written() -> None:
    spec = a_spec(scaling={"count": 3}, resources={"memoryMB": 300})

    note = parse_submission(render(spec))

    assert note is not None
    assert (note.template, note.install, note.namespace) == (TEMPLATE_VERSION, "orrery", "team-a")
    assert (note.name, note.generation) == ("shop", 7)
    assert (note.revision, note.digest) == ("0123456789", "0123456789abcdef")
    assert GlobalDeploymentSpec.model_validate(note.spec) == spec


@pytest.mark.parametrize(
    "source",
    ["", "job {}", "{}", "[]", "null", '"x"', '{"orrery": "1"}', "\x00", "[" * 5000],
    ids=lambda source: source[:10],
)
def test_a_foreign_submission_is_none_of_ours(source: str) -> None:
    assert parse_submission(Submission(source=source)) is None


def test_no_submission_is_no_note() -> None:
    assert parse_submission(None) is None


@given(st.text())
def test_any_text_can_be_read(source: str) -> None:
    assert parse_submission(Submission(source=source)) is None


def test_a_newer_orrery_may_have_said_more() -> None:
    document = json.loads(render(a_spec()).source) | {"orrery": 99, "new": True}

    note = parse_submission(Submission(source=json.dumps(document)))

    assert note is not None
    assert note.template == 99


def test_the_digest_ignores_the_description_and_the_order_of_keys() -> None:
    job = dict(render_job(a_regional(), install="orrery", driver=DOCKER, region_class="standard"))

    digest = job_digest(job)

    assert len(digest) == 16
    assert job_digest(dict(reversed(job.items())) | {"UI": {"Description": "x"}}) == digest
    assert job_digest(job | {"ID": "other"}) != digest


def test_the_revision_names_the_contents_of_the_spec() -> None:
    revision = spec_revision(a_spec())

    assert len(revision) == 10
    assert spec_revision(a_spec(paused=True)) == revision
    assert spec_revision(a_spec(scaling={"count": 2})) != revision
