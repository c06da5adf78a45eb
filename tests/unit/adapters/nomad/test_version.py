"""Supported Nomad versions: the refusal names what was found and what is supported."""

import pytest
from tests.unit.adapters.nomad.servers import always, connected, reply, serve

from orrery.errors import Refused
from orrery.nomad_version import check_version


@pytest.mark.parametrize(
    "version",
    ["2.0.4", "2.0.5-beta.1", "2.0.6-dev", "2.0.6", "2.0.6+ent", "v2.0.6", "2.1.0", "2.10.3-rc.1"],
)
def test_supported(version: str) -> None:
    check_version(version)


@pytest.mark.parametrize(
    ("version", "problem"),
    [
        ("1.10.5", "too old"),
        ("2.0.3", "too old"),
        ("2.0.4-dev", "too old"),
        ("2.0.4-beta.1+ent", "too old"),
        ("3.0.0", "too new"),
        ("3.0.0-beta.1", "too new"),
        ("10.0.0", "too new"),
    ],
)
def test_unsupported_versions_are_named_with_the_range(version: str, problem: str) -> None:
    with pytest.raises(Refused) as caught:
        check_version(version)

    assert caught.value.reason == "NomadUnsupported"
    assert caught.value.message == (
        f"Nomad {version} is {problem}. "
        "Supported Nomad: oldest 2.0.4, newest tested 2.0.6, below 3.0.0"
    )


@pytest.mark.parametrize("version", ["", "2.0", "two", "2.0.6.1", "2.0.6 ", "9" * 5000, "٢.0.6\n"])
def test_an_unreadable_version_is_refused(version: str) -> None:
    with pytest.raises(Refused, match="unreadable"):
        check_version(version)


async def test_a_region_with_an_unsupported_nomad_is_refused_on_connect() -> None:
    body = b'{"config": {"Region": "global", "Version": {"Version": "1.10.5"}}}'

    async with serve(always(reply(body=body))) as server, connected(server.endpoint) as client:
        with pytest.raises(Refused, match=r"Nomad 1\.10\.5 is too old"):
            await client.agent()
