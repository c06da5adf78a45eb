"""`orrery recover`: write GlobalDeployments back from what regions run."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click
import yaml

from orrery.adapters.nomad import NomadClientFactory
from orrery.api.region import Region
from orrery.api.validation import ValidationFailure, validate_region
from orrery.cli.hub import (
    Reader,
    Target,
    ask,
    find,
    hub_options,
    install_option,
    operator_namespace_option,
)
from orrery.cli.output import count
from orrery.cli.recovery import Recovered, Told, search
from orrery.cli.recovery import recover as put_together
from orrery.errors import InvalidSpec, OrreryError
from orrery.planning.placement import RegionCandidate
from orrery.ports import Kind, NomadFactory
from orrery.reconcile.credentials import credentials

_EXAMPLE: Final = """\b
Examples:
  $ orrery recover --from fra --from was > deployments.yaml
  $ orrery recover --from fra --from was --directory found
  $ orrery plan -f found
  $ kubectl apply -f found
"""


@click.command(epilog=_EXAMPLE)
@click.option(
    "--from", "regions", multiple=True, required=True, help="A region to read; may be repeated."
)
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write a file for each deployment into this new or empty folder, instead of all to "
    "standard output.",
)
@install_option
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

    For a hub that was lost. Create anew what no region holds: Continents, RegionClasses, Regions
    with the Secrets of their credentials, and the Secrets of the applications, with their
    namespaces. Then recover, plan, and apply. The running jobs are recognised and taken over as
    they are.

    A region holds the spec as of the last change to a job there. What changed later and left that
    job as it was, such as a smaller placement, another deletionPolicy, a pause or another region's
    override, is not in it. So ask every region that answers, read the remarks, and plan before you
    apply. Where regions differ, the newest is written, and that is said.
    """
    if directory is not None:
        require_empty(directory)
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
    if directory is None:
        click.echo(yaml.safe_dump_all(result.manifests, sort_keys=False), nl=False)
    else:
        write(result, directory)
    for remark in report(result, [told.region.name for told in found], directory):
        click.echo(remark, err=True)


def report(result: Recovered, regions: Sequence[str], directory: Path | None) -> list[str]:
    """Say what is to be known of *result*: what is odd, how much it is, and what it cannot know."""
    number = count(len(result.manifests), "GlobalDeployment")
    limit = (
        "this is the spec as of the last change to a job in these regions;"
        f" run `orrery plan -f {directory or 'FILE'}` before you apply"
    )
    summary = f"{number} in {', '.join(regions)}"
    return [*result.remarks, summary, *([limit] if result.manifests else [])]


def require_empty(directory: Path) -> None:
    """Refuse a folder that holds anything: it would be applied with what is recovered."""
    try:
        used = directory.exists() and any(directory.iterdir())
    except OSError as error:
        raise _unusable(directory, error) from error
    if used:
        raise click.ClickException(
            f"{directory} is not empty, and what is in it would be applied too: name an empty or"
            " new directory"
        )


async def gather(
    reader: Reader,
    target: Target,
    factory: NomadFactory,
    regions: Sequence[str],
    *,
    install: str,
    operator_namespace: str,
) -> list[Told]:
    """Ask all *regions* at once. Raises `InvalidSpec` with all that keeps any from answering."""

    async def one(name: str) -> Told | OrreryError:
        try:
            region = await _region(reader, name, target)
        except OrreryError as error:
            return error
        try:
            secret = await reader.read_secret(operator_namespace, region.credentials_secret)
            nomad = factory.connect(credentials(region, secret, namespace=operator_namespace))
            try:
                return await search(nomad, _candidate(region), install=install)
            finally:
                await nomad.close()
        except OrreryError as error:
            return _InTheWay(region, error)

    asked = list(dict.fromkeys(regions))
    answers = await asyncio.gather(*map(one, asked))
    told = [answer for answer in answers if isinstance(answer, Told)]
    problems = [answer for answer in answers if isinstance(answer, OrreryError)]
    if problems:
        sentences = dict.fromkeys(_sentence(p, others_answer=bool(told)) for p in problems)
        raise InvalidSpec("NotRecovered", "\n".join(sentences)) from problems[0]
    return told


class _InTheWay(OrreryError):
    """What keeps one region from being read."""

    def __init__(self, region: Region, why: OrreryError) -> None:
        name, address = region.metadata.name, region.nomad_address
        words = why.message.removeprefix(f"{address}: ")
        where = f"region {name} ({address})" if address else f"region {name}"
        super().__init__(why.reason, f"{where}: {words}")
        self.region = name
        self.__cause__ = why


def _sentence(problem: OrreryError, *, others_answer: bool) -> str:
    if others_answer and isinstance(problem, _InTheWay):
        return f"{problem.message}; leave out --from {problem.region} to go on without it"
    return problem.message


async def _region(reader: Reader, name: str, target: Target) -> Region:
    try:
        return validate_region(await find(reader, Kind.REGION, name, target))
    except ValidationFailure as failure:
        message = f"region {name}: this orrery cannot read it: {failure}"
        raise InvalidSpec("InvalidSpec", message) from failure


def _candidate(region: Region) -> RegionCandidate:
    metadata = region.metadata
    return RegionCandidate(metadata.name, region.spec.continent, dict(metadata.labels))


def write(result: Recovered, directory: Path) -> None:
    """Write a file for each deployment, called by its namespace and its name."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for manifest in result.manifests:
            metadata: dict[str, Any] = manifest["metadata"]
            file = directory / f"{metadata['namespace']}.{metadata['name']}.yaml"
            file.write_text(yaml.safe_dump(manifest, sort_keys=False), encoding="utf-8")
    except OSError as error:
        raise _unusable(directory, error) from error


def _unusable(directory: Path, error: OSError) -> click.ClickException:
    message = f"{directory} cannot be used: {error.strerror}: name another directory"
    return click.ClickException(message)
