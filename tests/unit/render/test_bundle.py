"""The files with which a machine joins: what they say, and who may read what in them."""

import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.unit.render.bundles import GOLDEN, JOIN, MADE, MESHED, files, told

from orrery.render.bundle import render_bundle
from orrery.render.bundle_files import (
    AUTHORITY,
    CERTIFICATE,
    DATA_PLANE_TOKEN,
    DATA_PLANE_UNIT,
    EXPIRY_SCRIPT,
    EXPIRY_TIMER,
    EXPIRY_UNIT,
    FOLDERS,
    KEY,
    LINK_UNIT,
    MESH_FOLDER,
    NOMAD_CONFIGURATION,
    NOMAD_UNIT,
    README,
    TOKEN,
    UNITS_FOLDER,
)


def configuration(**changes: Any) -> Any:
    return orjson.loads(files(**changes)[NOMAD_CONFIGURATION].content)


def test_the_files_are_the_same_each_time_and_sorted() -> None:
    rendered = render_bundle(JOIN)

    assert rendered == render_bundle(JOIN)
    assert [file.path for file in rendered] == sorted(
        [
            *(README, AUTHORITY, CERTIFICATE, KEY, NOMAD_CONFIGURATION, NOMAD_UNIT, TOKEN),
            *(EXPIRY_SCRIPT, EXPIRY_TIMER, EXPIRY_UNIT),
        ]
    )


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_the_files_are_those_that_were_reviewed(name: str) -> None:
    """After a change that is meant: ``python -m tests.unit.render.bundles``."""
    join, path = GOLDEN[name]

    assert told(join) == path.read_text()


def test_a_region_without_a_mesh_has_nothing_of_it_in_its_bundle() -> None:
    mentions = {file.path for file in render_bundle(JOIN) if "kuma" in file.content.lower()}

    assert not any(file.path.startswith(MESH_FOLDER) for file in render_bundle(JOIN))
    assert not {LINK_UNIT, DATA_PLANE_UNIT} & files().keys()
    assert mentions == set()


def test_secrets_stand_in_files_that_root_alone_may_read() -> None:
    assert MESHED.mesh
    found = files(mesh=MESHED.mesh)
    private = {path for path, file in found.items() if file.mode == 0o600}
    secrets = (JOIN.pair.key.strip(), JOIN.token, MESHED.mesh.token)
    holders = {
        path for path, file in found.items() if any(secret in file.content for secret in secrets)
    }

    assert private == holders == {KEY, TOKEN, DATA_PLANE_TOKEN}
    assert {file.mode for file in found.values()} == {0o600, 0o644}


def test_no_secret_shows_in_a_log() -> None:
    assert MESHED.mesh
    shown = repr(MESHED) + repr(render_bundle(MESHED))

    assert JOIN.pair.key.strip() not in shown
    assert JOIN.token not in shown
    assert MESHED.mesh.token not in shown


def test_every_folder_is_the_bundles_own() -> None:
    """Unpacked as root, the mode of a folder that others share would change for all."""
    parents = {path.rpartition("/")[0] for path in files(mesh=MESHED.mesh)}

    assert all("orrery" in folder for folder in FOLDERS)
    assert parents - FOLDERS.keys() == {"etc/systemd/system"}
    for place, folder in enumerate(FOLDERS):
        assert not any(folder.startswith(f"{later}/") for later in list(FOLDERS)[place:])


def test_the_machine_asks_for_the_front_door_and_trusts_its_region_alone() -> None:
    document = configuration()

    assert document["client"]["servers"] == list(JOIN.servers)
    assert (document["region"], document["datacenter"]) == ("fra", "fra1")
    assert document["name"] == "node1"
    assert document["tls"] == {
        "http": True,
        "rpc": True,
        "ca_file": f"/{AUTHORITY}",
        "cert_file": f"/{CERTIFICATE}",
        "key_file": f"/{KEY}",
        "verify_server_hostname": True,
        "verify_https_client": True,
    }
    assert f"/{TOKEN}".startswith(f"{document['data_dir']}/client/")


def test_a_machine_without_a_name_goes_by_its_host_name() -> None:
    assert "name" not in configuration(machine="")
    assert "it goes by its host name" in files(machine="")[README].content


def test_what_runs_outlives_a_restart_and_is_moved_when_the_machine_leaves() -> None:
    document, unit = configuration(), files()[NOMAD_UNIT].content

    assert document["leave_on_terminate"] is False
    assert document["leave_on_interrupt"] is True
    assert document["client"]["drain_on_shutdown"]
    assert "KillMode=process\nKillSignal=SIGTERM\n" in unit
    assert "Restart=on-failure\n" in unit


def test_the_readme_says_until_when_what_is_good() -> None:
    text = files()[README].content

    assert "Join before    2026-03-01 12:30 UTC" in text
    assert "ends 2026-03-31 12:00 UTC" in text
    assert JOIN.pin in text
    assert "{" not in text


@pytest.mark.parametrize(
    ("lifetime", "minutes"),
    [(timedelta(seconds=1), 2), (timedelta(minutes=30), 32), (timedelta(hours=8), 482)],
)
def test_a_token_is_removed_once_it_counts_no_longer(lifetime: timedelta, minutes: int) -> None:
    """Nomad lets it count for a minute more than it says; `find` compares whole minutes."""
    unit = files(token_expires=MADE + lifetime)[NOMAD_UNIT].content

    assert f"-name intro_token.jwt -mmin +{minutes} -delete\n" in unit


@pytest.mark.parametrize("path", [README, NOMAD_UNIT, LINK_UNIT, DATA_PLANE_UNIT, EXPIRY_UNIT])
def test_texts_for_people_fit_a_terminal(path: str) -> None:
    assert max(map(len, files(mesh=MESHED.mesh)[path].content.splitlines())) <= 100


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("needs systemd-analyze")
    units = {
        path.rpartition("/")[2].replace("@.", "@machine."): file.content
        for path, file in files(mesh=MESHED.mesh).items()
        if path.startswith(UNITS_FOLDER)
    }
    for name, text in units.items():
        # Whether a program is there is not for this test to say.
        there = re.sub(r"^ExecStart=[\w-]+ ", "ExecStart=/bin/true ", text, flags=re.MULTILINE)
        (tmp_path / name).write_text(there)

    done = subprocess.run(
        [analyze, "verify", *(str(tmp_path / name) for name in sorted(units))],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
