"""`orrery recover`: which regions are asked, what is said of them, and where the files go."""

from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner
from tests.builders import a_deployment, endpoint
from tests.unit.cli.hubs import Planet

from orrery.adapters.memory import MemoryNomad
from orrery.cli import main
from orrery.cli.hub import Target
from orrery.cli.recover import gather, report, require_empty, write
from orrery.cli.recovery import Recovered, Told
from orrery.errors import OrreryError, Unreachable


class Silent(MemoryNomad):
    """A region at whose address nobody listens, in the words of the real client."""

    async def list_jobs(self) -> Any:
        words = "no connection: connection refused"
        raise Unreachable("RegionUnreachable", f"{endpoint(self.name)}: {words}")


async def gathered(planet: Planet, *regions: str) -> list[Told]:
    return await gather(
        planet.hub,
        Target(),
        planet.factory,
        regions,
        install="orrery",
        operator_namespace="orrery-system",
    )


async def refused(planet: Planet, *regions: str) -> list[str]:
    with pytest.raises(OrreryError) as error:
        await gathered(planet, *regions)
    return error.value.message.splitlines()


async def test_regions_are_asked_once_each() -> None:
    told = await gathered(Planet(fra="eu", sfo="na"), "sfo", "fra", "sfo")

    assert [(one.region.name, one.region.continent) for one in told] == [
        ("sfo", "na"),
        ("fra", "eu"),
    ]


async def test_region_that_does_not_answer_is_named_with_the_way_out() -> None:
    planet = Planet(fra="eu", sfo="na")
    planet.regions["sfo"] = Silent("sfo")

    (said,) = await refused(planet, "sfo", "fra")

    assert said == (
        "region sfo (https://nomad.sfo.example:4646): no connection: connection refused;"
        " leave out --from sfo to go on without it"
    )


async def test_every_region_that_is_in_the_way_is_named() -> None:
    planet = Planet(fra="eu", sfo="na", was="na")
    planet.regions["sfo"] = Silent("sfo")
    del planet.hub.secrets["orrery-system", "was-nomad"]

    said = await refused(planet, "sfo", "fra", "was", "nope")

    assert [line.partition(":")[0] for line in said] == [
        "region sfo (https",
        "region was (https",
        'Region "nope" does not exist; there are',
    ]
    assert said[1].endswith("does not exist; leave out --from was to go on without it")
    assert said[2].endswith(": fra, sfo, was")


async def test_no_way_out_is_offered_where_none_is_left() -> None:
    planet = Planet(sfo="na")
    planet.regions["sfo"] = Silent("sfo")

    assert await refused(planet, "sfo") == [
        "region sfo (https://nomad.sfo.example:4646): no connection: connection refused"
    ]


def test_a_folder_that_is_used_is_refused_before_anybody_is_asked(tmp_path: Path) -> None:
    (tmp_path / "team-a.old.yaml").write_text("stale")

    result = CliRunner().invoke(
        main, ["recover", "--from", "fra", "--directory", str(tmp_path), "--kubeconfig", "missing"]
    )

    assert result.exit_code == 1
    assert result.stderr == (
        f"Error: {tmp_path} is not empty, and what is in it would be applied too: name an empty or"
        " new directory\n"
    )


def test_new_and_empty_folders_are_taken(tmp_path: Path) -> None:
    require_empty(tmp_path)
    require_empty(tmp_path / "new")


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(click.ClickException, match="cannot be used: Not a directory"):
        write(Recovered(manifests=[a_deployment()]), tmp_path / "file" / "below")


def test_a_file_for_each_deployment(tmp_path: Path) -> None:
    write(Recovered(manifests=[a_deployment()]), tmp_path / "out")

    text = (tmp_path / "out" / "team-a.shop.yaml").read_text()
    assert yaml.safe_load(text) == a_deployment()


@pytest.mark.parametrize(
    ("directory", "where"), [(Path("found"), "found"), (None, "FILE")], ids=["folder", "output"]
)
def test_the_limit_of_what_is_recovered_is_told(directory: Path | None, where: str) -> None:
    result = Recovered(manifests=[a_deployment()], remarks=["team-a/shop: odd"])

    odd, summary, limit = report(result, ["fra", "was"], directory)

    assert (odd, summary) == ("team-a/shop: odd", "1 GlobalDeployment in fra, was")
    assert limit == (
        "this is the spec as of the last change to a job in these regions;"
        f" run `orrery plan -f {where}` before you apply"
    )


def test_where_nothing_is_recovered_there_is_nothing_to_apply() -> None:
    remark = 'installation "orrery" has 2 jobs in fra'

    said = report(Recovered(remarks=[remark]), ["fra"], None)

    assert said == [remark, "0 GlobalDeployments in fra"]


def test_help_tells_what_a_hub_needs_first_and_what_comes_last() -> None:
    said = " ".join(CliRunner().invoke(main, ["recover", "--help"]).output.split())

    for needed in ("Continents", "RegionClasses", "Regions", "Secrets of the applications"):
        assert needed in said
    assert "as of the last change to a job" in said
    assert "orrery plan -f found" in said
