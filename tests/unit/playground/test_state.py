"""What a playground remembers survives being written and read; directories are told apart."""

from dataclasses import replace
from pathlib import Path

import pytest

from orrery.playground.failures import PrerequisiteMissing, WrongState
from orrery.playground.lifecycle import Options, down, up, with_region
from orrery.playground.processes import Process
from orrery.playground.state import HubKind, Layout, NomadKind, RegionRecord, State

PROCESS = Process("etcd", 1, "then", Path("/log"))
REGION = RegionRecord("fra", "eu", "https://127.0.0.1:1", ("nomad", "agent"), PROCESS)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    state = State(
        hub_kind=HubKind.PROCESSES, nomad_kind=NomadKind.REAL, hub=(PROCESS,), regions=(REGION,)
    )
    layout = Layout.of(tmp_path)

    layout.write(state)

    assert layout.read() == state


def test_a_file_of_another_version_is_told(tmp_path: Path) -> None:
    layout = Layout.of(tmp_path)
    layout.state_file.write_text('{"hub_kind": "mainframe"}')

    with pytest.raises(WrongState, match="written by another version"):
        layout.read()


def test_a_region_keeps_its_place_when_it_changes() -> None:
    state = State(HubKind.PROCESSES, NomadKind.REAL)
    other = RegionRecord("was", "na", "", (), PROCESS)
    changed = RegionRecord("fra", "eu", "", (), PROCESS, killed=True)

    for region in (REGION, other, changed):
        state = with_region(state, region)

    assert state.regions == (changed, other)


def test_an_unknown_region_is_told_with_the_known_ones() -> None:
    state = State(HubKind.PROCESSES, NomadKind.REAL, regions=(REGION,))

    with pytest.raises(WrongState, match=r"no region 'mars', it has fra$"):
        state.region("mars")
    with pytest.raises(WrongState, match=r"it has fra; `operator` is its operator$"):
        replace(state, operator=PROCESS).region("mars")


def test_one_command_at_a_time(tmp_path: Path) -> None:
    layout = Layout.of(tmp_path)

    with (
        layout.exclusively(),
        pytest.raises(WrongState, match="another command"),
        layout.exclusively(),
    ):
        pass


FOREIGN = [
    pytest.param(["thesis.txt"], id="a-file"),
    pytest.param(["logs/a.log", "src/main.tf", "regions/data.csv"], id="a-project"),
    pytest.param(["state.json", "hub/data.csv"], id="a-state-of-something-else"),
    pytest.param([".lock", "regions/data.csv"], id="a-lock-of-something-else"),
]


@pytest.mark.parametrize("files", FOREIGN)
async def test_a_directory_of_somebody_else_is_left_alone(tmp_path: Path, files: list[str]) -> None:
    for name in files:
        write(tmp_path / name)

    with pytest.raises(WrongState, match="is not empty and holds no playground"):
        await up(Options(directory=tmp_path))
    with pytest.raises(WrongState):
        await down(tmp_path)

    assert files_in(tmp_path) == sorted(files)


@pytest.mark.usefixtures("bare_machine")
async def test_a_directory_that_was_a_playground_may_be_one_again(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(PrerequisiteMissing):
            await up(Options(directory=tmp_path / "mine"))
        write(tmp_path / "mine" / "logs" / "etcd.log")

    assert files_in(tmp_path / "mine") == [".lock", "logs/etcd.log"]


def write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("years of work")


def files_in(directory: Path) -> list[str]:
    return sorted(str(p.relative_to(directory)) for p in directory.rglob("*") if p.is_file())


@pytest.mark.parametrize(
    ("directory", "why"),
    [
        pytest.param("/proc/orrery", "No such file or directory", id="no-place-for-files"),
        pytest.param("/dev/null/planet", "Not a directory", id="below-a-file"),
    ],
)
async def test_a_directory_that_cannot_be_made_is_told(directory: str, why: str) -> None:
    with pytest.raises(WrongState) as refused:
        await up(Options(directory=Path(directory)))

    assert refused.value.message == f"{directory} cannot be used: {why}: name another directory"


async def test_down_without_a_playground_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(WrongState, match="orrery playground up --directory"):
        await down(tmp_path)
