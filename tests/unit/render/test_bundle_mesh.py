"""The link of a machine to its zone: what a real Envoy says to its configuration."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest
from tests.integration.frontdoors import Pki
from tests.lab.envoy import require_envoy

from orrery import names
from orrery.render.bundle_mesh import CREDENTIALS, render_link

HOSTS = [["203.0.113.7"], ["fra.regions.example", "203.0.113.7"], ["2001:db8::7"]]


@pytest.mark.parametrize("hosts", HOSTS, ids=["address", "name-and-address", "ipv6"])
def test_a_real_envoy_takes_the_configuration(hosts: Sequence[str], tmp_path: Path) -> None:
    pki = Pki()
    pair = pki.leaf(names.client_host("fra"))
    texts = {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": pki.ca}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    file = tmp_path / "envoy.json"
    text = orjson.dumps(render_link("fra", hosts)).decode()
    file.write_text(text.replace(CREDENTIALS, str(tmp_path)))

    done = subprocess.run(
        [str(require_envoy()), "--mode", "validate", "-c", str(file)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    said = done.stdout + done.stderr
    assert f"configuration '{file}' OK" in said
    assert "deprecat" not in said.lower()
    assert "[error]" not in said


def test_the_address_has_its_turn_when_dns_knows_no_name() -> None:
    (cluster,) = render_link("fra", HOSTS[1])["static_resources"]["clusters"]
    found = [
        (locality.get("priority", 0), endpoint["endpoint"]["address"]["socket_address"]["address"])
        for locality in cluster["load_assignment"]["endpoints"]
        for endpoint in locality["lb_endpoints"]
    ]

    assert found == [(0, "fra.regions.example"), (1, "203.0.113.7")]


def test_the_link_listens_at_loopback_and_trusts_the_front_door_alone() -> None:
    resources = render_link("fra", HOSTS[0])["static_resources"]
    (listener,), (cluster,) = resources["listeners"], resources["clusters"]
    tls = cluster["transport_socket"]["typed_config"]
    (name,) = tls["common_tls_context"]["validation_context"]["match_typed_subject_alt_names"]

    assert listener["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": 5678}
    assert name["matcher"]["safe_regex"]["regex"] == "front-door[.]fra[.]orrery"
    assert tls["sni"] == "front-door.fra.orrery"
