"""The ACLs of a region in memory. Nobody is asked for a token until they are *enforced*."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from inspect import iscoroutinefunction
from typing import Any, Final

from orrery.api.conditions import Reason
from orrery.errors import Refused, Unreachable
from orrery.ports import AclToken, AclTokenStub, RegionAdmin

_MANAGEMENT: Final = frozenset(
    name for name, call in vars(RegionAdmin).items() if iscoroutinefunction(call)
) - {"close"}
"""The calls that take a management token."""


@dataclass
class Acl:
    """Policies and tokens. A client token with a policy may do what takes no management token."""

    enforced: bool = False
    management: str = field(default="", repr=False)
    """The management token; nobody has it while it is empty."""
    policies: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, AclToken] = field(default_factory=dict)
    """By accessor."""
    used: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Calls, by the secret that they were made with and their name."""

    def demand(self, secret: str, call: str) -> None:
        """Raise `Refused` unless *secret* is that of a token that may do *call*."""
        self.used[secret, call] += 1
        manages = bool(secret) and secret == self.management
        known = {token.secret for token in self.tokens.values() if self._has_policy(token)}
        if not (manages or (call not in _MANAGEMENT and secret in known)):
            raise Refused(Reason.NOMAD_REFUSED, f"Nomad does not let this token {call}")

    def _has_policy(self, token: AclToken) -> bool:
        return any(name in self.policies for name in token.policies)


class AclCalls(ABC):
    """The part of a region in memory that implements `orrery.ports.RegionAdmin`."""

    def __init__(self) -> None:
        self.acl = Acl()
        self.leaderless = False
        """Whether there is nobody to ask for ACLs, as while a leader is elected."""
        self.writes: Counter[str] = Counter()

    @abstractmethod
    async def arrive(self) -> None:
        """Take the time that a call takes. Raises `Unreachable` while the region is dark."""

    @abstractmethod
    def reply(self) -> None:
        """Answer a write, unless its reply is one that gets lost."""

    async def _ask(self) -> None:
        await self.arrive()
        if self.leaderless:
            raise Unreachable(Reason.REGION_UNREACHABLE, "No cluster leader")

    async def read_policy(self, name: str) -> str | None:
        """Read the rules of a policy."""
        await self._ask()
        return self.acl.policies.get(name)

    async def write_policy(self, name: str, rules: str) -> None:
        """Write a policy."""
        await self._ask()
        self.writes["policy"] += 1
        self.acl.policies[name] = rules
        self.reply()

    async def list_tokens(self) -> Sequence[AclTokenStub]:
        """List the tokens."""
        await self._ask()
        return [
            AclTokenStub(token.name, token.policies, token.accessor)
            for token in self.acl.tokens.values()
        ]

    async def read_token(self, accessor: str) -> AclToken | None:
        """Read a token."""
        await self._ask()
        return self.acl.tokens.get(accessor)

    async def create_token(self, token: AclToken) -> None:
        """Create a token."""
        await self._ask()
        self.writes["token"] += 1
        self.acl.tokens[token.accessor] = token
        self.reply()

    async def revoke_token(self, accessor: str) -> None:
        """Revoke a token."""
        await self._ask()
        if self.acl.tokens.pop(accessor, None) is not None:
            self.writes["revocation"] += 1
        self.reply()


class Bearer:
    """A region as somebody with tokens sees it: hands every attribute through, asks at each call.

    *management* is shown where it takes a management token, *secret* elsewhere.
    """

    def __init__(self, region: AclCalls, secret: str, management: str) -> None:
        self._region = region
        self._secret = secret
        self._management = management

    def __getattr__(self, name: str) -> Any:
        """Return a call of the region that is denied to those who may not do it."""
        attribute = getattr(self._region, name)
        if not iscoroutinefunction(attribute) or name == "close":
            return attribute
        shown = self._management if name in _MANAGEMENT else self._secret

        async def asked(*positional: Any, **keywords: Any) -> Any:
            self._region.acl.demand(shown, name)
            return await attribute(*positional, **keywords)

        return asked
