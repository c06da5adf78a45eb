"""What a machine's bundle is made of: read from three places, and issued."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import click

from orrery import names
from orrery.adapters.kube import HubSource, KubeClusterFactory
from orrery.adapters.nomad.introduction import Introduction, introduce
from orrery.adapters.pki import CryptographyPki
from orrery.api.base import span
from orrery.api.continent import Continent
from orrery.api.region import Region
from orrery.api.regionclass import RegionClass
from orrery.api.validation import (
    ValidationFailure,
    validate_continent,
    validate_region,
    validate_region_class,
)
from orrery.cli.bundlemesh import signing_key_of, with_mesh
from orrery.cli.continentaccess import access_of
from orrery.cli.hub import Reader, Target, find, reading
from orrery.errors import InvalidSpec, NotYet
from orrery.planning.certificates import OVERLAP, HeldAuthority
from orrery.planning.joining import check_joinable, front_door_hosts, lifetime_within, signer
from orrery.ports import ClusterAccess, ContinentalCluster, KeyPair, Kind, ObjectRef, Usage
from orrery.reconcile.credentials import credentials
from orrery.reconcile.secretfacts import decode, pair_in, read_facts
from orrery.render.bundle import Join
from orrery.render.bundle_readme import moment
from orrery.render.region.blueprint import RPC_PORT, SecretName


@dataclass(frozen=True, slots=True)
class Order:
    """What the user asks for, checked."""

    region: str
    data_center: str
    machine: str
    lifetime: timedelta | None
    token_lifetime: timedelta
    operator_namespace: str
    mesh: bool = True
    """Whether its mesh is joined, if the region has one."""


@dataclass(frozen=True, slots=True)
class Host:
    """A region, and what is known of it in the hub."""

    region: Region
    continent: Continent
    class_: RegionClass
    access: ClusterAccess


@dataclass(frozen=True, slots=True)
class Authority:
    """What the authority's Secret holds."""

    held: HeldAuthority
    pairs: dict[str, KeyPair] = field(repr=False)
    """By name: ``tls``, and ``next`` while there is a successor."""


async def join(order: Order, target: Target) -> Join:
    """Ask the hub, the continent's cluster and the region's Nomad, and issue the certificate.

    Raises what they raise, with a sentence for whoever gave the order.
    """
    async with reading(target) as reader:
        host = await host_of(reader, order, target)
        name = host.region.credentials_secret
        secret = await reader.read_secret(order.operator_namespace, name)
        ours = credentials(host.region, secret, namespace=order.operator_namespace)
        clusters = KubeClusterFactory(HubSource(target.kubeconfig, target.context))
        cluster = clusters.connect(host.access)
        try:
            authority = await authority_of(cluster, host)
            about = host.region, host.class_, host.continent
            key = await signing_key_of(cluster, *about) if order.mesh else None
        finally:
            await cluster.close()
        now = datetime.now(UTC)
        introduction = await introduce(ours, machine=order.machine, lifetime=order.token_lifetime)
    made = issued(order, host, authority, introduction, now)
    return with_mesh(made, host.region, host.class_, key, now) if key else made


async def host_of(reader: Reader, order: Order, target: Target) -> Host:
    """Read the Region and what it names. Raises `InvalidSpec` or `NotYet`."""
    try:
        region = validate_region(await find(reader, Kind.REGION, order.region, target))
        check_joinable(region)
        spec = region.spec
        class_ = validate_region_class(await find(reader, Kind.REGION_CLASS, spec.class_, target))
        continent = validate_continent(await find(reader, Kind.CONTINENT, spec.continent, target))
    except ValidationFailure as failure:
        raise InvalidSpec("InvalidSpec", f"region {order.region}: {failure}") from failure
    access = await access_of(continent, reader, order.operator_namespace)
    return Host(region, continent, class_, access)


async def authority_of(cluster: ContinentalCluster, host: Host) -> Authority:
    """Read the region's authority, and make sure that it is the one that the Region remembers."""
    region = host.region
    namespace = host.continent.namespace_of(region.metadata.name)
    name = f"{region.metadata.name}-{SecretName.AUTHORITY}"
    where = f'Secret "{name}" in namespace "{namespace}" of the continent\'s cluster'
    found = await cluster.read(ObjectRef("v1", "Secret", namespace, name))
    if found is None:
        raise NotYet("AuthorityLost", f"{where} does not exist")
    texts = decode(found)
    held = read_facts(CryptographyPki(), texts, {}).authority
    if held is None:
        raise InvalidSpec("AuthorityLost", f"{where} is damaged: restore it from a backup")
    assert region.status, "check_joinable has looked"
    assert region.status.control_plane, "check_joinable has looked"
    if region.status.control_plane.authority not in held.known:
        message = f"{where} holds another authority than the Region's status tells"
        raise InvalidSpec("AuthorityLost", message)
    return Authority(held, {"tls": pair_in(texts), "next": pair_in(texts, "next")})


def issued(
    order: Order, host: Host, authority: Authority, introduction: Introduction, now: datetime
) -> Join:
    """Issue the machine's certificate, and put together what it needs to know."""
    held, region = authority.held, host.region.metadata.name
    by = signer(held, now)
    described = held.successor if by == "next" and held.successor else held.current
    lasts = order.lifetime or span(host.class_.spec.pki.certificate_lifetime)
    lasts = lifetime_within(described.not_after, lasts, now)
    host_names = [names.client_host(region)]
    if order.machine:
        host_names.append(names.machine_host(region, order.machine))
    pair = CryptographyPki().issue(
        authority.pairs[by],
        host_names[0],
        hosts=host_names,
        usages=list(Usage),
        lifetime=lasts,
        now=now,
    )
    if held.successor is not None and by == "tls":
        _warn_of_rotation(held)
    others = [other for other in authority.pairs if other != by]
    trusted = [authority.pairs[key].certificate.strip() for key in (by, *others)]
    status = host.region.status
    return Join(
        region=region,
        data_center=order.data_center,
        machine=order.machine,
        servers=[f"{name}:{RPC_PORT}" for name in front_door_hosts(host.region)],
        version=status.nomad.version if status and status.nomad else "",
        authority="".join(f"{pem}\n" for pem in trusted if pem),
        pin=described.fingerprint,
        pair=pair,
        token=introduction.token,
        made=now,
        token_expires=introduction.expires,
        certificate_expires=now + lasts,
    )


def _warn_of_rotation(held: HeldAuthority) -> None:
    since = held.trusted_since
    after = f" after {moment(since + OVERLAP)}" if since else " in two hours"
    message = "the region's authority is being replaced: make the bundle again"
    click.echo(f"Warning: {message}{after}", err=True)
