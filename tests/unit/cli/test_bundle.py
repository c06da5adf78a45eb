"""`orrery region bundle`: the options, the file, and the command that checks it."""

import io
import subprocess
import tarfile
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from tests.unit.render.bundles import JOIN, MADE, MESHED

from orrery.adapters.pki import CryptographyPki
from orrery.api.base import nanoseconds
from orrery.cli import main
from orrery.cli.bundle import TOKEN_LONGEST
from orrery.cli.bundlefile import check_free, pack, save
from orrery.render.bundle import Join, render_bundle
from orrery.render.bundle_command import render_command
from orrery.render.bundle_files import DATA_PLANES_FOLDER, FOLDERS, KEY, MESH_FOLDER, PRIVATE
from orrery.render.region.servers import INTRODUCTION_LONGEST


def authority(name: str) -> tuple[str, str]:
    """Make an authority; return its PEM and its fingerprint."""
    pki = CryptographyPki()
    pair = pki.create_authority(name, lifetime=timedelta(days=1), now=MADE)
    described = pki.inspect(pair)
    assert described
    return pair.certificate, described.fingerprint


def a_join() -> Join:
    first, pin = authority("fra")
    return replace(JOIN, authority=first + authority("former")[0], pin=pin)


def installed(tmp_path: Path, packed: bytes, command: str) -> tuple[bool, str]:
    """Run *command* where systemd does nothing; tell whether it unpacked, and what it said."""
    (tmp_path / "node1.tar").write_bytes(packed)
    tools, root = tmp_path / "tools", tmp_path / "root"
    for folder in (tools, root):
        folder.mkdir()
    (tools / "systemctl").write_text("#!/bin/sh\n")
    (tools / "systemctl").chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", "-c", command.replace(" -C /", f" -C {root}")],
        cwd=tmp_path,
        env={"PATH": f"{tools}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    unpacked = (root / KEY).exists()
    assert unpacked == (done.returncode == 0)
    return unpacked, done.stderr


@pytest.mark.parametrize("join", [JOIN, MESHED], ids=["plain", "mesh"])
def test_the_tar_has_what_is_rendered_as_roots_with_its_modes(join: Join) -> None:
    with tarfile.open(fileobj=io.BytesIO(pack(render_bundle(join), MADE))) as tar:
        members = tar.getmembers()
        content = {m.name: tar.extractfile(m).read() for m in members if m.isfile()}  # type: ignore[union-attr] # it is a file
    private = {file.path for file in render_bundle(join) if file.mode == PRIVATE}

    assert content == {file.path: file.content.encode() for file in render_bundle(join)}
    assert {m.name for m in members if m.isfile() and m.mode == PRIVATE} == private
    assert {(m.uid, m.gid, m.uname, m.mtime) for m in members} == {(0, 0, "root", MADE.timestamp())}


@pytest.mark.parametrize(
    ("join", "of_mesh"), [(JOIN, set()), (MESHED, {MESH_FOLDER, DATA_PLANES_FOLDER})]
)
def test_folders_are_there_for_what_is_in_them(join: Join, of_mesh: set[str]) -> None:
    with tarfile.open(fileobj=io.BytesIO(pack(render_bundle(join), MADE))) as tar:
        folders = {m.name: m.mode for m in tar.getmembers() if m.isdir()}

    assert folders.keys() == FOLDERS.keys() - {MESH_FOLDER, DATA_PLANES_FOLDER} | of_mesh
    assert folders.items() <= FOLDERS.items()


def test_folders_come_before_what_is_in_them() -> None:
    with tarfile.open(fileobj=io.BytesIO(pack(render_bundle(MESHED), MADE))) as tar:
        names = tar.getnames()

    for path in FOLDERS:
        inside = [name for name in names if name.startswith(f"{path}/")]
        assert all(names.index(path) < names.index(name) for name in inside)


def test_the_command_installs_what_was_made(tmp_path: Path) -> None:
    join = a_join()
    packed = pack(render_bundle(join), MADE)

    command = render_command("node1.tar", digest=sha256(packed).hexdigest(), pin=join.pin)

    assert installed(tmp_path, packed, command) == (True, "")


@pytest.mark.parametrize(
    ("added", "turned", "words"),
    [
        pytest.param(b"\0", 1, "node1.tar is not the bundle that was made\n", id="another-file"),
        pytest.param(b"", -1, "node1.tar trusts another authority\n", id="another-authority"),
    ],
)
def test_the_command_refuses_what_is_not_the_same(
    tmp_path: Path, added: bytes, turned: int, words: str
) -> None:
    join = a_join()
    packed = pack(render_bundle(join), MADE)
    digest = sha256(packed).hexdigest()

    command = render_command("node1.tar", digest=digest, pin=join.pin[::turned])

    assert installed(tmp_path, packed + added, command) == (False, words)


def test_what_the_bundle_has_is_started_and_nothing_else() -> None:
    plain = render_command("node1.tar", digest="d", pin="p")
    meshed = render_command("node1.tar", digest="d", pin="p", mesh=True)

    assert plain.endswith("systemctl restart orrery-nomad orrery-expiry.timer")
    assert meshed.endswith(
        "systemctl restart orrery-nomad orrery-expiry.timer orrery-mesh orrery-data-plane@machine"
    )


def test_a_name_with_spaces_is_one_word_of_the_command() -> None:
    command = render_command("my machine.tar", digest="d", pin="p")

    assert "tar -xpf 'my machine.tar' -C /" in command
    assert "\n" not in command


def test_a_file_is_for_its_owner_alone_and_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "fra.tar"
    check_free(path, force=False)
    save(path, b"one", force=False)

    with pytest.raises(click.ClickException, match="exists: choose another name"):
        check_free(path, force=False)
    with pytest.raises(click.ClickException, match="exists: choose another name"):
        save(path, b"two", force=False)
    assert path.read_bytes() == b"one"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_is_written_over_when_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "fra.tar"
    path.write_bytes(b"one")
    path.chmod(0o644)
    check_free(path, force=True)

    save(path, b"two", force=True)

    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("path", "words"),
    [("missing/fra.tar", "the folder .* does not exist"), ("", "is a folder, must be a file")],
)
def test_a_file_that_cannot_be_is_refused_before_anything_is_made(
    tmp_path: Path, path: str, words: str
) -> None:
    with pytest.raises(click.ClickException, match=words):
        check_free(tmp_path / path, force=True)


@pytest.mark.parametrize(
    ("option", "given", "allowed"),
    [
        ("--machine", "Node 1", "must be a DNS name such as node1, of at most 63 characters"),
        ("--machine", "n" * 64, "must be a DNS name such as node1, of at most 63 characters"),
        ("--machine", "../etc", "must be a DNS name such as node1, of at most 63 characters"),
        ("--data-center", "fra*", "must be letters, digits, '-' and '_'"),
        ("--lifetime", "59m", "must be from 1h to 87600h, as in 30m or 720h"),
        ("--lifetime", "forever", "must be from 1h to 87600h, as in 30m or 720h"),
        ("--token-lifetime", "9h", "must be from 1m to 8h, as in 30m or 720h"),
        ("--token-lifetime", "0s", "must be from 1m to 8h, as in 30m or 720h"),
    ],
)
def test_an_option_that_is_not_allowed_is_explained(option: str, given: str, allowed: str) -> None:
    said = CliRunner().invoke(main, ["region", "bundle", "fra", option, given])

    assert said.exit_code == 2
    assert f'{option}: "{given}" is not allowed, {allowed}' in " ".join(said.output.split())


def test_a_token_may_be_asked_for_as_long_as_servers_let_one_count() -> None:
    """Nomad would cut what is asked for beyond, without a word to whoever asks."""
    assert timedelta(microseconds=nanoseconds(INTRODUCTION_LONGEST) // 1000) == TOKEN_LONGEST
