"""Envoy's configuration: a real Envoy takes it, and what it promises about time and place."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.lab.envoy import require_envoy, validate
from tests.unit.render.region.blueprints import a_blueprint

from orrery.render.region.blueprint import Blueprint
from orrery.render.region.envoy import CONNECTION_AGE, SILENCE, render_envoy
from orrery.render.region.envoy_secrets import (
    CERTIFICATES_FOLDER,
    render_authorities,
    render_certificate,
)
from orrery.render.region.frontdoor import LINGER_SECONDS, render_files

SERVERS = "fra-nomad.orrery-fra.svc"

NOMAD_BLOCKS = 600 * (1 + 1 / 16)
"""Seconds for which Nomad holds a blocking query at most: its limit, and a sixteenth of jitter."""


def envoy(region: str = "fra") -> dict[str, Any]:
    return render_envoy(region, servers=SERVERS)


def listener(name: str) -> dict[str, Any]:
    found = {each["name"]: each for each in envoy()["static_resources"]["listeners"]}
    return dict(found[name])


def cluster(name: str) -> dict[str, Any]:
    found = {each["name"]: each for each in envoy()["static_resources"]["clusters"]}
    return dict(found[name])


def manager(name: str) -> dict[str, Any]:
    (chain,) = listener(name)["filter_chains"]
    config: dict[str, Any] = chain["filters"][-1]["typed_config"]
    return config


def seconds(duration: str) -> float:
    return float(duration.removesuffix("s"))


def texts(document: object) -> Iterator[str]:
    """Walk through all texts of a document."""
    match document:
        case dict():
            for key, value in document.items():
                yield key
                yield from texts(value)
        case list():
            for value in document:
                yield from texts(value)
        case str():
            yield document


@pytest.mark.parametrize(
    "blueprint",
    [
        pytest.param(a_blueprint(), id="usual"),
        pytest.param(a_blueprint("a"), id="shortest-name"),
        pytest.param(a_blueprint("r" * 20), id="long-name"),
        pytest.param(a_blueprint(continent={"namespacePrefix": "eu-prod-"}), id="other-prefix"),
    ],
)
def test_envoy_takes_it(blueprint: Blueprint, tmp_path: Path) -> None:
    said = validate(require_envoy(), render_files(blueprint), tmp_path)

    assert f"configuration '{tmp_path}/envoy.json' OK" in said, said
    assert "[warning]" not in said, said
    assert "eprecated" not in said, said


def test_machines_and_servers_meet_at_the_ports_that_servers_advertise() -> None:
    ports = {
        each["name"]: each["address"]["socket_address"]["port_value"]
        for each in envoy()["static_resources"]["listeners"]
    }

    assert ports == {"nomad-rpc": 4647, "nomad-http": 4646, "ready": 9646}


@pytest.mark.parametrize(("name", "port"), [("nomad-rpc", 4647), ("nomad-http", 4646)])
def test_servers_are_found_by_name(name: str, port: int) -> None:
    ((endpoint,),) = [e["lb_endpoints"] for e in cluster(name)["load_assignment"]["endpoints"]]

    address = endpoint["endpoint"]["address"]["socket_address"]
    assert address == {"address": SERVERS, "port_value": port}


@pytest.mark.parametrize("name", ["nomad-rpc", "nomad-http"])
def test_none_is_sent_to_a_server_that_is_not_well(name: str) -> None:
    assert cluster(name)["health_checks"]
    assert cluster(name)["common_lb_config"] == {"healthy_panic_threshold": {"value": 0}}


def test_rpc_is_not_decrypted() -> None:
    (chain,) = listener("nomad-rpc")["filter_chains"]

    assert "transport_socket" not in chain
    assert "transport_socket" not in cluster("nomad-rpc")


def test_the_admin_interface_is_no_port() -> None:
    document = envoy()

    assert document["admin"]["address"].keys() == {"pipe"}
    assert document["admin"]["address"]["pipe"]["path"].startswith("@")


def test_blocking_queries_and_heartbeats_fit_into_the_silence_that_is_allowed() -> None:
    route = manager("nomad-http")["route_config"]["virtual_hosts"][0]["routes"][0]["route"]

    assert seconds(manager("nomad-http")["stream_idle_timeout"]) == SILENCE > NOMAD_BLOCKS
    assert route["timeout"] == "0s"


def test_a_connection_ends_between_two_calls() -> None:
    assert manager("nomad-http")["http1_safe_max_connection_duration"] is True
    options = manager("nomad-http")["common_http_protocol_options"]
    assert seconds(options["max_connection_duration"]) == CONNECTION_AGE > LINGER_SECONDS


def test_only_what_was_never_sent_is_sent_again() -> None:
    route = manager("nomad-http")["route_config"]["virtual_hosts"][0]["routes"][0]["route"]

    assert route["retry_policy"]["retry_on"] == "connect-failure"


@pytest.mark.parametrize("name", ["nomad-http", "ready"])
def test_no_path_is_rewritten(name: str) -> None:
    config = manager(name)

    assert config["normalize_path"] is False
    assert config["merge_slashes"] is False
    assert config["path_with_escaped_slashes_action"] == "KEEP_UNCHANGED"


def test_names_of_certificates_are_those_of_the_region() -> None:
    patterns = {text for text in texts(envoy("ber")) if "[.]" in text}

    assert patterns == {"operator[.]ber[.]orrery", "server[.]ber[.]nomad"}


def test_certificates_are_read_from_the_secret_and_watched() -> None:
    found = set(texts([render_certificate(), render_authorities()]))

    assert {text for text in found if text.startswith("/")} == {
        CERTIFICATES_FOLDER,
        f"{CERTIFICATES_FOLDER}/tls.crt",
        f"{CERTIFICATES_FOLDER}/tls.key",
        f"{CERTIFICATES_FOLDER}/ca.crt",
    }
    assert "watched_directory" in found


def test_no_text_holds_a_key() -> None:
    files = render_files(a_blueprint())

    assert not any("PRIVATE KEY" in text or "BEGIN" in text for text in files.values())
    assert all(json.loads(text) for text in files.values())
