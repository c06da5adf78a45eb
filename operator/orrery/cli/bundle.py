"""`orrery region bundle`: what a machine needs to join a region, in one file."""

import re
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

import click

from orrery.api import forms
from orrery.api.base import span
from orrery.cli.bundlefacts import Order, join
from orrery.cli.bundlefile import check_free, pack, save
from orrery.cli.hub import Target, finish, hub_options, operator_namespace_option
from orrery.render.bundle import Join, render_bundle
from orrery.render.bundle_command import render_command
from orrery.render.bundle_readme import moment

TOKEN_SHORTEST: Final = timedelta(minutes=1)
TOKEN_LONGEST: Final = timedelta(hours=8)
"""As long as the servers of a region let a token count."""
CERTIFICATE_SHORTEST: Final = timedelta(hours=1)
CERTIFICATE_LONGEST: Final = timedelta(days=3650)
MACHINE_MAX: Final = 63
DATA_CENTER_MAX: Final = 128

_EXAMPLE: Final = """\b
Example:
  $ orrery region bundle fra --machine node1 --print-command
  $ scp fra-node1.tar root@node1:
"""


@click.command(epilog=_EXAMPLE)
@click.argument("region")
@click.option("--data-center", default="", help="Nomad datacenter of the machine; REGION's name.")
@click.option("--machine", default="", help="Name of the machine; any, by its host name.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="File to write; REGION-MACHINE.tar."
)
@click.option("--lifetime", default="", help="Of the certificate, as in 720h; the class's.")
@click.option("--token-lifetime", default="30m", show_default=True, help="Time to join, 1m to 8h.")
@click.option("--no-mesh", is_flag=True, help="Leave out the mesh that the region has.")
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
    no_mesh: bool,
    force: bool,
    print_command: bool,
) -> None:
    """Write the file with which a machine joins REGION.

    It is a tar with certificates, a token that lets the machine in for a while, Nomad's
    configuration and units of systemd; a README inside says how to install, renew and end it.
    Where the region has a mesh, what a data plane of the machine needs is in it, too. It holds a
    private key. Make it again as often as you like: what is installed stays valid.

    You need to be allowed to read Secrets in the hub and in the continent's cluster.
    """
    order = Order(
        region=region,
        data_center=_data_center(data_center) or region,
        machine=_machine(machine),
        lifetime=_lifetime(lifetime),
        token_lifetime=_token_lifetime(token_lifetime),
        operator_namespace=operator_namespace,
        mesh=not no_mesh,
    )
    path = output or Path(f"{region}-{machine or 'machine'}.tar")
    if path.name.startswith("-"):
        raise _refusal("--output", path.name, "a file whose name does not begin with -")

    async def work() -> Join:
        check_free(path, force=force)
        return await join(order, target)

    found = finish(work)
    packed = pack(render_bundle(found), found.made)
    save(path, packed, force=force)
    until = f"join before {moment(found.token_expires)}, certificate until "
    click.echo(f"{path}: {until}{moment(found.certificate_expires)}", err=print_command)
    if print_command:
        digest = sha256(packed).hexdigest()
        click.echo("run as root, in the folder of the file, on the machine:", err=True)
        click.echo(render_command(path.name, digest=digest, pin=found.pin, mesh=bool(found.mesh)))


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
        found = span(text)
        if shortest <= found <= longest:
            return found
    raise _refusal(option, text, f"from {_words(shortest)} to {_words(longest)}, as in 30m or 720h")


def _words(span: timedelta) -> str:
    minutes = int(span.total_seconds()) // 60
    return f"{minutes}m" if minutes % 60 else f"{minutes // 60}h"


def _refusal(option: str, given: str, allowed: str) -> click.UsageError:
    return click.UsageError(f'{option}: "{given[:100]}" is not allowed, must be {allowed}')
