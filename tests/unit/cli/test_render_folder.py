"""`orrery render --output-dir`: Kustomize bases by continent, and nobody's file lost."""

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from tests.builders import a_class, a_continent, a_managed_region

from orrery.cli import main
from orrery.cli.renderfolder import HEADER

IMAGE = "docker.io/hashicorp/nomad:2.0.6"
ADDRESSES = ("--address", "fra=203.0.113.10", "--address", "par=203.0.113.11")


@pytest.fixture
def bases(tmp_path: Path) -> Path:
    return tmp_path / "bases"


def render(bases: Path, *regions: str, addresses: tuple[str, ...] = ()) -> Result:
    documents = [a_continent(), a_class(image=IMAGE), *map(a_managed_region, regions)]
    file = bases.parent / "world.yaml"
    file.write_text(yaml.safe_dump_all(documents))
    options = ["-f", str(file), *addresses, "--output-dir", str(bases)]
    return CliRunner().invoke(main, ["render", *options])


def resources(folder: Path) -> list[str]:
    document = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert (document["apiVersion"], document["kind"]) == (
        "kustomize.config.k8s.io/v1beta1",
        "Kustomization",
    )
    return list(document["resources"])


def test_a_base_holds_just_what_is_printed_without_a_folder(bases: Path) -> None:
    said = render(bases, "fra", addresses=ADDRESSES[:2])

    printed = CliRunner().invoke(
        main, ["render", "-f", str(bases.parent / "world.yaml"), *ADDRESSES[:2]]
    )
    files = [bases / "eu" / "fra" / name for name in resources(bases / "eu" / "fra")]
    written = "".join(file.read_text().removeprefix(HEADER) for file in files)
    assert said.exit_code == 0
    assert written == printed.output


def test_a_continent_is_a_base_of_the_bases_of_its_regions(bases: Path) -> None:
    render(bases, "par", "fra", addresses=ADDRESSES)

    assert resources(bases / "eu") == ["fra", "par"]


def test_without_an_address_the_base_ends_with_the_load_balancer_and_that_is_said(
    bases: Path,
) -> None:
    said = render(bases, "fra")

    assert resources(bases / "eu" / "fra") == ["foundation.yaml", "load-balancer.yaml"]
    assert said.output.endswith("--address fra=ADDRESS shows them.\n")


def test_what_is_not_rendered_any_more_is_removed_and_what_is_not_ours_stays(bases: Path) -> None:
    render(bases, "fra", "par", addresses=ADDRESSES)
    patch = bases / "eu" / "par" / "patch.yaml"
    patch.write_text("mine: true\n")

    render(bases, "fra", addresses=ADDRESSES[:2])

    assert sorted(path.name for path in (bases / "eu" / "par").iterdir()) == ["patch.yaml"]
    assert resources(bases / "eu") == ["fra"]


def test_a_file_in_the_way_is_named_and_nothing_is_written(bases: Path) -> None:
    in_the_way = bases / "eu" / "kustomization.yaml"
    in_the_way.parent.mkdir(parents=True)
    in_the_way.write_text("mine: true\n")

    said = render(bases, "fra", addresses=ADDRESSES[:2])

    assert said.exit_code == 1
    assert f"--output-dir: {in_the_way} exists and was not written by" in said.output
    assert [path for path in bases.rglob("*") if path.is_file()] == [in_the_way]
