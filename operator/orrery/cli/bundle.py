"""`orrery region bundle`: what a machine needs to join a region, in one file."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

import click

from orrery import names
from orrery.adapters.kube import HubSource, KubeClusterFactory
from orrery.adapters.nomad.introduction import Introduction, introduce
from orrery.adapters.pki import CryptographyPki
from orrery.api import forms
from orrery.api.base import nanoseconds
from orrery.api.continent import Continent
from orrery.api.region import Region
from orrery.api.regionclass import RegionClass
from orrery.api.validation import (
    ValidationFailure,
    validate_continent,
    validate_region,
    validate_region_class,
)
from orrery.cli.bundlefile import check_free, pack, save
from orrery.cli.hub import (
    Reader,
    Target,
    find,
    finish,
    hub_options,
    operator_namespace_option,
    reading,
)
from orrery.errors import InvalidSpec, NotYet
from orrery.planning.certificates import OVERLAP, HeldAuthority
from orrery.planning.joining import check_joinable, lifetime_within, signer
from orrery.ports import ClusterAccess, ContinentalCluster, KeyPair, Kind, ObjectRef, Usage
from orrery.reconcile.credentials import credentials
from orrery.reconcile.secretfacts import decode, pair_in, read_facts
from orrery.render.bundle import Join, render_bundle
from orrery.render.bundle_command import render_command
from orrery.render.bundle_readme import moment
from orrery.render.region.blueprint import RPC_PORT, SecretName

TOKEN_SHORTEST: Final = timedelta(minutes=1)
TOKEN_LONGEST: Final = timedelta(hours=8)
"""As long as the servers of a region let a token count."""
CERTIFICATE_SHORTEST: Final = timedelta(hours=1)
CERTIFICATE_LONGEST: Final = timedelta(days=3650)
MACHINE_MAX: Final = 63
DATA_CENTER_MAX: Final = 128

_EXAMPLE: Final = """\b
Example:
  $ orrery region bundle fra --machine node1 --data-center fra1 --print-command
  $ scp fra-node1.tar root@node1:
"""


@dataclass(frozen=True, slots=True)
class Order:
    """What the user asks for, checked."""

    region: str
    data_center: str
    machine: str
    lifetime: timedelta | None
    token_lifetime: timedelta
    operator_namespace: str


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


@click.command(epilog=_EXAMPLE)
@click.argument("region")
@click.option("--data-center", default="", help="Nomad datacenter of the machine; REGION's name.")
@click.option("--machine", default="", help="Name of the machine; any, by its host name.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="File to write; REGION-MACHINE.tar."
)
@click.option("--lifetime", default="", help="Of the certificate, as in 720h; the class's.")
@click.option("--token-lifetime", default="30m", show_default=True, help="Time to join, 1m to 8h.")
@click.option("--force", is_flag=True, help="Write over the file when it exists.")
@click.option("--print-command", is_flag=True, help="Print what checks and installs it.")
@operator_namespace_option
@hub_options(all_namespaces=False)
def bundle(
    target: Target,
    region: str,
    *,
    data_center: str,
    machine: str,
    output: Path | None,
    lifetime: str,
    token_lifetime: str,
    operator_namespace: str,
    force: bool,
    print_command: bool,
) -> None:
    """Write the file with which a machine joins REGION.

    It is a tar with certificates, a token that lets the machine in for a while, Nomad's
    configuration and a unit of systemd; a README inside says how to install, renew and end it. It
    holds a private key. Make it again as often as you like: what is installed stays valid.

    You need to be allowed to read Secrets in the hub and in the continent's cluster.
    """
    order = Order(
        region=region,
        data_center=_data_center(data_center) or region,
        machine=_machine(machine),
        lifetime=_lifetime(lifetime),
        token_lifetime=_token_lifetime(token_lifetime),
        operator_namespace=operator_namespace,
    )
    path = output or Path(f"{region}-{machine or 'machine'}.tar")
    if path.name.startswith("-"):
        raise _refusal("--output", path.name, "a file whose name does not begin with -")

    async def work() -> Join:
        check_free(path, force=force)
        return await _join(order, target)

    join = finish(work)
    packed = pack(render_bundle(join), join.made)
    save(path, packed, force=force)
    until = f"join before {moment(join.token_expires)}, certificate until "
    click.echo(f"{path}: {until}{moment(join.certificate_expires)}", err=print_command)
    if print_command:
        digest = sha256(packed).hexdigest()
        click.echo("run as root, in the folder of the file, on the machine:", err=True)
        click.echo(render_command(path.name, digest=digest, pin=join.pin))


async def _join(order: Order, target: Target) -> Join:
    async with reading(target) as reader:
        host = await _host(reader, order, target)
        name = host.region.credentials_secret
        secret = await reader.read_secret(order.operator_namespace, name)
        ours = credentials(host.region, secret, namespace=order.operator_namespace)
        clusters = KubeClusterFactory(HubSource(target.kubeconfig, target.context))
        cluster = clusters.connect(host.access)
        try:
            authority = await _authority(cluster, host)
        finally:
            await cluster.close()
        now = datetime.now(UTC)
        introduction = await introduce(ours, machine=order.machine, lifetime=order.token_lifetime)
    return _issued(order, host, authority, introduction, now)


async def _host(reader: Reader, order: Order, target: Target) -> Host:
    """Read the Region and what it names. Raises `InvalidSpec` or `NotYet`."""
    try:
        region = validate_region(await find(reader, Kind.REGION, order.region, target))
        check_joinable(region)
        spec = region.spec
        class_ = validate_region_class(await find(reader, Kind.REGION_CLASS, spec.class_, target))
        continent = validate_continent(await find(reader, Kind.CONTINENT, spec.continent, target))
    except ValidationFailure as failure:
        raise InvalidSpec("InvalidSpec", f"region {order.region}: {failure}") from failure
    access = await _access(reader, continent, order.operator_namespace)
    return Host(region, continent, class_, access)


async def _access(reader: Reader, continent: Continent, namespace: str) -> ClusterAccess:
    """Find the way to the continent's cluster. Raises `InvalidSpec` when there is none."""
    where = f'Continent "{continent.metadata.name}"'
    cluster = continent.spec.cluster
    if cluster is None:
        raise InvalidSpec("ContinentWithoutCluster", f"{where} has no spec.cluster")
    reference = cluster.kubeconfig_secret_ref
    if reference is None:
        return ClusterAccess()
    secret = await reader.read_secret(namespace, reference.name)
    text = b"" if secret is None else secret.data.get(reference.key, b"")
    if not text:
        message = (
            f"{where}: spec.cluster.kubeconfigSecretRef: Secret "
            f'"{reference.name}" in namespace "{namespace}" has no "{reference.key}"'
        )
        raise InvalidSpec("CredentialsInvalid", message)
    return ClusterAccess(text.decode(errors="replace"))


async def _authority(cluster: ContinentalCluster, host: Host) -> Authority:
    """Read the region's authority, and make sure that it is the one that the Region remembers."""
    region = host.region
    namespace = f"{host.continent.spec.prefix}{region.metadata.name}"
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


def _issued(
    order: Order, host: Host, authority: Authority, introduction: Introduction, now: datetime
) -> Join:
    """Issue the machine's certificate, and put together what it needs to know."""
    held, region = authority.held, host.region.metadata.name
    by = signer(held, now)
    described = held.successor if by == "next" and held.successor else held.current
    lasts = order.lifetime or timedelta(
        microseconds=nanoseconds(host.class_.spec.pki.certificate_lifetime) // 1000
    )
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
        servers=_servers(host.region),
        version=status.nomad.version if status and status.nomad else "",
        authority="".join(f"{pem}\n" for pem in trusted if pem),
        pin=described.fingerprint,
        pair=pair,
        token=introduction.token,
        made=now,
        token_expires=introduction.expires,
        certificate_expires=now + lasts,
    )


def _servers(region: Region) -> list[str]:
    """Say where the front door is: its name first, which outlives its address, if it has one."""
    told = region.status.control_plane if region.status else None
    assert told, "check_joinable has looked"
    hosts = dict.fromkeys(host for host in (region.spec.front_door.host, told.address) if host)
    return [f"{host}:{RPC_PORT}" for host in hosts]


def _warn_of_rotation(held: HeldAuthority) -> None:
    since = held.trusted_since
    after = f" after {moment(since + OVERLAP)}" if since else " in two hours"
    message = "the region's authority is being replaced: make the bundle again"
    click.echo(f"Warning: {message}{after}", err=True)


def _data_center(text: str) -> str:
    if text and (len(text) > DATA_CENTER_MAX or not re.fullmatch(forms.DATA_CENTER.pattern, text)):
        raise _refusal("--data-center", text, forms.DATA_CENTER.allowed)
    return text


def _machine(text: str) -> str:
    if text and (len(text) > MACHINE_MAX or not re.fullmatch(forms.HOST_NAME.pattern, text)):
        raise _refusal(
            "--machine", text, f"a DNS name such as node1, of at most {MACHINE_MAX} characters"
        )
    return text


def _lifetime(text: str) -> timedelta | None:
    return _span("--lifetime", text, CERTIFICATE_SHORTEST, CERTIFICATE_LONGEST) if text else None


def _token_lifetime(text: str) -> timedelta:
    return _span("--token-lifetime", text, TOKEN_SHORTEST, TOKEN_LONGEST)


def _span(option: str, text: str, shortest: timedelta, longest: timedelta) -> timedelta:
    if len(text) <= 32 and re.fullmatch(forms.DURATION.pattern, text):  # noqa: PLR2004 - as in the API
        span = timedelta(microseconds=nanoseconds(text) // 1000)
        if shortest <= span <= longest:
            return span
    raise _refusal(option, text, f"from {_words(shortest)} to {_words(longest)}, as in 30m or 720h")


def _words(span: timedelta) -> str:
    minutes = int(span.total_seconds()) // 60
    return f"{minutes}m" if minutes % 60 else f"{minutes // 60}h"


def _refusal(option: str, given: str, allowed: str) -> click.UsageError:
    return click.UsageError(f'{option}: "{given[:100]}" is not allowed, must be {allowed}')
