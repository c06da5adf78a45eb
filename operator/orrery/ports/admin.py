"""What takes a management token in a region's Nomad: namespaces, ACL policies, ACL tokens.

A port of its own, so that the code shows where such a token is used: whatever takes a `RegionNomad`
works with a token that may do none of this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class AclToken:
    """A client token as Nomad holds it, or is to hold it."""

    name: str
    policies: Sequence[str]
    accessor: str
    secret: str = field(repr=False)
    """Both UUIDs, chosen before Nomad hears of them: nothing is lost when its answer is."""
    management: bool = False


@dataclass(frozen=True, slots=True)
class AclTokenStub:
    """One row of the list of tokens: all but its secret."""

    name: str
    policies: Sequence[str]
    accessor: str
    management: bool = False


class RegionAdmin(Protocol):
    """The calls to one region's Nomad that it allows to a management token only."""

    async def create_namespace(self, name: str, description: str) -> None:
        """Create a namespace; one that exists would get another description."""

    async def read_policy(self, name: str) -> str | None:
        """Read the rules of a policy, None when it does not exist."""

    async def write_policy(self, name: str, rules: str) -> None:
        """Create a policy, or give it other rules. They count at once, for all its tokens."""

    async def list_tokens(self) -> Sequence[AclTokenStub]:
        """List all tokens."""

    async def read_token(self, accessor: str) -> AclToken | None:
        """Read a token, None when it does not exist."""

    async def create_token(self, token: AclToken) -> None:
        """Have Nomad know a token that it does not know.

        The ids may be those of a token that was revoked. Nomad takes a second token with the
        secret of another, so never offer one again under another accessor.
        """

    async def revoke_token(self, accessor: str) -> None:
        """Revoke a token; one that does not exist is revoked."""

    async def close(self) -> None:
        """Close all connections."""
