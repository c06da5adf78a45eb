"""`orrery render`: the manifests of Managed regions, exactly as the operator applies them."""

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

import click

from orrery.api.base import API_VERSION
from orrery.api.continent import Continent
from orrery.api.region import Region
from orrery.api.regionclass import RegionClass
from orrery.api.validation import (
    ValidationFailure,
    validate_continent,
    validate_region,
    validate_region_class,
)
from orrery.cli.globalmesh import global_mesh
from orrery.cli.hub import install_option
from orrery.cli.installation import operator
from orrery.cli.manifests import Manifest, read_manifests
from orrery.cli.readable import readable
from orrery.cli.renderfolder import write_bases
from orrery.errors import InvalidSpec
from orrery.ports import Document, Kind
from orrery.render.region import Blueprint, render_region

M = TypeVar("M", Continent, Region, RegionClass)

_EXAMPLE: Final = """\b
Example:
  $ orrery render -f regions/ --address fra=203.0.113.10 > fra.yaml
  $ kubectl --context eu diff -f fra.yaml
  $ orrery render -f regions/ --address fra=203.0.113.10 --output-dir bases
  $ kubectl --context eu diff -k bases/eu
"""
_WAITS: Final = (
    "# Servers and front door of region {name} wait for the address of its load balancer:"
    " --address {name}=ADDRESS shows them."
)


@click.group(
    epilog=_EXAMPLE, invoke_without_command=True, subcommand_metavar="[global-mesh|operator]"
)
@click.option(
    "-f",
    "--filename",
    "filenames",
    multiple=True,
    help="A manifest, a folder of them, or - for standard input; may be given several times.",
)
@click.option(
    "--address",
    "addresses",
    multiple=True,
    metavar="REGION=ADDRESS",
    help="IP address of a region's load balancer; may be given for several regions.",
)
@click.option(
    "--output-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write files below this folder instead: Kustomize bases, by continent.",
)
@install_option
@click.pass_context
def render(
    context: click.Context,
    filenames: tuple[str, ...],
    addresses: tuple[str, ...],
    output_dir: Path | None,
    install: str,
) -> None:
    """Print the control planes of Managed regions as manifests, without a cluster.

    The files must hold the Regions, and the Continents and RegionClasses that they name. Secrets
    are named and never printed: the operator makes them. Servers advertise the load balancer's
    address, so what comes after it is shown for regions whose --address is given.
    """
    if context.invoked_subcommand is not None:
        return
    if not filenames:
        raise click.MissingParameter(ctx=context, param=context.command.params[0])
    try:
        blueprints = blueprints_of(read_manifests(*filenames), _addresses(addresses), install)
        if output_dir is None:
            click.echo("".join(map(_document, blueprints)), nl=False)
            return
        for path in write_bases(output_dir, _by_continent(blueprints)):
            click.echo(f"wrote {path}")
        for blueprint in blueprints:
            click.echo(_waits(blueprint), nl=False)
    except InvalidSpec as error:
        raise click.ClickException(error.message) from error


render.add_command(global_mesh)
render.add_command(operator)


def rendered(
    manifests: Sequence[Manifest], addresses: Mapping[str, str], install: str = "orrery"
) -> str:
    """Write the layers of every Managed region among *manifests* as YAML, in their order.

    Raises `InvalidSpec` for what is wrong with them, or missing.
    """
    return "".join(map(_document, blueprints_of(manifests, addresses, install)))


def blueprints_of(
    manifests: Sequence[Manifest], addresses: Mapping[str, str], install: str
) -> list[Blueprint]:
    """Put together what every Managed region among *manifests* is built from, by name.

    Raises `InvalidSpec` for what is wrong with them, or missing.
    """
    continents = _by_name(manifests, Kind.CONTINENT, validate_continent)
    classes = _by_name(manifests, Kind.REGION_CLASS, validate_region_class)
    regions = [
        region
        for region in _by_name(manifests, Kind.REGION, validate_region).values()
        if region.spec.is_managed
    ]
    if not regions:
        raise InvalidSpec("NothingToRender", "there is no Managed region among the files")
    known = {region.metadata.name for region in regions}
    for name in addresses:
        if name not in known:
            message = f"--address: there is no Managed region {name!r}, known are "
            raise InvalidSpec("UnknownRegion", message + ", ".join(sorted(known)))
    return [
        Blueprint(
            install=install,
            region=region,
            class_=_class_of(region, classes),
            continent=_named(continents, Kind.CONTINENT, region.spec.continent, region),
            address=addresses.get(region.metadata.name, ""),
        )
        for region in sorted(regions, key=lambda region: region.metadata.name)
    ]


def _document(blueprint: Blueprint) -> str:
    return "".join(_layers(blueprint).values()) + _waits(blueprint)


def _layers(blueprint: Blueprint) -> dict[str, str]:
    return {
        layer.name: "".join(
            f"---\n# region {blueprint.name}: {layer.name}\n" + readable(manifest)
            for manifest in layer.manifests
        )
        for layer in render_region(blueprint)
    }


def _waits(blueprint: Blueprint) -> str:
    return "" if blueprint.address else _WAITS.format(name=blueprint.name) + "\n"


def _by_continent(blueprints: Sequence[Blueprint]) -> dict[str, dict[str, dict[str, str]]]:
    texts: dict[str, dict[str, dict[str, str]]] = {}
    for blueprint in blueprints:
        regions = texts.setdefault(blueprint.continent.metadata.name, {})
        regions[blueprint.name] = _layers(blueprint)
    return texts


def _class_of(region: Region, classes: Mapping[str, RegionClass]) -> RegionClass:
    class_ = _named(classes, Kind.REGION_CLASS, region.spec.class_, region)
    if class_.spec.nomad.image is None:
        name = class_.metadata.name
        message = f'RegionClass "{name}": spec.nomad.image is required by Managed regions'
        raise InvalidSpec("ClassIncomplete", message)
    return class_


def _named(found: Mapping[str, M], kind: Kind, name: str, region: Region) -> M:
    if name not in found:
        message = f'Region "{region.metadata.name}" names {kind} "{name}", which no file holds'
        raise InvalidSpec("NotFound", message)
    return found[name]


def _by_name(
    manifests: Sequence[Manifest], kind: Kind, validate: Callable[[Document], M]
) -> dict[str, M]:
    found: dict[str, M] = {}
    for manifest in manifests:
        if manifest.document.get("apiVersion") == API_VERSION and manifest.kind == kind:
            try:
                found[manifest.name] = validate(manifest.document)
            except ValidationFailure as failure:
                raise InvalidSpec("InvalidSpec", f"{manifest}: {failure}") from failure
    return found


def _addresses(given: Sequence[str]) -> dict[str, str]:
    addresses: dict[str, str] = {}
    for text in given:
        name, _, address = text.partition("=")
        try:
            addresses[name] = str(ipaddress.IPv4Address(address))
        except ValueError:
            allowed = "must be REGION=ADDRESS with an IPv4 address"
            message = f"--address: {text!r} is not allowed, {allowed}"
            raise InvalidSpec("AddressInvalid", message) from None
    return addresses
