"""One request and its reply, apart from the HTTP library."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, TypeVar

import orjson

from orrery.sim.access import Access
from orrery.sim.refusal import Refusal, bad_request, failed
from orrery.sim.region import SimulatedRegion
from orrery.sim.store import Touched
from orrery.sim.workload import seconds

T = TypeVar("T")

DEFAULT_WAIT: Final = 300.0
MAX_WAIT: Final = 600.0

_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ns|us|ms|s|m|h))+")
_NUMBER = re.compile(r"\d+")


@dataclass(slots=True)
class Reply:
    """What a region answers."""

    body: Any = None
    """A JSON value; without *text*."""
    text: str | None = None
    status: int = HTTPStatus.OK
    index: int | None = None
    next_token: str = ""
    watch: tuple[Touched, ...] = ()
    """What a blocking query waits for; a read without it does not block."""
    empty: bool = False
    """No body at all, not even null."""

    def content(self) -> bytes:
        """Encode the body."""
        if self.empty:
            return b""
        return orjson.dumps(self.body) if self.text is None else self.text.encode()


@dataclass(slots=True)
class Call:
    """One request to a region."""

    region: SimulatedRegion
    method: str
    parts: tuple[str, ...]
    """What the placeholders of the path stand for."""
    query: Mapping[str, str]
    topics: tuple[str, ...] = ()
    body: bytes = field(default=b"", repr=False)
    secret: str = field(default="", repr=False)

    @property
    def access(self) -> Access:
        """What the caller may do. Raises a refusal for an unknown token."""
        return self.region.tenancy.access(self.secret)

    @property
    def namespace(self) -> str:
        """The namespace asked for; ``*`` for all."""
        return self.query.get("namespace") or "default"

    @property
    def min_index(self) -> int:
        """The index that a blocking query wants to see passed; 0: answer at once."""
        text = self.query.get("index", "")
        if text and not _NUMBER.fullmatch(text):
            raise bad_request("Invalid index")
        return int(text or 0)

    @property
    def wait(self) -> float:
        """How many seconds a blocking query may take."""
        text = self.query.get("wait", "")
        if text and not _DURATION.fullmatch(text):
            raise bad_request("Invalid wait time")
        return min(seconds(text) or DEFAULT_WAIT, MAX_WAIT)

    def flag(self, name: str) -> bool:
        """Read a query parameter that is true or false."""
        return self.query.get(name, "") in {"true", "1"}

    def json(self) -> dict[str, Any]:
        """Decode the body, with Go's words for what is no JSON."""
        if not self.body:
            raise bad_request("Request body is empty")
        try:
            document = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            raise bad_request("unexpected EOF") from None
        if not isinstance(document, dict):
            kind = "array" if isinstance(document, list) else "value"
            raise bad_request(f"json: cannot unmarshal {kind} into Go value of type object")
        return document


def paged(
    call: Call, rows: Iterable[T], key: Callable[[T], tuple[str, ...]]
) -> tuple[list[T], str]:
    """Return one page of sorted *rows*, and the token of the next one."""
    if call.query.get("filter"):
        raise failed("a simulated region has no filter expressions")
    text = call.query.get("per_page", "")
    if text and not _NUMBER.fullmatch(text):
        raise bad_request("Expect a number for `per_page` query string parameter")
    size = int(text or 0)
    listed = list(rows)
    if call.flag("reverse"):
        listed.reverse()
    if token := call.query.get("next_token", ""):
        start = tuple(token.split(".", 1))
        if len(start) == 1 and listed and len(key(listed[0])) > 1:
            start = (token, "")
        backwards = call.flag("reverse")
        listed = [r for r in listed if (key(r) <= start if backwards else key(r) >= start)]
    if size and len(listed) > size:
        return listed[:size], ".".join(key(listed[size]))
    return listed, ""


def missing(text: str, *, index: int, watch: tuple[Touched, ...]) -> Reply:
    """Say that there is no such thing; a blocking query may wait for it."""
    return Reply(text=text, status=HTTPStatus.NOT_FOUND, index=index, watch=watch)


def refused(refusal: Refusal) -> Reply:
    """Say no."""
    return Reply(text=refusal.text, status=refusal.status, index=refusal.index)
