"""Verdicts on replies: the words as Nomad 2.0.6 says them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.adapters.nomad.replies import (
    Call,
    Reply,
    TransportFailure,
    failed,
    is_missing,
    judge,
    one_line,
    unreadable,
)
from orrery.errors import Conflict, OrreryError, OutcomeUnknown, Refused, Unreachable

ENDPOINT = "https://fra.example:4646"
READ = Call("list nodes")
REGISTER = Call('register job "shop" in namespace "t"', writes=True, submits=True)
PLAN = Call('plan job "shop" in namespace "t"', submits=True)
WRITE_VARIABLE = Call('write variable "v" in "t"', writes=True, secret=True)


def verdict(call: Call, status: int, words: str) -> OrreryError:
    error = judge(call, ENDPOINT, Reply(status, words.encode()), token="s3cr3t")
    assert error
    return error


@pytest.mark.parametrize("status", [200, 204])
def test_success_is_no_error(status: int) -> None:
    assert judge(READ, ENDPOINT, Reply(status, b"{}"), token="") is None


@pytest.mark.parametrize(
    ("call", "status", "words", "expected"),
    [
        (REGISTER, 500, "Enforcing job modify index 0: job already exists", Conflict),
        (
            REGISTER,
            500,
            "Enforcing job modify index 10: job exists with conflicting job modify index: 11",
            Conflict,
        ),
        (REGISTER, 500, "rpc error: Enforcing job modify index 10: job does not exist", Conflict),
        (WRITE_VARIABLE, 409, '{"Items":{"password":"hunter2"}}', Conflict),
        (REGISTER, 403, "Permission denied", Refused),
        (READ, 403, "Permission denied", Refused),
        (REGISTER, 400, "Job ID does not match", Refused),
        (REGISTER, 404, "Invalid method", Refused),
        (REGISTER, 500, "1 error occurred:\n\t* Missing job task groups\n\n", Refused),
        (REGISTER, 500, "2 errors occurred:\n\t* one\n\t* two\n\n", Refused),
        (PLAN, 500, '1 error occurred:\n\t* job "x" is in nonexistent namespace "y"\n', Refused),
        (REGISTER, 500, 'cannot update job from type "service" to "batch"', Refused),
        (REGISTER, 500, "No path to region", Refused),
        (REGISTER, 500, "No cluster leader", OutcomeUnknown),
        (REGISTER, 500, "Not ready to serve consistent reads", OutcomeUnknown),
        (REGISTER, 500, "rpc error: EOF", OutcomeUnknown),
        (REGISTER, 500, "", OutcomeUnknown),
        (REGISTER, 502, "<html>Bad gateway</html>", OutcomeUnknown),
        (READ, 500, "No cluster leader", Unreachable),
        (READ, 500, "1 error occurred:\n\t* boom", Unreachable),
        (PLAN, 500, "rpc error: EOF", Unreachable),
        (READ, 502, "<html>Bad gateway</html>", Unreachable),
        (READ, 404, "<html>Not found</html>", Unreachable),
        (READ, 429, "", Unreachable),
        (REGISTER, 429, "", Unreachable),
        (READ, 302, "", Unreachable),
        (REGISTER, 307, "", Unreachable),
        (READ, 206, "[]", Unreachable),
    ],
)
def test_verdict(call: Call, status: int, words: str, expected: type[OrreryError]) -> None:
    assert type(verdict(call, status, words)) is expected


def test_a_refused_job_is_explained_in_nomads_words_on_one_line() -> None:
    error = verdict(REGISTER, 500, "2 errors occurred:\n\t* Missing   job\n\t* No group\n\n")

    assert error.reason == "JobRefused"
    assert error.message == (
        'Nomad refuses to register job "shop" in namespace "t": Missing job; No group'
    )


def test_nested_lists_of_errors_become_one_sentence() -> None:
    words = "1 error occurred:\n\t* Group a failed: 2 errors occurred:\n\t\t* one\n\t\t* two\n\n\n"

    assert one_line(words) == "Group a failed: one; two"


def test_a_missing_right_names_the_call() -> None:
    error = verdict(READ, 403, "Permission denied")

    assert error.reason == "NomadRefused"
    assert error.message == "Nomad does not let this token list nodes: Permission denied"


def test_too_many_connections_come_with_a_hint() -> None:
    assert "http_max_conns_per_client" in verdict(READ, 429, "").message


def test_a_failure_reads_the_same_whatever_nomad_adds() -> None:
    first = verdict(READ, 500, "rpc error: dial tcp 127.0.0.1:35263: connection refused")
    second = verdict(READ, 500, "rpc error: dial tcp 127.0.0.1:40111: i/o timeout")

    assert first.message == second.message == f"{ENDPOINT}: answers 500"
    assert "35263" in first.__notes__[0]


def test_the_token_is_cut_out_of_what_is_quoted() -> None:
    refused = verdict(REGISTER, 400, "bad header s3cr3t")
    broken = verdict(READ, 500, "bad header s3cr3t")

    assert refused.message.endswith("bad header [token]")
    assert broken.__notes__ == ["Nomad answered 500: bad header [token]"]


def test_words_that_may_quote_secret_values_are_not_shown() -> None:
    for status in (400, 409, 500):
        error = verdict(WRITE_VARIABLE, status, '1 error occurred: {"password":"hunter2"}')
        assert "hunter2" not in error.message + str(getattr(error, "__notes__", ""))

    limit = verdict(WRITE_VARIABLE, 400, "RPC Error:: 400,variables are limited to 64KiB")
    assert limit.message.endswith(": variables are limited to 64KiB")


def test_only_nomads_own_words_mean_that_something_is_missing() -> None:
    assert is_missing(Reply(404, b"job not found"))
    assert is_missing(Reply(404, b"Namespace not found\n"))
    assert not is_missing(Reply(404, b"<h1>404 not found</h1>"))
    assert not is_missing(Reply(404, b""))
    assert not is_missing(Reply(200, b"job not found"))


def test_a_write_that_was_never_sent_has_no_unknown_outcome() -> None:
    never = failed(REGISTER, ENDPOINT, TransportFailure("no connection: refused", sent=False))
    maybe = failed(REGISTER, ENDPOINT, TransportFailure("no answer in time", sent=True))

    assert type(never) is Unreachable
    assert never.reason == "RegionUnreachable"
    assert type(maybe) is OutcomeUnknown


def test_an_unreadable_reply_to_a_write_leaves_its_outcome_unknown() -> None:
    assert type(unreadable(REGISTER, ENDPOINT)) is OutcomeUnknown
    assert type(unreadable(READ, ENDPOINT)) is Unreachable


@given(st.text(max_size=2000))
def test_one_line_is_one_printable_line(text: str) -> None:
    line = one_line(text)

    assert len(line) <= 300
    assert line.isprintable()


@given(st.integers(100, 599), st.binary(max_size=300), st.sampled_from([READ, REGISTER, PLAN]))
def test_every_reply_has_a_verdict(status: int, body: bytes, call: Call) -> None:
    error = judge(call, ENDPOINT, Reply(status, body), token="s3cr3t")

    assert (error is None) == (status in {200, 204})
    if not call.writes:
        assert not isinstance(error, OutcomeUnknown)
