"""What `up` says before it starts anything: what regions and instances will be, and why."""

from pathlib import Path

import pytest

from orrery.playground.failures import PrerequisiteMissing
from orrery.playground.lifecycle import Options, up
from orrery.playground.regions import continents_of
from orrery.playground.state import NomadKind

pytestmark = pytest.mark.usefixtures("bare_machine")

REAL = "regions: real Nomad 2.0.6 ({path}/nomad)"
STAND_INS = (
    "instances: no Docker engine answers, so a small stand-in web server runs in place of each"
    " container; placement and health checks are real, images are not"
)
CONTAINERS = "instances: containers, on the Docker engine of this machine"
NONE_FOUND = (
    "regions: simulated, because no Nomad was found (looked at ORRERY_NOMAD, PATH and {cache});"
    " install Nomad from its vendor for real ones"
)
NOMAD = {"nomad": "echo Nomad v2.0.6"}
DOCKER = {"docker": "exit 0"}
SILENT_DOCKER = {"docker": "exit 1"}


@pytest.mark.parametrize(
    ("programs", "nomad", "expected"),
    [
        pytest.param(NOMAD, None, [REAL, STAND_INS], id="no-docker"),
        pytest.param(NOMAD | SILENT_DOCKER, None, [REAL, STAND_INS], id="docker-that-is-silent"),
        pytest.param(NOMAD | DOCKER, None, [REAL, CONTAINERS], id="docker"),
        pytest.param(DOCKER, None, [NONE_FOUND], id="no-nomad"),
        pytest.param(
            NOMAD, NomadKind.SIMULATED, ["regions: simulated, as asked"], id="simulated-as-asked"
        ),
    ],
)
async def test_what_will_run_is_announced_with_the_reason(
    tmp_path: Path, programs: dict[str, str], nomad: NomadKind | None, expected: list[str]
) -> None:
    path = tmp_path / "path"
    path.mkdir()
    for name, command in programs.items():
        (path / name).write_text(f"#!/bin/sh\n{command}\n")
        (path / name).chmod(0o755)
    said: list[str] = []

    with pytest.raises(PrerequisiteMissing, match="no etcd was found"):
        await up(Options(directory=tmp_path / "planet", nomad=nomad), said.append)

    lines = [line.format(path=path, cache=tmp_path / "cache/orrery/bin") for line in expected]
    assert said == [*lines, "taking down what was started"]


@pytest.mark.parametrize(
    ("regions", "continents", "expected"),
    [
        pytest.param(1, None, 1, id="one"),
        pytest.param(5, None, 2, id="several"),
        pytest.param(5, 3, 3, id="as-said"),
    ],
)
def test_a_planet_has_two_continents_where_its_regions_suffice(
    regions: int, continents: int | None, expected: int
) -> None:
    options = Options(directory=Path("planet"), continents=continents, regions=regions)

    assert len(continents_of(options.plans())) == expected
