"""Keep a client token in a region's Nomad: chosen in a Secret first, then made known.

Whatever happens after the Secret is stored, the same token is made known; one that took another's
place lets nobody use the other, as soon as nobody has to.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from orrery.planning.nomadrights import (
    CreateToken,
    RevokeToken,
    WritePolicy,
    acl_steps,
    strays,
)
from orrery.ports import AclToken, ContinentalCluster, Document, ObjectRef, Pki, RegionAdmin
from orrery.ports.values import decoded
from orrery.reconcile.secretfacts import encode
from orrery.render.region import Blueprint
from orrery.render.region.blueprint import SecretName

ACCESSOR: Final = "accessor"
SECRET: Final = "token"  # noqa: S105 - the name of a key
ROTATION: Final = "rotation"
"""The request for another token that the Secret has answered."""


@dataclass(frozen=True, slots=True)
class TokenPlace:
    """The Secret of a region in which a token is chosen."""

    blueprint: Blueprint
    cluster: ContinentalCluster
    pki: Pki = field(repr=False)
    part: SecretName
    name: str
    """Of the token, and of its policy."""

    async def choose(self, rotation: str = "") -> AclToken:
        """Return the token of the Secret, which is made when it is missing or cannot be one.

        A *rotation* that the Secret has not answered yet makes it another one.
        """
        held = await self._read()
        if held is None:
            await self.cluster.create(self._manifest(rotation))
            held = await self._read()
        heard = _texts(held).get(ROTATION, "")
        token = self._token(held)
        if token is None or (rotation and rotation != heard):
            return await self._renew(held, rotation or heard)
        return token

    async def renew(self) -> AclToken:
        """Choose another token than the one of the Secret."""
        held = await self._read()
        return await self._renew(held, _texts(held).get(ROTATION, ""))

    async def _renew(self, held: Document | None, rotation: str) -> AclToken:
        manifest = self._manifest(rotation)
        if held is not None:
            # Only if it still is the one that was read: somebody else may have chosen meanwhile.
            identity = {key: held["metadata"][key] for key in ("uid", "resourceVersion")}
            manifest["metadata"] = {**manifest["metadata"], **identity}
        token = self._token(await self.cluster.apply(manifest))
        assert token is not None, "it was written just now"
        return token

    async def _read(self) -> Document | None:
        name = self.blueprint.object_name(self.part)
        return await self.cluster.read(ObjectRef("v1", "Secret", self.blueprint.namespace, name))

    def _token(self, held: Document | None) -> AclToken | None:
        texts = _texts(held)
        accessor, secret = (texts.get(key, "") for key in (ACCESSOR, SECRET))
        if not (_is_uuid(accessor) and _is_uuid(secret)):
            return None
        return AclToken(self.name, (self.name,), accessor, secret)

    def _manifest(self, rotation: str) -> dict[str, Any]:
        data = {ACCESSOR: self.pki.token(), SECRET: self.pki.token()}
        if rotation:
            data[ROTATION] = rotation
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": self.blueprint.metadata(self.part),
            "data": encode(data),
        }


async def keep_token(admin: RegionAdmin, wanted: AclToken, rules: str) -> None:
    """Have Nomad know *wanted*, with a policy of its name and these *rules*; no write if it does.

    Whatever is lost in between, the next pass reads and goes on.
    """
    held_rules = await admin.read_policy(wanted.name)
    held = await admin.read_token(wanted.accessor)
    for step in acl_steps(wanted, rules, held_rules=held_rules, held=held):
        match step:
            case WritePolicy(name, text):
                await admin.write_policy(name, text)
            case RevokeToken(accessor):
                await admin.revoke_token(accessor)
            case CreateToken(token):
                await admin.create_token(token)


async def revoke_strays(admin: RegionAdmin, wanted: AclToken) -> None:
    """Revoke what *wanted* took the place of."""
    for step in strays(wanted, await admin.list_tokens()):
        await admin.revoke_token(step.accessor)


def _texts(held: Document | None) -> Mapping[str, str]:
    if held is None:
        return {}
    return {key: value.decode("ascii", "replace") for key, value in decoded(held).items()}


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
