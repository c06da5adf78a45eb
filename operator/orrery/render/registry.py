"""Find a registry's credentials in a Secret of type ``kubernetes.io/dockerconfigjson``. Pure."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pydantic import BaseModel, ValidationError

DOCKER_CONFIG_KEY: Final = ".dockerconfigjson"
DOCKER_HUB: Final = "docker.io"

_HUB_ALIASES: Final = frozenset({DOCKER_HUB, "index.docker.io", "registry-1.docker.io"})


@dataclass(frozen=True, slots=True)
class RegistryCredentials:
    """What a registry asks for."""

    username: str
    password: str = field(repr=False)


class _Entry(BaseModel):
    username: str = ""
    password: str = ""
    auth: str = ""


class _DockerConfig(BaseModel):
    auths: dict[str, _Entry]


class UnusableDockerConfig(ValueError):
    """The Secret's content is not a Docker configuration; the message never quotes it."""


def registry_host(image: str) -> str:
    """Return the registry that *image* is pulled from.

    As Docker reads references: the part before the first slash is a host only if it has a dot or a
    port, or is localhost.
    """
    first, slash, _ = image.partition("/")
    is_host = bool(slash) and ("." in first or ":" in first or first == "localhost")
    return _canonical_host(first) if is_host else DOCKER_HUB


def find_credentials(config: bytes, image: str) -> RegistryCredentials | None:
    """Find the credentials for *image* in a Docker *config*; the longest matching entry wins."""
    repository = _repository(image)
    entries = _parse(config)
    matching = [key for key in entries if f"{repository}/".startswith(f"{key}/")]
    return entries[max(matching, key=len)] if matching else None


def registry_hosts(config: bytes) -> tuple[str, ...]:
    """Name the registries that a Docker *config* has credentials for."""
    return tuple(sorted(_parse(config)))


def _parse(config: bytes) -> Mapping[str, RegistryCredentials]:
    try:
        parsed = _DockerConfig.model_validate_json(config)
    except ValidationError:
        raise UnusableDockerConfig("is not a Docker configuration with `auths`") from None
    return {_canonical_key(key): _credentials(entry) for key, entry in parsed.auths.items()}


def _credentials(entry: _Entry) -> RegistryCredentials:
    if entry.username or entry.password or not entry.auth:
        return RegistryCredentials(entry.username, entry.password)
    try:
        decoded = base64.b64decode(entry.auth, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise UnusableDockerConfig("has an `auth` that is not base64 text") from None
    username, _, password = decoded.partition(":")
    return RegistryCredentials(username, password)


def _repository(image: str) -> str:
    """Strip tag and digest from *image*, and complete its registry."""
    name, _, _ = image.partition("@")
    path, slash, last = name.rpartition("/")
    name = f"{path}{slash}{last.partition(':')[0]}"
    host = registry_host(image)
    first, slash, rest = name.partition("/")
    if slash and _canonical_host(first) == host:
        return f"{host}/{rest}"
    return f"{host}/{name}"


def _canonical_key(key: str) -> str:
    key = re.sub(r"^https?://", "", key).rstrip("/")
    key = re.sub(r"/v[12]$", "", key)
    host, slash, rest = key.partition("/")
    return f"{_canonical_host(host)}{slash}{rest}"


def _canonical_host(host: str) -> str:
    return DOCKER_HUB if host in _HUB_ALIASES else host
