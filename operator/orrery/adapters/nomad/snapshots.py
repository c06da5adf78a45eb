"""Take a snapshot of a region's Nomad: a file with all that its servers know."""

import base64
import binascii
import hashlib
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import BinaryIO, Final

from orrery.adapters.nomad.credentials import parse_endpoint, parse_token, tls_context
from orrery.adapters.nomad.replies import TransportFailure
from orrery.adapters.nomad.transport import Transport
from orrery.api.conditions import Reason
from orrery.errors import Refused, Unreachable
from orrery.ports import Credentials

TARGET: Final = "/v1/operator/snapshot"
DEADLINE: Final = 60.0
"""Seconds until the leader has made it."""
WORDS: Final = 300
"""Bytes of a refusal that are read."""


async def save_snapshot(credentials: Credentials, target: BinaryIO) -> int:
    """Write a snapshot to *target* and return its size in bytes.

    It is whole when this returns: its bytes have the digest that Nomad told. Raises `Refused` when
    the token may not take snapshots, and `Unreachable` for all else, as when there is no leader.
    """
    endpoint = parse_endpoint(credentials.endpoint)
    transport = Transport(
        endpoint,
        token=parse_token(credentials.token),
        tls=tls_context(credentials) if endpoint.secure else None,
        connections=1,
        connect_timeout=10.0,
    )
    try:
        async with transport.stream(TARGET, deadline=DEADLINE) as reply:
            if reply.status != HTTPStatus.OK:
                words = (await reply.read())[:WORDS].decode(errors="replace").strip()
                message = f"{endpoint}: no snapshot: Nomad answered {reply.status}: {words}"
                if reply.status == HTTPStatus.FORBIDDEN:
                    raise Refused(Reason.NOMAD_REFUSED, message)
                raise Unreachable(Reason.REGION_UNREACHABLE, message)
            return await _copy(str(endpoint), reply.read, reply.digest, target)
    except TransportFailure as failure:
        message = f"{endpoint}: no snapshot: {failure.message}"
        raise Unreachable(Reason.REGION_UNREACHABLE, message) from failure
    finally:
        await transport.close()


async def _copy(
    endpoint: str, read: Callable[[], Awaitable[bytes]], digest: str, target: BinaryIO
) -> int:
    told, size = _sha256(digest), 0
    found = hashlib.sha256()
    while chunk := await read():
        found.update(chunk)
        size += len(chunk)
        target.write(chunk)
    if not told or found.digest() != told:
        message = f"{endpoint}: no snapshot: what came is not whole ({size} bytes)"
        raise Unreachable(Reason.REGION_UNREACHABLE, message)
    return size


def _sha256(digest: str) -> bytes:
    """Read the header ``Digest``; nothing when it is none that we know."""
    kind, _, value = digest.partition("=")
    try:
        return base64.b64decode(value, validate=True) if kind.lower() == "sha-256" else b""
    except binascii.Error:
        return b""
