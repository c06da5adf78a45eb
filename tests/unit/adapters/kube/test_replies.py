"""Replies: what the API server answers becomes the error that decides what happens next."""

import pytest

from orrery.adapters.kube.replies import Reply, error_of
from orrery.errors import Conflict, OrreryError, Refused, Unreachable

TEST_FAILED = {"message": "the server rejected our request", "reason": "Invalid", "details": {}}
SCHEMA_BROKEN = {"message": "phase: must be string", "details": {"name": "fra", "causes": [{}]}}


@pytest.mark.parametrize(
    ("status", "document", "error"),
    [
        pytest.param(400, {}, Refused, id="bad-request"),
        pytest.param(401, {}, Refused, id="unknown-credentials"),
        pytest.param(403, {"message": "may not"}, Refused, id="forbidden"),
        pytest.param(404, {}, Refused, id="missing"),
        pytest.param(409, {}, Conflict, id="conflict"),
        pytest.param(422, TEST_FAILED, Conflict, id="failed-test-of-a-patch"),
        pytest.param(422, SCHEMA_BROKEN, Refused, id="schema"),
        pytest.param(429, {}, Unreachable, id="busy"),
        pytest.param(500, {}, Unreachable, id="broken"),
        pytest.param(504, {}, Unreachable, id="gateway"),
    ],
)
def test_each_answer_has_its_error(
    status: int, document: dict[str, object], error: type[OrreryError]
) -> None:
    found = error_of("PATCH /x", Reply(status, document))

    assert type(found) is error
    assert found.message.startswith("PATCH /x: ")


def test_the_words_of_the_server_are_kept() -> None:
    found = error_of("GET /x", Reply(403, {"message": 'user "a" cannot list regions'}))

    assert found.message == 'GET /x: user "a" cannot list regions'


def test_an_answer_without_words_shows_its_status() -> None:
    assert error_of("GET /x", Reply(502, {})).message == "GET /x: HTTP 502"
