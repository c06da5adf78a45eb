"""Processes: never the wrong one is ended, and a death is told with its last words."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from orrery.playground.failures import NotReady
from orrery.playground.processes import (
    Process,
    await_end,
    await_ready,
    environment,
    kill,
    marked,
    start,
    stop,
)

SLEEP = "import time; time.sleep(60)"
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(60)
"""


def run(tmp_path: Path, code: str) -> Process:
    return start(
        "example",
        [sys.executable, "-I", "-S", "-c", code],
        log=tmp_path / "logs" / "example.log",
        env=environment(str(tmp_path)),
    )


async def test_a_process_runs_until_it_is_stopped(tmp_path: Path) -> None:
    process = run(tmp_path, SLEEP)
    assert process.alive

    await stop(process)

    assert not process.alive


async def test_a_process_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    process = run(tmp_path, STUBBORN)

    async def deaf() -> bool:
        return process.log_tail() == "deaf"

    await await_ready(deaf, what="it is deaf", deadline=10, watched=[process])

    await stop(process, grace=0.2)

    assert not process.alive


async def test_a_recycled_process_id_is_never_signalled(tmp_path: Path) -> None:
    process = run(tmp_path, SLEEP)
    former = replace(process, started="long ago")

    await stop(former)
    kill(former)

    assert not former.alive
    assert process.alive
    await stop(process)


async def test_a_killed_process_is_gone(tmp_path: Path) -> None:
    process = run(tmp_path, SLEEP)

    kill(process)
    await await_end(process)

    assert not process.alive


async def test_waiting_for_a_process_that_dies_ends_with_its_last_words(tmp_path: Path) -> None:
    process = run(tmp_path, "print('no such disk')")

    async def never() -> bool:
        return False

    with pytest.raises(NotReady) as failure:
        await await_ready(never, what="it is ready", deadline=30, watched=[process])

    assert "example died while waiting until it is ready" in failure.value.message
    assert "no such disk" in failure.value.message


async def test_waiting_gives_up_at_its_deadline(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    with pytest.raises(NotReady, match="gave up after 0 s waiting until pigs fly"):
        await await_ready(never, what="pigs fly", deadline=0.1)


def test_the_users_variables_do_not_reach_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", "/nowhere")

    variables = environment("here", {"EXTRA": "1"})

    assert "AWS_CA_BUNDLE" not in variables
    assert variables["EXTRA"] == "1"
    assert variables["PATH"] == os.environ["PATH"]


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
async def test_descendants_are_found_by_their_marker(tmp_path: Path) -> None:
    child = "import subprocess, sys; subprocess.Popen([sys.executable, '-I', '-S', '-c', {!r}])"
    parent = run(tmp_path, child.format(SLEEP))
    await await_end(parent)

    found = marked(str(tmp_path))

    assert len(found) == 1
    await stop(found[0])
    assert marked(str(tmp_path)) == []
