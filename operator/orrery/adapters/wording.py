"""Say in a few words, the same each time, why a request got no reply. Pure.

Both HTTP clients use it, the one of the hub and the one of a region's Nomad.
"""

import os
import ssl
from dataclasses import dataclass

import aiohttp

_REFUSED_CERTIFICATE = ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED")
"""Words of TLS alerts by which a server turns our certificate down, as OpenSSL spells them."""


@dataclass(frozen=True, slots=True)
class NoReply:
    """What happened to a request."""

    words: str
    sent: bool
    """Whether anything of the request can have been sent."""
    private: bool = False
    """Whether the error shows the request's headers, and so the token: it must not be chained."""


def no_reply(error: aiohttp.ClientError | OSError) -> NoReply:
    """Say what *error*, of the HTTP library, means."""
    if isinstance(error, aiohttp.ClientResponseError):
        return NoReply("answers with something else than HTTP", sent=True, private=True)
    words = _no_connection(error)
    if words:
        return NoReply(words, sent=False)
    return NoReply("the connection was cut before the reply was complete", sent=True)


def _no_connection(error: aiohttp.ClientError | OSError) -> str:
    """Say why there was no connection to send on, nothing when there was one."""
    match error:
        case aiohttp.InvalidURL():
            words = "this is no address"
        case aiohttp.ConnectionTimeoutError():
            words = "no connection in time"
        case aiohttp.ClientConnectorDNSError():
            words = "the host name is not known"
        case aiohttp.ClientConnectorCertificateError():
            reason = getattr(error.certificate_error, "verify_message", "") or "it does not fit"
            words = f"its certificate is not accepted: {reason}"
        case aiohttp.ClientConnectorError():
            words = f"no connection: {_words(error.os_error)}"
        case _:
            alert = _tls_alert(error)
            words = f"it does not accept our certificate: {alert}" if alert else ""
    return words


def _words(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"TLS: {(error.reason or 'handshake failed').replace('_', ' ').lower()}"
    return os.strerror(error.errno).lower() if error.errno else "the host cannot be reached"


def _tls_alert(error: BaseException) -> str:
    """Find the alert of a server that turned our certificate down, after TLS 1.3's handshake."""
    cause: BaseException | None = error
    while cause:
        reason = getattr(cause, "reason", None) if isinstance(cause, ssl.SSLError) else None
        if reason and "ALERT" in reason and any(word in reason for word in _REFUSED_CERTIFICATE):
            return str(reason).replace("_", " ").lower()
        cause = cause.__cause__ or cause.__context__
    return ""
