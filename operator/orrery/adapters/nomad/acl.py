"""Write a client token and its policy as Nomad's API takes them. Pure."""

from typing import Any

from orrery.adapters.nomad.paths import collection
from orrery.ports import AclToken, Document


def policy_path(token: AclToken) -> str:
    """Name the policy of *token*."""
    return collection(f"/v1/acl/policy/{token.name}")


def token_path(token: AclToken) -> str:
    """Name *token* by its accessor, which is no secret."""
    return collection(f"/v1/acl/token/{token.accessor}")


def policy(token: AclToken) -> Document:
    """Write the policy of *token*."""
    return {"Name": token.name, "Rules": token.rules}


def token(token: AclToken) -> Document:
    """Write *token*: Nomad takes a pair of ids that it does not know for a new one (2.0.6)."""
    return {
        "AccessorID": token.accessor,
        "SecretID": token.secret,
        "Name": token.name,
        "Type": "client",
        "Policies": [token.name],
    }


def read_token(document: dict[str, Any]) -> bool:
    """Tell whether Nomad knows a token."""
    return bool(document["AccessorID"])
