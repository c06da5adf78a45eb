"""Call a region's Nomad as a stranger does: its authority is trusted, no certificate is shown.

Since TLS 1.3 a client's handshake is over before the server has looked for its certificate. The
refusal is an alert that comes after it, so there is something to wait for before anything is sent.
"""

import asyncio
import ssl
from typing import Final

from orrery.adapters.nomad.credentials import Endpoint, tls_context
from orrery.api.conditions import Reason
from orrery.errors import Unreachable
from orrery.ports import Credentials

REFUSAL_WITHIN: Final = 1.5
"""Seconds that a refusal may take after the handshake; several round trips around the world."""

_REQUEST: Final = b"GET /v1/status/leader HTTP/1.1\r\nHost: nomad\r\nConnection: close\r\n\r\n"
_ALERTS: Final = ("CERTIFICATE", "HANDSHAKE_FAILURE")
"""How servers put it: certificate required in TLS 1.3; handshake failure, or a bad one, before."""


async def is_admitted(endpoint: Endpoint, credentials: Credentials, *, deadline: float) -> bool:
    """Tell whether *endpoint* answers a caller without a certificate. Raises `Unreachable`.

    What is neither an answer nor a refusal by the very server is no verdict.
    """
    context = tls_context(Credentials(endpoint=credentials.endpoint, token="", ca=credentials.ca))
    try:
        async with asyncio.timeout(deadline):
            return await _ask(endpoint, context)
    except ssl.SSLCertVerificationError as error:
        raise _no_verdict(endpoint, "its certificate cannot be verified") from error
    except ssl.SSLError as error:
        if any(word in (error.reason or "") for word in _ALERTS):
            return False
        raise _no_verdict(endpoint, "breaks the TLS handshake off") from error
    except TimeoutError as error:
        raise _no_verdict(endpoint, "no answer in time") from error
    except OSError as error:
        raise _no_verdict(endpoint, "does not take the connection") from error


async def _ask(endpoint: Endpoint, context: ssl.SSLContext) -> bool:
    reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port, ssl=context)
    try:
        # From here on the server has proved who it is: however it ends the call, that was a no.
        try:
            async with asyncio.timeout(REFUSAL_WITHIN):
                return bool(await reader.read(1))
        except TimeoutError:
            writer.write(_REQUEST)
            await writer.drain()
            return bool(await reader.read(1))
    except (ssl.SSLError, ConnectionError):
        return False
    finally:
        writer.transport.abort()


def _no_verdict(endpoint: Endpoint, words: str) -> Unreachable:
    return Unreachable(Reason.REGION_UNREACHABLE, f"{endpoint}: {words}")
