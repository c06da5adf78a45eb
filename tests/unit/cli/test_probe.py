"""`orrery probe`: times connects, says what fails, and costs a machine next to nothing."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from orrery.cli import main
from orrery.planning.probing import read_output


@pytest.fixture
def listener() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def nobody() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{taken.getsockname()[1]}"


def test_each_connect_is_timed(listener: str) -> None:
    said = CliRunner().invoke(main, ["probe", "--address", listener, "--count", "3"])

    assert said.exit_code == 0
    assert said.output.count("\n") == 1
    found = json.loads(said.output)
    assert found.keys() == {"address", "seconds"}
    assert len(found["seconds"]) == 3
    assert all(0 < seconds < 2 for seconds in found["seconds"])


def test_a_refusal_is_said(nobody: str) -> None:
    said = CliRunner().invoke(main, ["probe", "--address", nobody, "--count", "2"])

    assert said.exit_code == 1
    output = read_output(said.output)
    assert output.error == f"2 of 2 connects to {nobody} failed: connection refused"
    assert output.seconds == []


def test_silence_is_said() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = f"127.0.0.1:{full.getsockname()[1]}"
        # The kernel takes as many as its queue holds, and answers nobody after that.
        held = [socket.socket() for _ in range(8)]
        for one in held:
            one.settimeout(0)
            one.connect_ex(full.getsockname())
        said = CliRunner().invoke(
            main, ["probe", "--address", address, "--count", "1", "--timeout", "0.3"]
        )
        for one in held:
            one.close()

    assert said.exit_code == 1
    message = f"1 of 1 connects to {address} failed: no answer in time"
    assert read_output(said.output).error == message


def test_a_name_that_nobody_knows_is_said() -> None:
    said = CliRunner().invoke(main, ["probe", "--address", "no-such-host.invalid:1"])

    assert said.exit_code == 1
    assert read_output(said.output).error.startswith("cannot look up no-such-host.invalid: ")


@pytest.mark.parametrize("address", ["fra", "fra:", ":4647", "fra:0", "fra:65536", "fra:x"])
def test_an_address_that_cannot_be_is_refused(address: str) -> None:
    said = CliRunner().invoke(main, ["probe", "--address", address])

    assert said.exit_code == 2
    assert "must be HOST:PORT" in said.output


def test_it_imports_nothing_large(listener: str) -> None:
    arguments = ["probe", "--address", listener, "--count", "1"]
    program = (
        f"import sys; from orrery.cli import main; main({arguments!r}, standalone_mode=False);"
        "print(sorted({'aiohttp', 'pydantic', 'rich', 'kubernetes', 'kopf'} & set(sys.modules)))"
    )

    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout

    assert said.splitlines()[-1] == "[]"
