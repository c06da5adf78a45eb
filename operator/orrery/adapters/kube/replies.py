"""Turn the API server's answers into the error tree. Pure."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from orrery.errors import Conflict, OrreryError, Refused, Unreachable


@dataclass(frozen=True, slots=True)
class Remote:
    """Whose API server it is: what messages call it, and how the reasons of its errors begin."""

    title: str
    prefix: str
    credentials: str = "our credentials"
    """What messages call that by which it knows us."""

    @property
    def unreachable(self) -> str:
        """The reason of an answer that did not come."""
        return f"{self.prefix}Unreachable"


HUB: Final = Remote("the hub", "Hub")


@dataclass(frozen=True, slots=True)
class Reply:
    """What the API server answered."""

    status: int
    document: dict[str, Any]
    retry_after: float | None = None

    @property
    def ok(self) -> bool:
        """Whether the request did what it asked for."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def missing(self) -> bool:
        """Whether the object, or its kind, does not exist."""
        return self.status == HTTPStatus.NOT_FOUND

    @property
    def exists(self) -> bool:
        """Whether an object of that name exists already."""
        taken = self.document.get("reason") == "AlreadyExists"
        return self.status == HTTPStatus.CONFLICT and taken

    @property
    def throttled(self) -> bool:
        """Whether the server turned the request away unread, to be sent again."""
        return self.status == HTTPStatus.TOO_MANY_REQUESTS

    @property
    def lost_race(self) -> bool:
        """Whether the object is not as the request expected.

        A JSON patch whose test fails is "invalid" without a word of what (Kubernetes 1.34); a
        document that breaks its schema names the object and the causes.
        """
        return self.status == HTTPStatus.CONFLICT or (
            self.status == HTTPStatus.UNPROCESSABLE_ENTITY and not self.document.get("details")
        )


def error_of(request: str, reply: Reply, remote: Remote = HUB) -> OrreryError:
    """Say what an answer of *remote* other than success means for *request*."""
    message = f"{request}: {reply.document.get('message') or f'HTTP {reply.status}'}"
    if reply.lost_race:
        return Conflict(f"{remote.prefix}Conflict", message)
    if reply.throttled or reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unreachable(remote.unreachable, message)
    match reply.status:
        case HTTPStatus.UNAUTHORIZED:
            message = f"{request}: {remote.title} does not know {remote.credentials}"
            return Refused(f"{remote.prefix}Unauthorized", message)
        case HTTPStatus.FORBIDDEN:
            return Refused(f"{remote.prefix}Forbidden", message)
        case _:
            return Refused(f"{remote.prefix}Refused", message)
