"""Ask a region's Nomad for a token that introduces a machine: who has it may join, for a while."""

from base64 import urlsafe_b64decode
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from orrery.adapters.nomad.credentials import parse_endpoint, parse_token, tls_context
from orrery.adapters.nomad.decoding import UnreadableDocument, readable
from orrery.adapters.nomad.limits import Limits
from orrery.adapters.nomad.replies import Call, TransportFailure, failed, judge, unreadable
from orrery.adapters.nomad.transport import Transport
from orrery.ports import Credentials

_PATH: Final = "/v1/acl/identity/client-introduction-token"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CALL: Final = Call("introduce a machine", right="node:write")
"""Nomad keeps nothing of it: the token is signed and handed out, so the call writes nothing."""


@dataclass(frozen=True, slots=True)
class Introduction:
    """A token, and until when it counts; Nomad may have cut the time that was asked for."""

    token: str = field(repr=False)
    expires: datetime


async def introduce(
    credentials: Credentials, *, machine: str, lifetime: timedelta, limits: Limits | None = None
) -> Introduction:
    """Ask for a token for the machine of that name, or for any when *machine* is empty.

    Needs a token with the right node:write. It may be used several times until it expires. Raises
    `Unreachable` or `Refused`, and `InvalidSpec` for unusable credentials.
    """
    limits = limits or Limits()
    endpoint = parse_endpoint(credentials.endpoint)
    token = parse_token(credentials.token)
    transport = Transport(
        endpoint,
        token=token,
        tls=tls_context(credentials) if endpoint.secure else None,
        connections=1,
        connect_timeout=limits.connect_timeout,
    )
    body = {"TTL": f"{int(lifetime.total_seconds())}s", "NodeName": machine}
    try:
        reply = await transport.call(
            "POST",
            _PATH,
            body=orjson.dumps(body),
            deadline=limits.deadline,
            max_bytes=limits.reply_bytes,
        )
    except TransportFailure as failure:
        raise failed(_CALL, str(endpoint), failure) from failure
    finally:
        await transport.close()
    error = judge(_CALL, str(endpoint), reply, token=token)
    if error:
        raise error
    try:
        return readable(reply.body, _introduction)
    except UnreadableDocument:
        raise unreadable(_CALL, str(endpoint)) from None  # its cause may hold the token


def _introduction(document: Any) -> Introduction:
    """Read the answer; the token itself says when it expires."""
    token = document["JWT"]
    _, claims, _ = token.split(".")
    seconds = orjson.loads(urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["exp"]
    return Introduction(token, _EPOCH + timedelta(seconds=seconds))
