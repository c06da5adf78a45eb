"""`orrery recover`: write GlobalDeployments back from what regions run."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click
import yaml

from orrery.adapters.nomad import NomadClientFactory
from orrery.api.validation import validate_region
from orrery.cli.hub import Reader, Target, ask, find, hub_options, operator_namespace_option
from orrery.cli.recovery import Found, Recovered, search
from orrery.cli.recovery import recover as put_together
from orrery.names import INSTALL_DEFAULT
from orrery.ports import Kind, NomadFactory
from orrery.reconcile.credentials import credentials

_EXAMPLE: Final = """\b
Examples:
  $ orrery recover --from fra --from was > deployments.yaml
  $ orrery recover --from fra --directory found && kubectl apply -f found
"""


@click.command(epilog=_EXAMPLE)
@click.option(
    "--from", "regions", multiple=True, required=True, help="A region to read; may be repeated."
)
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write a file for each deployment here, instead of all to standard output.",
)
@click.option(
    "--install",
    default=INSTALL_DEFAULT,
    show_default=True,
    envvar="ORRERY_INSTALL",
    help="Id of the installation, as the operator has it.  [env: ORRERY_INSTALL]",
)
@operator_namespace_option
@hub_options(all_namespaces=False)
def recover(
    target: Target,
    regions: tuple[str, ...],
    directory: Path | None,
    install: str,
    operator_namespace: str,
) -> None:
    """Write GlobalDeployments back from the jobs that regions run.

    For a hub that was lost: create its Regions and their Secrets anew, recover, apply. The running
    jobs are recognised and taken over as they are. Where regions differ, the newest is written.
    """
    found = ask(
        target,
        lambda reader: gather(
            reader,
            target,
            NomadClientFactory(),
            regions,
            install=install,
            operator_namespace=operator_namespace,
        ),
    )
    result = put_together(found)
    for remark in result.remarks:
        click.echo(remark, err=True)
    if directory is None:
        click.echo(yaml.safe_dump_all(result.manifests, sort_keys=False), nl=False)
    else:
        write(result, directory)
    click.echo(f"{len(result.manifests)} GlobalDeployments in {', '.join(regions)}", err=True)


async def gather(
    reader: Reader,
    target: Target,
    factory: NomadFactory,
    regions: Sequence[str],
    *,
    install: str,
    operator_namespace: str,
) -> list[Found]:
    """Ask all *regions* at once. Raises what keeps any of them from answering."""

    async def one(name: str) -> list[Found]:
        region = validate_region(await find(reader, Kind.REGION, name, target))
        secret = await reader.read_secret(operator_namespace, region.credentials_secret)
        nomad = factory.connect(credentials(region, secret, namespace=operator_namespace))
        try:
            return await search(nomad, name, install=install)
        finally:
            await nomad.close()

    lists = await asyncio.gather(*map(one, regions))
    return [job for jobs in lists for job in jobs]


def write(result: Recovered, directory: Path) -> None:
    """Write a file for each deployment, called by its namespace and its name."""
    directory.mkdir(parents=True, exist_ok=True)
    for manifest in result.manifests:
        metadata: dict[str, Any] = manifest["metadata"]
        file = directory / f"{metadata['namespace']}.{metadata['name']}.yaml"
        file.write_text(yaml.safe_dump(manifest, sort_keys=False), encoding="utf-8")
