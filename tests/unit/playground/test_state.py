"""What a playground remembers survives being written and read; directories are told apart."""

import os
from pathlib import Path

import pytest

from orrery.playground.failures import WrongState
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

    with pytest.raises(WrongState, match="no region 'mars', it has fra"):
        state.region("mars")


def test_one_command_at_a_time(tmp_path: Path) -> None:
    layout = Layout.of(tmp_path)

    with (
        layout.exclusively(),
        pytest.raises(WrongState, match="another command"),
        layout.exclusively(),
    ):
        pass


async def test_a_directory_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    thesis = tmp_path / "thesis.txt"
    thesis.write_text("years of work")

    with pytest.raises(WrongState, match="is not empty and holds no playground"):
        await up(Options(directory=tmp_path))

    assert os.listdir(tmp_path) == ["thesis.txt"]  # noqa: PTH208 - one call, in an async test


async def test_down_without_a_playground_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(WrongState, match="orrery playground up --directory"):
        await down(tmp_path)
