"""The stand-in for a container: answers with what it knows, and fails when told to."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.playground import stand_in
from orrery.playground.ports import reserve_port
from orrery.playground.processes import await_ready, environment, start, stop

Start = Callable[..., subprocess.Popen[bytes]]


async def answer(tmp_path: Path, image: str, path: str = "/") -> tuple[int, dict[str, Any]]:
    """Start a stand-in as Nomad would, ask it once, and end it."""
    port, other = reserve_port(), reserve_port()
    process = start(
        "stand-in",
        [sys.executable, "-I", "-S", stand_in.__file__, f"--port={port}", f"--image={image}"],
        log=tmp_path / "log",
        env=environment("test", {"NOMAD_PORT_p80": str(other), "COLOUR": "blue"}),
    )
    replies: list[tuple[int, dict[str, Any]]] = []

    async def answered() -> bool:
        try:
            replies[:] = [fetch(port, path), fetch(other, path)]
        except urllib.error.URLError:
            return False
        return True

    try:
        await await_ready(answered, what="it answers", deadline=20, watched=[process])
    finally:
        await stop(process)
    assert replies[0] == replies[1], "all ports say the same"
    return replies[0]


def fetch(port: int, path: str) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


async def test_any_path_is_answered_with_image_and_environment(tmp_path: Path) -> None:
    code, facts = await answer(tmp_path, "shop:1.4", "/deep/path?x=1")

    assert code == 200
    assert facts["image"] == "shop:1.4"
    assert facts["path"] == "/deep/path?x=1"
    assert facts["env"]["COLOUR"] == "blue"


@pytest.fixture
def run() -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def begin(*arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-I", "-S", stand_in.__file__, *arguments]
        started.append(subprocess.Popen(command, env=environment("test")))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.wait()


def test_without_a_port_it_stays(run: Start) -> None:
    process = run("--image=worker:1")

    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)


@pytest.mark.parametrize("port", ["", "--port=1"], ids=["without-a-port", "with-a-port"])
def test_a_bad_image_fails_so_that_no_check_is_needed_to_notice(run: Start, port: str) -> None:
    assert run("--image=registry:5000/worker:bad", port).wait(20) == 1


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        pytest.param("shop:1.4", "1.4", id="plain"),
        pytest.param("registry:5000/shop", "", id="a-port-is-no-tag"),
        pytest.param("registry:5000/team/shop:bad", "bad", id="both"),
        pytest.param("shop:bad@sha256:0123", "bad", id="with-a-digest"),
        pytest.param("", "", id="none"),
    ],
)
def test_the_tag_of_an_image(image: str, expected: str) -> None:
    assert stand_in.tag(image) == expected


@given(st.dictionaries(st.text(), st.text()), st.text())
def test_ports_are_read_from_anything(variables: dict[str, str], wanted: str) -> None:
    found = stand_in.ports(wanted, variables)

    assert found == sorted(set(found))
