"""Judge what Nomad answered: an HTTP status and words become a leaf of the error tree. Pure.

Nomad answers 500 to a lost compare-and-set, to an invalid job and to a failure alike; only the
words tell them apart (checked on 2.0.6). Of the rest, a write may have happened.

Messages stay the same from one attempt to the next. Nomad's own words are shown where it refuses,
which is about the request; elsewhere they may name addresses and ids, and travel as a note.
"""

import re
from dataclasses import dataclass, field
from http import HTTPStatus

from orrery.api.conditions import Reason
from orrery.errors import Conflict, OrreryError, OutcomeUnknown, Refused, Unreachable

LONGEST_WORDS = 300

_CONFLICT = "Enforcing job modify index"
_NO_LEADER = ("No cluster leader", "Not ready to serve consistent reads")
_REFUSALS = re.compile(
    r"\A\d+ errors? occurred:|errors? occurred:\s+\*|nonexistent namespace|Invalid namespace"
    r"|\Acannot update |\Ajob can't be |is read-only\Z|No path to region|[Vv]alidation"
    r"|\Amismatched request namespace"
)
_COUNTED = re.compile(r"\d+ errors? occurred:\s*(?:\* )?")
_PREFIX = re.compile(r"\A(?:rpc error: |RPC Error:: \d+,)+")
_MARKUP = re.compile(r"\A\s*<")


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete reply, with the headers that Nomad's protocol uses."""

    status: int
    body: bytes = field(repr=False)
    index: int = 0
    next_token: str = ""
    date: str = ""
    """When the server answered, by its own clock, as HTTP writes it."""


class TransportFailure(Exception):
    """No usable reply came. *sent* tells whether the request may have reached the server."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.message = message
        self.sent = sent


@dataclass(frozen=True, slots=True)
class Call:
    """One request, for people: *what* it does reads like "register job "shop" in "team-a"."""

    what: str
    writes: bool = False
    submits: bool = False
    """Its body is a job, so the refusal is about the job."""
    secret: bool = False
    """Its body holds secret values, which a reply may quote."""
    right: str = ""
    """What a token needs for it, in the words of `orrery region rights`."""


def judge(call: Call, endpoint: str, reply: Reply, *, token: str) -> OrreryError | None:
    """Say what *reply* means for *call*; None for success."""
    if reply.status in {HTTPStatus.OK, HTTPStatus.NO_CONTENT}:
        return None
    said = plain_words(reply.body, token=token)
    error = _judge(call, endpoint, reply.status, said)
    if said and not call.secret and not isinstance(error, Refused):
        error.add_note(f"Nomad answered {reply.status}: {one_line(said)}")
    return error


def failed(call: Call, endpoint: str, failure: TransportFailure) -> OrreryError:
    """Say what it means for *call* that no usable reply came."""
    if call.writes and failure.sent:
        return OutcomeUnknown("OutcomeUnknown", f"{call.what}: {endpoint}: {failure.message}")
    return Unreachable(Reason.REGION_UNREACHABLE, f"{endpoint}: {failure.message}")


def unreadable(call: Call, endpoint: str) -> OrreryError:
    """Say what it means for *call* that a good status came with a body that is not Nomad's."""
    words = "answers with something else than Nomad's JSON"
    return failed(call, endpoint, TransportFailure(words, sent=True))


def is_missing(reply: Reply) -> bool:
    """Tell Nomad's own "not found" from the 404 of a proxy or of another server.

    Taking the latter for an absent job would make a region look empty.
    """
    said = plain_words(reply.body, token="")
    return reply.status == HTTPStatus.NOT_FOUND and said.rstrip(" .\n").endswith("not found")


def plain_words(body: bytes, *, token: str) -> str:
    """Read the text of an error, without *token*; nothing when it is a page of markup."""
    text = body[:4096].decode("utf-8", "replace")
    if _MARKUP.match(text):
        return ""
    return text.replace(token, "[token]") if token else text


def one_line(text: str) -> str:
    """Fold Nomad's lists of errors into one line of at most 300 characters."""
    text = _COUNTED.sub("", _PREFIX.sub("", text.strip()))
    items = [" ".join(part.split()) for part in re.split(r"\s*\n\s*\* ", text)]
    line = "; ".join(item for item in items if item)
    line = "".join(c if c.isprintable() else "?" for c in line)
    return line if len(line) <= LONGEST_WORDS else f"{line[: LONGEST_WORDS - 3]}..."


def _judge(call: Call, endpoint: str, status: int, said: str) -> OrreryError:
    if status == HTTPStatus.CONFLICT or _CONFLICT in said:
        return Conflict("Conflict", f"{call.what}: somebody wrote in between")
    if status == HTTPStatus.NOT_FOUND and not call.writes:
        return unreadable(call, endpoint)
    redirect = HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST
    if redirect or status == HTTPStatus.TOO_MANY_REQUESTS:
        return failed(call, endpoint, TransportFailure(_turned_away(status), sent=False))
    invalid = (call.writes or call.submits) and _REFUSALS.search(said)
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR or invalid:
        return _refusal(call, status, said)
    no_leader = any(words in said for words in _NO_LEADER)
    words = "the region has no leader" if no_leader else f"answers {status}"
    return failed(call, endpoint, TransportFailure(words, sent=True))


def _turned_away(status: int) -> str:
    """Explain a status by which a server says that it did nothing."""
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return "too many connections; see Nomad's limits.http_max_conns_per_client"
    return f"answers with a redirect ({status}), and none is followed"


def _refusal(call: Call, status: int, said: str) -> Refused:
    words = _quote(call, said) or f"HTTP {status}"
    if status == HTTPStatus.FORBIDDEN:
        takes = f"; that takes {call.right}" if call.right else ""
        message = f"Nomad does not let this token {call.what}: {words}{takes}"
        return Refused(Reason.NOMAD_REFUSED, message)
    reason = Reason.JOB_REFUSED if call.submits else Reason.NOMAD_REFUSED
    return Refused(reason, f"Nomad refuses to {call.what}: {words}")


def _quote(call: Call, said: str) -> str:
    """Quote Nomad, unless its words could hold a secret value of the request."""
    if call.secret and not _PREFIX.match(said):
        return "its words are not shown, they may quote secret values"
    return one_line(said)
