"""Read a kubeconfig that stands in a Secret, and refuse what it must not say.

Whoever may write the Secret must not have the operator run programs or read its files, so nothing
but embedded credentials is taken. Refusals name the field and never its content: a parser's own
words may quote it, so they are not chained either.
"""

import binascii
import ipaddress
import os
import re
import ssl
import tempfile
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from orrery.errors import InvalidSpec

LONGEST: Final = 128 * 1024
"""Characters of a kubeconfig: the loop serves all regions while one is read."""

DEEPEST: Final = 20
"""Levels of a kubeconfig; building what is nested more deeply can end the process."""

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The one in C takes milliseconds where the other takes seconds."""

_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,16384}")
_HOST: Final = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9_][A-Za-z0-9_-]{0,62}(?:\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*\.?"
)

_OF_CLUSTER: Final = frozenset(
    {
        "server",
        "certificate-authority-data",
        "tls-server-name",
        "proxy-url",
        "insecure-skip-tls-verify",
        "disable-compression",
        "extensions",
    }
)
_OF_USER: Final = frozenset({"token", "client-certificate-data", "client-key-data", "extensions"})
_WHY: Final = {
    "exec": "it would run a program in the operator's pod",
    "auth-provider": "it would run code and send credentials elsewhere",
    "tokenFile": "it would read a file of the operator's pod: embed it as token",
    "client-certificate": "it would read a file: embed it as client-certificate-data",
    "client-key": "it would read a file: embed it as client-key-data",
    "certificate-authority": "it would read a file: embed it as certificate-authority-data",
}


@dataclass(frozen=True, slots=True)
class Way:
    """The way to a cluster, and who we are there."""

    server: str
    authority: str = ""
    """Certificates to trust; empty for those that the system trusts."""
    server_name: str = ""
    proxy: str = ""
    token: str = field(default="", repr=False)
    certificate: str = ""
    key: str = field(default="", repr=False)

    def tls_context(self) -> ssl.SSLContext:
        """Check the server against the authority, and present the client certificate if any."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.authority:
            try:
                context.load_verify_locations(cadata=self.authority)
            except (ssl.SSLError, ValueError):
                raise _invalid("certificate-authority-data holds no certificate") from None
        else:
            context.load_default_certs()
        if self.certificate:
            with _as_file(f"{self.certificate}\n{self.key}") as path:
                try:
                    context.load_cert_chain(path, password="")
                except (ssl.SSLError, OSError):
                    message = "client-certificate-data and client-key-data are no usable pair"
                    raise _invalid(message) from None
        return context


def parse_kubeconfig(text: str) -> Way:
    """Read the current context of *text*. Raises `InvalidSpec` for what cannot or must not be."""
    document = _document(text)
    name = document.get("current-context")
    if not name or not isinstance(name, str):
        raise _invalid("current-context is missing")
    context = _entry(document, "contexts", name, "context", "current-context")
    where = f"contexts[{name}].context"
    cluster_name, user_name = (_text(context, key, where) for key in ("cluster", "user"))
    cluster = _entry(document, "clusters", cluster_name, "cluster", f"{where}.cluster")
    user = _entry(document, "users", user_name, "user", f"{where}.user")
    at_cluster, at_user = f"clusters[{cluster_name}].cluster", f"users[{user_name}].user"
    _check_fields(cluster, _OF_CLUSTER, at_cluster)
    _check_fields(user, _OF_USER, at_user)
    if cluster.get("insecure-skip-tls-verify"):
        message = f"{at_cluster}.insecure-skip-tls-verify must be false: anybody could answer"
        raise _invalid(message)
    way = Way(
        server=_server(_text(cluster, "server", at_cluster), f"{at_cluster}.server"),
        authority=_embedded(cluster, "certificate-authority-data", at_cluster),
        server_name=_text(cluster, "tls-server-name", at_cluster),
        proxy=_proxy(_text(cluster, "proxy-url", at_cluster), f"{at_cluster}.proxy-url"),
        token=_token(_text(user, "token", at_user).strip(), f"{at_user}.token"),
        certificate=_embedded(user, "client-certificate-data", at_user),
        key=_embedded(user, "client-key-data", at_user),
    )
    if bool(way.certificate) != bool(way.key):
        message = f"{at_user}: client-certificate-data and client-key-data go together"
        raise _invalid(message)
    if not way.token and not way.certificate:
        message = f"{at_user} holds no credentials: a token, or client-certificate-data and its key"
        raise _invalid(message)
    return way


def _document(text: str) -> Mapping[str, Any]:
    if len(text) > LONGEST:
        raise _invalid(f"it is longer than {LONGEST} characters")
    try:
        _check_shape(text)
        document = yaml.load(text, _LOADER)  # noqa: S506 - both loaders are safe ones
    except (yaml.YAMLError, ValueError, RecursionError):
        document = None
    if not isinstance(document, Mapping):
        raise _invalid("it is not YAML with clusters, users and contexts")
    return document


def _check_shape(text: str) -> None:
    """Refuse, before anything is built, what would grow without limit when it is."""
    depth = 0
    for event in yaml.parse(text, _LOADER):
        if isinstance(event, yaml.AliasEvent):
            raise _invalid("it has YAML aliases, which could stand for anything")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            raise _invalid(f"it is nested more than {DEEPEST} levels deep")


def _entry(
    document: Mapping[str, Any], part: str, name: str, inside: str, named_by: str
) -> Mapping[str, Any]:
    listed = document.get(part)
    for item in listed if isinstance(listed, list) else ():
        if isinstance(item, Mapping) and item.get("name") == name:
            found = item.get(inside)
            if isinstance(found, Mapping):
                return found
    raise _invalid(f'{named_by} names "{name[:100]}", which {part} does not have')


def _check_fields(fields: Mapping[str, Any], allowed: frozenset[str], where: str) -> None:
    for name in sorted(map(str, fields)):
        if name not in allowed and fields.get(name) not in (None, ""):
            why = _WHY.get(name, "it is none of what Orrery understands")
            raise _invalid(f"{where}.{name[:100]} is not allowed: {why}")


def _text(fields: Mapping[str, Any], name: str, where: str) -> str:
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise _invalid(f"{where}.{name} must be text")
    return value or ""


def _embedded(fields: Mapping[str, Any], name: str, where: str) -> str:
    try:
        text = "".join(_text(fields, name, where).split())
        return b64decode(text, validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        raise _invalid(f"{where}.{name} is not text in base64") from None


def _token(token: str, where: str) -> str:
    if token and not _TOKEN.fullmatch(token):
        raise _invalid(f"{where} has characters that cannot be sent, or is too long")
    return token


def _server(text: str, where: str) -> str:
    scheme, host, rest = _split(text, where)
    if scheme not in {"https", "http"} or rest:
        raise _invalid(f"{where} must be https://host:port, with a path where there is one")
    if scheme == "http" and not _is_loopback(host):
        raise _invalid(f"{where} is not encrypted: http is for loopback addresses only")
    return text.rstrip("/")


def _proxy(text: str, where: str) -> str:
    if text and _split(text, where)[0] not in {"https", "http"}:
        raise _invalid(f"{where} must be http:// or https://")
    if urlsplit(text).username is not None:
        raise _invalid(f"{where} must not hold a user name or a password")
    return text


def _split(text: str, where: str) -> tuple[str, str, str]:
    """Return scheme and host of a URL, and what else it has beside port and path."""
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        usable = _HOST.fullmatch(host) or _is_address(host)
        if not usable or parts.port == 0:
            raise _invalid(f"{where} is not a URL with a host")
    except ValueError:
        raise _invalid(f"{where} is not a URL with a host") from None
    beside = (parts.query, parts.fragment, parts.username or "", parts.password or "")
    return parts.scheme, host, "".join(beside)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


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


def _invalid(message: str) -> InvalidSpec:
    return InvalidSpec("KubeconfigInvalid", f"the kubeconfig cannot be used: {message}")
