"""The calls of `orrery.ports.RegionAdmin`: the only ones that send a management token."""

from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final

from orrery.adapters.nomad import translate
from orrery.adapters.nomad.limits import Limits
from orrery.adapters.nomad.paths import collection, policy_path, token_path
from orrery.adapters.nomad.replies import Call
from orrery.adapters.nomad.requester import Requester
from orrery.ports import AclToken, AclTokenStub, Credentials

MANAGEMENT: Final = "a management token"


class AdminClient(Requester):
    """Implements `orrery.ports.RegionAdmin`; connects with the first call."""

    def __init__(self, credentials: Credentials, limits: Limits | None = None) -> None:
        token = credentials.management or credentials.token
        super().__init__(replace(credentials, token=token, management=""), limits)

    async def create_namespace(self, name: str, description: str) -> None:
        """Create a namespace; one that exists would get another description."""
        call = Call(f'create namespace "{name}"', writes=True, right=MANAGEMENT)
        body = {"Name": name, "Description": description}
        await self._write(call, "POST", collection("/v1/namespace"), body)

    async def read_policy(self, name: str) -> str | None:
        """Read the rules of a policy, None when it does not exist."""
        call = Call(f'read ACL policy "{name}"', right=MANAGEMENT)
        return await self._find(call, policy_path(name), translate.policy_rules)

    async def write_policy(self, name: str, rules: str) -> None:
        """Create a policy, or give it other rules. They count at once, for all its tokens."""
        call = Call(f'write ACL policy "{name}"', writes=True, right=MANAGEMENT)
        body = {"Name": name, "Rules": rules}
        await self._write(call, "POST", policy_path(name), body)

    async def list_tokens(self) -> Sequence[AclTokenStub]:
        """List all tokens."""
        call = Call("list ACL tokens", right=MANAGEMENT)
        return (await self._list(call, "/v1/acl/tokens", translate.token_stubs))[1]

    async def read_token(self, accessor: str) -> AclToken | None:
        """Read a token, None when it does not exist."""
        call = Call("read an ACL token", secret=True, right=MANAGEMENT)
        return await self._find(call, token_path(accessor), translate.token)

    async def create_token(self, token: AclToken) -> None:
        """Have Nomad know a token: it takes two ids that it does not know for a new one (2.0.6)."""
        call = Call(f'create ACL token "{token.name}"', writes=True, secret=True, right=MANAGEMENT)
        await self._write(call, "POST", token_path(token.accessor), _body(token))

    async def revoke_token(self, accessor: str) -> None:
        """Revoke a token; one that does not exist is revoked."""
        call = Call("revoke an ACL token", writes=True, right=MANAGEMENT)
        # "Cannot delete nonexistent tokens", and the path has been checked (Nomad 2.0.6).
        unknown = HTTPStatus.BAD_REQUEST
        await self._reply(call, "DELETE", token_path(accessor), accept=unknown)


def _body(token: AclToken) -> dict[str, Any]:
    return {
        "AccessorID": token.accessor,
        "SecretID": token.secret,
        "Name": token.name,
        "Type": "management" if token.management else "client",
        "Policies": list(token.policies),
    }
