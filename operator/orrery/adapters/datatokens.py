"""Sign the tokens by which a kuma-cp knows data planes, as Kuma's own issuer does (2.14).

A token is a JWT. Kuma finds the key that proves it by the header ``kid``, and demands of a data
plane what the token says of its mesh, its name and its workload.
"""

import uuid
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from orrery.adapters.pki import BACKDATING
from orrery.ports import SigningKey

KEY_BITS: Final = 2048
"""Of a key for signing tokens, at least."""


@dataclass(frozen=True, slots=True)
class DataPlaneToken:
    """A token, and the id by which it can be revoked."""

    token: str = field(repr=False)
    id: str


@dataclass(frozen=True, slots=True)
class DataPlane:
    """Whom a token is for; what is empty is not looked at."""

    mesh: str
    name: str
    workload: str


def is_usable(key: SigningKey) -> bool:
    """Whether *key* signs, and what it signs is proven by its public half."""
    private = _private(key.private)
    if private is None:
        return False
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode()
    return public.strip() == key.public.strip()


def sign(
    key: SigningKey, data_plane: DataPlane, *, key_id: str, now: datetime, expires: datetime
) -> DataPlaneToken:
    """Make a token for *data_plane* that counts from a little before *now* until *expires*.

    Raises `ValueError` for a *key* that is not usable.
    """
    private = _private(key.private)
    if private is None:
        raise ValueError("this is no RSA key for signing tokens")
    begins, token_id = int((now - BACKDATING).timestamp()), str(uuid.uuid4())
    claims = {
        "Mesh": data_plane.mesh,
        "Name": data_plane.name,
        "Workload": data_plane.workload,
        "Type": "dataplane",
        "Tags": {},
        "jti": token_id,
        "iat": begins,
        "nbf": begins,
        "exp": int(expires.timestamp()),
    }
    header = {"alg": "RS256", "kid": key_id, "typ": "JWT"}
    signed = f"{_part(header)}.{_part(claims)}"
    signature = private.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return DataPlaneToken(f"{signed}.{_encoded(signature)}", token_id)


def _private(pem: str) -> rsa.RSAPrivateKey | None:
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError):
        return None
    return key if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= KEY_BITS else None


def _part(document: dict[str, Any]) -> str:
    return _encoded(orjson.dumps(document))


def _encoded(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()
