"""The Secrets of a region in a cluster in memory, a clock to set, an operator that may die."""

import base64
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, Final

from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from orrery.adapters.memory import MemoryCluster
from orrery.adapters.pki import CryptographyPki
from orrery.api.continent import Continent
from orrery.api.region import Region
from orrery.api.regionclass import RegionClass
from orrery.ports import ContinentalCluster, Document, ObjectRef
from orrery.reconcile.regionsecrets import SecretsOutcome, ensure_secrets
from orrery.render.region.blueprint import Blueprint

START: Final = datetime(2030, 1, 1, tzinfo=UTC)
NAMESPACE: Final = "orrery-fra"
LEAVES: Final = ("fra-nomad-tls", "fra-front-door-tls", "fra-operator-tls")
CERTIFICATES: Final = ("fra-ca", *LEAVES)
SECRETS: Final = (*CERTIFICATES, "fra-gossip", "fra-bootstrap-token")


class Killed(Exception):
    """The operator's process ended at a write."""


@dataclass
class Wristwatch:
    """A clock that stands still until it is set."""

    moment: datetime = START

    def now(self) -> float:
        return self.moment.timestamp()

    def monotonic(self) -> float:
        return self.moment.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


class Watched(MemoryCluster):
    """A cluster in which after each write everybody must trust everybody, while *strict*.

    The operator dies when write *fatal*, counted from 1, is done, untold of its reply.
    """

    def __init__(self, clock: Wristwatch) -> None:
        super().__init__()
        self.clock = clock
        self.fatal: int | None = None
        self.strict = True
        self.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})

    async def apply(self, manifest: Document) -> Document:
        applied = await super().apply(manifest)
        if self.strict:
            require_mutual_trust(self, self.clock.moment)
        self._die()
        return applied

    async def create(self, manifest: Document) -> bool:
        created = await super().create(manifest)
        self._die()
        return created

    def _die(self) -> None:
        if self.writes.total() == self.fatal:
            self.fatal = None
            raise Killed


@dataclass
class SecretsOfRegion:
    """A region: its cluster, what its status remembers, and the passes over its Secrets."""

    clock: Wristwatch = field(default_factory=Wristwatch)
    annotations: dict[str, str] = field(default_factory=dict)
    lifetime: str = "720h"
    address: str = "203.0.113.7"
    host: str | None = None
    remembered: str = ""

    def __post_init__(self) -> None:
        self.cluster = Watched(self.clock)

    async def run(self, **options: Any) -> SecretsOutcome:
        """Make one pass, and have the status remember the authority."""
        outcome = await self.attempt(self.cluster, **options)
        self.remembered = outcome.authority
        return outcome

    async def attempt(self, cluster: ContinentalCluster, **options: Any) -> SecretsOutcome:
        """Make one pass of which nothing is remembered."""
        return await ensure_secrets(
            self.blueprint,
            cluster,
            CryptographyPki(),
            self.clock,
            authority=self.remembered,
            **options,
        )

    async def writes_of_a_pass(self, **options: Any) -> int:
        before = self.cluster.writes.total()
        await self.run(**options)
        return self.cluster.writes.total() - before

    @property
    def blueprint(self) -> Blueprint:
        metadata = {"name": "fra", "annotations": self.annotations}
        front_door = {"host": self.host} if self.host else {}
        region = {"continent": "eu", "class": "standard", "frontDoor": front_door}
        nomad = {"image": "registry.example/nomad:2.0.6"}
        class_ = {"nomad": nomad, "pki": {"certificateLifetime": self.lifetime}}
        return Blueprint(
            install="orrery",
            region=Region.model_validate({"metadata": metadata, "spec": region}),
            class_=RegionClass.model_validate({"metadata": {"name": "standard"}, "spec": class_}),
            continent=Continent.model_validate({"metadata": {"name": "eu"}, "spec": {}}),
            address=self.address,
        )

    def texts(self, name: str) -> dict[str, str]:
        return texts_of(self.cluster, name)

    def leaf(self, name: str) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.texts(name)["tls.crt"].encode())

    def edit(self, name: str, **data: str | None) -> None:
        """Change keys of a Secret by hand, dots written as underscores."""
        patch = {
            key.replace("_", "."): None if text is None else encoded(text)
            for key, text in data.items()
        }
        self.cluster.edit(ref(name), {"data": patch})

    def lose(self, *secrets: str) -> None:
        for name in secrets:
            self.cluster.remove(ref(name))


def ref(name: str) -> ObjectRef:
    return ObjectRef("v1", "Secret", NAMESPACE, name)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def texts_of(cluster: MemoryCluster, name: str) -> dict[str, str]:
    data = cluster.objects[ref(name)]["data"]
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def require_mutual_trust(cluster: MemoryCluster, moment: datetime) -> None:
    """Verify every leaf, as a client's, against what every other Secret trusts."""
    held = [texts_of(cluster, name) for name in LEAVES if ref(name) in cluster.objects]
    for one, other in product(held, held):
        roots = Store(x509.load_pem_x509_certificates(other["ca.crt"].encode()))
        leaf = x509.load_pem_x509_certificate(one["tls.crt"].encode())
        if leaf.not_valid_before_utc <= moment < leaf.not_valid_after_utc:
            PolicyBuilder().store(roots).time(moment).build_client_verifier().verify(leaf, [])
