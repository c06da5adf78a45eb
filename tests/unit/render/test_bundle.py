"""The files with which a machine joins: what they say, and who may read what in them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
import pytest

from orrery.ports import KeyPair
from orrery.render.bundle import (
    AUTHORITY,
    CERTIFICATE,
    FOLDERS,
    KEY,
    NOMAD_CONFIGURATION,
    NOMAD_UNIT,
    README,
    TOKEN,
    BundleFile,
    Join,
    render_bundle,
)

MADE: Final = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
JOIN: Final = Join(
    region="fra",
    data_center="fra1",
    machine="node1",
    servers=("fra.regions.example:4647", "203.0.113.7:4647"),
    version="2.0.6",
    authority="the authority\n",
    pin="ab" * 32,
    pair=KeyPair("the certificate\n", "a-private-key\n"),
    token="the-token",
    made=MADE,
    token_expires=MADE + timedelta(minutes=30),
    certificate_expires=MADE + timedelta(days=30),
)


def files(**changes: Any) -> dict[str, BundleFile]:
    return {file.path: file for file in render_bundle(replace(JOIN, **changes))}


def configuration(**changes: Any) -> Any:
    return orjson.loads(files(**changes)[NOMAD_CONFIGURATION].content)


def test_the_files_are_the_same_each_time_and_sorted() -> None:
    rendered = render_bundle(JOIN)

    assert rendered == render_bundle(JOIN)
    assert [file.path for file in rendered] == sorted(
        [README, AUTHORITY, CERTIFICATE, KEY, NOMAD_CONFIGURATION, NOMAD_UNIT, TOKEN]
    )


def test_secrets_stand_in_two_files_that_root_alone_may_read() -> None:
    private = {path for path, file in files().items() if file.mode == 0o600}
    holders = {
        path
        for path, file in files().items()
        if JOIN.pair.key.strip() in file.content or JOIN.token in file.content
    }

    assert private == holders == {KEY, TOKEN}
    assert {file.mode for file in files().values()} == {0o600, 0o644}


def test_no_secret_shows_in_a_log() -> None:
    shown = repr(JOIN) + repr(render_bundle(JOIN))

    assert JOIN.pair.key.strip() not in shown
    assert JOIN.token not in shown


def test_every_folder_is_the_bundles_own() -> None:
    """Unpacked as root, the mode of a folder that others share would change for all."""
    parents = {path.rpartition("/")[0] for path in files()}

    assert all("orrery" in folder for folder in FOLDERS)
    assert parents - FOLDERS.keys() == {"etc/systemd/system"}
    assert list(FOLDERS) == sorted(FOLDERS, key=lambda f: (f.split("/")[0], f.count("/") > 1, 0))


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


@pytest.mark.parametrize("path", [README, NOMAD_UNIT])
def test_texts_for_people_fit_a_terminal(path: str) -> None:
    assert max(map(len, files()[path].content.splitlines())) <= 100
