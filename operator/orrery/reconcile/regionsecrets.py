"""Keep the Secrets of a region's control plane: certificates, the key of its gossip, its token.

They exist in the continent's cluster only. What cannot be made again without harm, the authority
above all, is created and never replaced unasked; leaves are replaced when they must be.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from orrery import names
from orrery.api.conditions import Reason
from orrery.errors import Conflict, InvalidSpec
from orrery.planning.certificates import (
    AuthorityStep,
    Facts,
    Issue,
    Leaf,
    Loss,
    Step,
    Trust,
    Wanted,
    authority_lost,
    next_step,
)
from orrery.ports import Clock, ContinentalCluster, Document, KeyPair, ObjectRef, Pki
from orrery.reconcile.meshleaves import TOKEN_KEYS, mesh_leaf_secrets, signing_texts
from orrery.reconcile.regionleaves import leaf_secrets, region_leaves
from orrery.reconcile.secretfacts import (
    AUTHORITY_KEYS,
    PREVIOUS,
    ROTATION,
    TRUSTED_SINCE,
    USED_SINCE,
    bundle,
    decode,
    digest,
    encode,
    issue_leaf,
    joint_digest,
    pair_in,
    read_facts,
    texts_of,
)
from orrery.render.region.blueprint import Blueprint, Component, SecretName
from orrery.render.region.postgres import PASSWORD_KEY

log = logging.getLogger(__name__)

AUTHORITY_LIFETIME: Final = timedelta(days=3650)

STEPS_MAX: Final = 30
"""More than any pass takes: beyond, somebody else keeps writing the same Secrets."""


@dataclass(frozen=True, slots=True)
class OperatorCredentials:
    """What Orrery shows at the region's front door, and what it trusts there. All PEM."""

    ca: str
    certificate: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SecretsOutcome:
    """What the Secrets hold after a pass."""

    authority: str
    """Fingerprint (SHA-256) of the region's authority, to be remembered."""
    expires: datetime
    """When the first of the certificates expires."""
    nomad_tls_digest: str
    """Digest of what the servers mount, made of certificates only: another one, another rollout."""
    nomad_tls_expires: datetime
    """When the servers' certificate expires."""
    front_door_tls_digest: str
    """The same of what the front door mounts."""
    mesh_tls_digest: str
    """The same of what the mesh mounts, empty without one."""
    operator: OperatorCredentials
    lost: InvalidSpec | None = None
    """That the management token is gone: whoever has another token goes on with it."""


async def ensure_secrets(
    blueprint: Blueprint,
    cluster: ContinentalCluster,
    pki: Pki,
    clock: Clock,
    *,
    authority: str,
    settled: bool = True,
    mounted: str | None = None,
    in_use: bool = False,
) -> SecretsOutcome:
    """Make what is missing, replace what must be, write nothing when all is well.

    *authority* is the fingerprint that the Region's status remembers, empty before the first.
    While not *settled*, when servers have yet to take over what they mount, an authority that is
    being replaced stays at its stage; so it does while what they *mounted*, a `nomad_tls_digest`,
    is not what is held. Once they are *in_use*, the key of the gossip and the token are not made
    anew: servers would have another one. Raises `InvalidSpec` when something is lost that no pass
    can do without.
    """
    keeper = _Keeper(blueprint, cluster, pki, datetime.fromtimestamp(clock.now(), UTC))
    await keeper.gather()
    settled = settled and (mounted is None or mounted == keeper.nomad_tls_digest)
    await keeper.keep_certificates(authority, settled=settled)
    keys: Sequence[tuple[SecretName, str, Callable[[], str]]] = (
        (SecretName.GOSSIP, "gossip.json", lambda: _gossip(pki.gossip_key())),
        (SecretName.BOOTSTRAP, "token", pki.token),
    )
    lost: InvalidSpec | None = None
    for part, key, make in keys:
        missing = keeper.missing(part) if in_use else None
        if missing is None:
            await keeper.keep(part, key, make)
        elif part is SecretName.BOOTSTRAP:
            lost = missing
        else:
            raise missing
    if SecretName.POSTGRES in leaf_secrets(blueprint) and not await _has_database(
        blueprint, cluster
    ):
        await keeper.keep(SecretName.POSTGRES_PASSWORD, PASSWORD_KEY, pki.token)
    if SecretName.KUMA in leaf_secrets(blueprint):
        await keeper.keep_all(SecretName.KUMA_TOKENS, lambda: signing_texts(pki), *TOKEN_KEYS)
    return replace(keeper.outcome(), lost=lost)


async def _has_database(blueprint: Blueprint, cluster: ContinentalCluster) -> bool:
    """Tell whether PostgreSQL runs: it took over its password once, and knows no other."""
    name = blueprint.object_name(Component.POSTGRES)
    ref = ObjectRef("apps/v1", "StatefulSet", blueprint.namespace, name)
    return await cluster.read(ref) is not None


class _Keeper:
    """One pass over the Secrets of one region."""

    def __init__(
        self, blueprint: Blueprint, cluster: ContinentalCluster, pki: Pki, now: datetime
    ) -> None:
        self._blueprint = blueprint
        self._cluster = cluster
        self._pki = pki
        self._now = now
        self._annotations = blueprint.region.metadata.annotations
        self._leaves = region_leaves(blueprint)
        self._leaf_secrets = leaf_secrets(blueprint)
        self._kept = [
            SecretName.AUTHORITY,
            *self._leaf_secrets,
            SecretName.GOSSIP,
            SecretName.BOOTSTRAP,
        ]
        if SecretName.POSTGRES in self._leaf_secrets:
            self._kept.append(SecretName.POSTGRES_PASSWORD)
        if SecretName.KUMA in self._leaf_secrets:
            self._kept.append(SecretName.KUMA_TOKENS)
        self._parts = {blueprint.object_name(part): part for part in self._kept}
        self._held: dict[SecretName, Document | None] = {}

    async def gather(self) -> None:
        """Read all Secrets."""
        await asyncio.gather(*map(self._read, self._kept))

    async def keep_certificates(self, remembered: str, *, settled: bool) -> None:
        """Take one step after the other until all is well."""
        if remembered == self._annotations.get(names.ANNOTATION_FORGET_AUTHORITY):
            remembered = ""
        wanted = Wanted(
            self._leaves,
            remembered=remembered,
            rotation=self._annotations.get(names.ANNOTATION_ROTATE_AUTHORITY, ""),
            settled=settled,
        )
        for _ in range(STEPS_MAX):
            facts = self._facts()
            loss = authority_lost(facts, remembered)
            if loss is not None:
                raise InvalidSpec(Reason.AUTHORITY_LOST, self._tell(loss, remembered))
            step = next_step(facts, wanted, self._now)
            if step is None:
                return
            await self._take(step, wanted)
        where = f"in namespace {self._blueprint.namespace}"
        raise Conflict("SecretsContested", f"somebody else keeps writing the Secrets {where}")

    def missing(self, part: SecretName) -> InvalidSpec | None:
        """Say that the Secret of *part* is gone, when it is, and where its value still is."""
        if self._held[part] is not None:
            return None
        name, namespace = self._blueprint.object_name(part), self._blueprint.namespace
        message = f'Secret "{name}" in namespace "{namespace}" is gone: {self._remedy(part)}'
        return InvalidSpec(Reason.SECRET_LOST, message)

    def _remedy(self, part: SecretName) -> str:
        if part is SecretName.BOOTSTRAP:
            copy = self._blueprint.region.credentials_secret
            return (
                "restore it from a backup, or make it with the key token from the key"
                f' management-token of the hub\'s Secret "{copy}"; another token would not be known'
                " to Nomad"
            )
        return (
            'restore it from a backup, or make it with the key gossip.json, {"server": {"encrypt":'
            " KEY}}, where KEY is what `nomad operator gossip keyring list` says in a server's pod;"
            " servers with another key would not find each other"
        )

    async def keep(self, part: SecretName, key: str, make: Callable[[], str]) -> None:
        """Create the Secret of *part* unless it exists; it is never replaced."""
        await self.keep_all(part, lambda: {key: make()}, key)

    async def keep_all(
        self, part: SecretName, make: Callable[[], Mapping[str, str]], *keys: str
    ) -> None:
        """Do the same for a Secret with several *keys*."""
        if self._held[part] is None:
            await self._create(part, make())
        missing = [key for key in keys if not self._texts(part).get(key)]
        if missing:
            name, namespace = self._blueprint.object_name(part), self._blueprint.namespace
            message = f'Secret "{name}" in namespace "{namespace}" lacks {missing[0]}: restore it'
            raise InvalidSpec(Reason.SECRET_INVALID, message)

    def outcome(self) -> SecretsOutcome:
        """Say what the Secrets hold, all being well."""
        facts = self._facts()
        assert facts.authority is not None, "keep_certificates comes first"
        certificates = [held.certificate for held in facts.leaves.values()]
        ends = [certificate.not_after for certificate in certificates if certificate is not None]
        operator = self._texts(SecretName.OPERATOR)
        nomad = facts.leaves[self._blueprint.object_name(SecretName.NOMAD)].certificate
        assert nomad is not None, "keep_certificates makes it"
        return SecretsOutcome(
            authority=facts.authority.current.fingerprint,
            expires=min(*ends, facts.authority.current.not_after),
            nomad_tls_digest=self.nomad_tls_digest,
            nomad_tls_expires=nomad.not_after,
            front_door_tls_digest=digest(self._texts(SecretName.FRONT_DOOR)),
            mesh_tls_digest=joint_digest(
                [self._texts(part) for part in mesh_leaf_secrets(self._blueprint)]
            ),
            operator=OperatorCredentials(
                operator["ca.crt"], operator["tls.crt"], operator["tls.key"]
            ),
        )

    @property
    def nomad_tls_digest(self) -> str:
        """Digest of the certificates that the servers are to mount; there may be none yet."""
        texts = self._texts(SecretName.NOMAD)
        return digest(texts) if {"tls.crt", "ca.crt"} <= texts.keys() else ""

    async def _take(self, step: Step, wanted: Wanted) -> None:
        region = self._blueprint.name
        match step:
            case AuthorityStep.CREATE:
                pair = self._make_authority()
                texts = {**texts_of(pair), "ca.crt": pair.certificate, ROTATION: wanted.rotation}
                made = await self._create(SecretName.AUTHORITY, texts)
                if made:
                    log.info("%s", step, extra={"region": region})
            case AuthorityStep():
                await self._amend_authority(step, wanted)
                log.info("%s", step, extra={"region": region})
            case Trust(leaf):
                await self._write_leaf(leaf, pair_in(self._texts(self._parts[leaf.secret])))
            case Issue(leaf, cause, by_successor):
                signer = pair_in(
                    self._texts(SecretName.AUTHORITY), "next" if by_successor else "tls"
                )
                pair = issue_leaf(self._pki, signer, leaf, self._blueprint.class_, self._now)
                await self._write_leaf(leaf, pair)
                log.info("certificate %s is issued: %s", leaf.name, cause, extra={"region": region})

    async def _amend_authority(self, step: AuthorityStep, wanted: Wanted) -> None:
        texts = {key: self._texts(SecretName.AUTHORITY).get(key, "") for key in AUTHORITY_KEYS}
        no_overlap = {TRUSTED_SINCE: "", USED_SINCE: ""}
        match step:
            case AuthorityStep.PREPARE:
                heard = wanted.rotation or texts[ROTATION]
                successor = texts_of(self._make_authority(), "next")
                texts |= {**successor, **no_overlap, ROTATION: heard}
            case AuthorityStep.RECALL:
                texts |= no_overlap
            case AuthorityStep.BEGIN_TRUST:
                texts[TRUSTED_SINCE] = self._now.isoformat(timespec="seconds")
            case AuthorityStep.BEGIN_USE:
                texts[USED_SINCE] = self._now.isoformat(timespec="seconds")
            case AuthorityStep.COMPLETE:
                (previous,) = self._pki.split_bundle(texts["tls.crt"])
                successor = texts_of(pair_in(texts, "next"))
                nothing = texts_of(KeyPair("", ""), "next")
                texts |= {**successor, **nothing, **no_overlap, PREVIOUS: previous}
        texts["ca.crt"] = bundle(texts)
        await self._apply(SecretName.AUTHORITY, texts)

    async def _write_leaf(self, leaf: Leaf, pair: KeyPair) -> None:
        bundle = self._texts(SecretName.AUTHORITY)["ca.crt"]
        await self._apply(self._parts[leaf.secret], {**texts_of(pair), "ca.crt": bundle})

    def _make_authority(self) -> KeyPair:
        # Successors have names of their own: TLS libraries look issuers up by name.
        name = f"{self._blueprint.name} authority {self._now:%Y-%m-%dT%H:%M:%SZ}"
        return self._pki.create_authority(name, lifetime=AUTHORITY_LIFETIME, now=self._now)

    def _facts(self) -> Facts:
        exists = self._held[SecretName.AUTHORITY] is not None
        leaves = {self._blueprint.object_name(part): part for part in self._leaf_secrets}
        return read_facts(
            self._pki,
            self._texts(SecretName.AUTHORITY) if exists else None,
            {
                secret: self._texts(part)
                for secret, part in leaves.items()
                if self._held[part] is not None
            },
        )

    def _tell(self, loss: Loss, remembered: str) -> str:
        blueprint = self._blueprint
        name = blueprint.object_name(SecretName.AUTHORITY)
        others = sorted(
            blueprint.object_name(part) for part in (SecretName.AUTHORITY, *self._leaf_secrets)
        )
        listed = ", ".join(f'"{other}"' for other in others)
        annotation = names.ANNOTATION_FORGET_AUTHORITY
        forget = f' and annotate the Region with {annotation}="{remembered}"' if remembered else ""
        held = f", not the one whose fingerprint is {remembered}" if "another" in loss else ""
        return (
            f'Secret "{name}" in namespace "{blueprint.namespace}", the certificate authority of '
            f"the region, {loss}{held}: restore it from a backup. Only when there is none, delete "
            f"the Secrets {listed} there{forget}: the region then gets a new authority, which no "
            f"machine that joined it trusts"
        )

    def _texts(self, part: SecretName) -> dict[str, str]:
        held = self._held[part]
        return {} if held is None else decode(held)

    async def _read(self, part: SecretName) -> None:
        name = self._blueprint.object_name(part)
        ref = ObjectRef("v1", "Secret", self._blueprint.namespace, name)
        self._held[part] = await self._cluster.read(ref)

    async def _create(self, part: SecretName, texts: Mapping[str, str]) -> bool:
        """Create a Secret, or go on with the one that somebody else has created meanwhile."""
        created = await self._cluster.create(self._manifest(part, texts))
        await self._read(part)
        return created

    async def _apply(self, part: SecretName, texts: Mapping[str, str]) -> None:
        """Write a Secret, the authority's only if it still is the one that was read."""
        manifest = self._manifest(part, texts)
        held = self._held[part]
        if part is SecretName.AUTHORITY and held is not None:
            # With its UID, too: the version alone is not asked of an object that has to be made.
            identity = {key: held["metadata"][key] for key in ("uid", "resourceVersion")}
            manifest["metadata"] = {**manifest["metadata"], **identity}
        self._held[part] = await self._cluster.apply(manifest)

    def _manifest(self, part: SecretName, texts: Mapping[str, str]) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": self._blueprint.metadata(part),
            "data": encode(texts),
        }


def _gossip(key: str) -> str:
    return json.dumps({"server": {"encrypt": key}})
