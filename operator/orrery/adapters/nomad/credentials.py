"""Turn credentials into what a connection needs, and refuse what is unusable.

Refusals name the field of the Secret and never its content: a parser's own words may quote it, so
they are not chained either.
"""

import ipaddress
import os
import re
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509 import Certificate, load_pem_x509_certificates

from orrery.api.conditions import Reason
from orrery.errors import InvalidSpec
from orrery.ports import Credentials

_HOST = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
_TOKEN = re.compile(r"[\x21-\x7e]{0,512}")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The only place that a token may be sent to."""

    scheme: str
    host: str
    port: int

    @property
    def secure(self) -> bool:
        """Tell whether connections use TLS."""
        return self.scheme == "https"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def parse_endpoint(text: str) -> Endpoint:
    """Read ``scheme://host:port``; plain HTTP is for loopback addresses only."""
    if "@" in text:
        raise _invalid("the endpoint must not hold a user or a password")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _invalid(f"endpoint {text[:200]!a} is not a URL") from None
    if parts.scheme not in {"http", "https"}:
        raise _invalid(f"endpoint {text[:200]!a} must be https://host:port")
    if parts.path not in {"", "/"} or parts.query or parts.fragment or port == 0:
        raise _invalid(f"endpoint {text[:200]!a} must be scheme, host and port only")
    if not (_HOST.fullmatch(host) or _is_address(host)):
        raise _invalid(f"endpoint {text[:200]!a} has no usable host name")

    endpoint = Endpoint(parts.scheme, host, port or (443 if parts.scheme == "https" else 80))
    if not endpoint.secure and not _is_loopback(host):
        raise _invalid(f"endpoint {endpoint} is not encrypted: http is for loopback addresses only")
    return endpoint


def parse_token(text: str) -> str:
    """Strip the line end that files leave, and refuse what cannot stand in a header."""
    token = text.strip()
    if not _TOKEN.fullmatch(token):
        raise _invalid("token has characters that cannot be sent, or more than 512 of them")
    return token


def tls_context(credentials: Credentials) -> ssl.SSLContext:
    """Trust the given CA alone, check the host's name, present the client certificate if any."""
    _certificates("ca.crt", credentials.ca)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cadata=credentials.ca)
    except (ssl.SSLError, ValueError):
        raise _invalid("ca.crt holds no usable certificate") from None

    if credentials.certificate or credentials.key:
        _check_pair(credentials.certificate, credentials.key)
        with _as_file(f"{credentials.certificate}\n{credentials.key}") as path:
            try:
                context.load_cert_chain(path, password="")
            except (ssl.SSLError, OSError):
                raise _invalid("tls.crt and tls.key are refused by the TLS library") from None
    return context


def _check_pair(certificate: str, key: str) -> None:
    leaf = _certificates("tls.crt", certificate)[0]
    try:
        private = load_pem_private_key(key.encode(), password=None)
    except TypeError:
        raise _invalid("tls.key is encrypted: a key without a password is needed") from None
    except Exception:  # noqa: BLE001 - the parser has no common base for its errors
        raise _invalid("tls.key holds no private key in PEM form") from None
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if private.public_key().public_bytes(*form) != leaf.public_key().public_bytes(*form):
        raise _invalid("tls.key does not belong to the certificate in tls.crt")


def _certificates(field: str, pem: str) -> list[Certificate]:
    if not pem.strip():
        raise _invalid(f"{field} is missing")
    try:
        return load_pem_x509_certificates(pem.encode())
    except ValueError:
        raise _invalid(f"{field} holds no certificate in PEM form") from None


@contextmanager
def _as_file(text: str) -> Iterator[str]:
    """Lend *text* to OpenSSL, which reads keys from files only, without touching a disk."""
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("orrery"), "w") as file:
            file.write(text)
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}"
    else:
        with tempfile.NamedTemporaryFile("w") as named:
            named.write(text)
            named.flush()
            yield named.name


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _invalid(message: str) -> InvalidSpec:
    return InvalidSpec(Reason.CREDENTIALS_INVALID, message)
