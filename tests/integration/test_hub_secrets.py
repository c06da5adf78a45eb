"""Secrets that Orrery keeps in the hub, and those that it leaves alone, on a real API server."""

from dataclasses import replace

import pytest
from tests.lab.rest import Rest

from orrery.adapters.clock import SystemClock
from orrery.adapters.kube import HubConnection, KubeHub
from orrery.errors import Refused
from orrery.ports import Secret
from orrery.telemetry import Telemetry


@pytest.fixture
def hub(connection: HubConnection) -> KubeHub:
    return KubeHub(connection, clock=SystemClock(), telemetry=Telemetry(), instance="test")


def a_credentials_secret(name: str) -> Secret:
    annotations = {"orrery.dev/endpoint": "https://203.0.113.10:4646"}
    return Secret("default", name, "Opaque", annotations, {"token": b"t0ken"})


async def test_a_secret_of_our_own_is_written_again_and_deleted(hub: KubeHub) -> None:
    await hub.write_secret(a_credentials_secret("ours"))
    await hub.write_secret(replace(a_credentials_secret("ours"), data={"token": b"0ther"}))
    found = await hub.read_secret("default", "ours")
    assert found is not None
    assert found.data == {"token": b"0ther"}

    await hub.delete_secret("default", "ours")
    await hub.delete_secret("default", "ours")

    assert await hub.read_secret("default", "ours") is None


async def test_somebody_elses_secret_is_neither_written_over_nor_deleted(
    hub: KubeHub, rest: Rest
) -> None:
    metadata = {"name": "theirs", "namespace": "default"}
    rest.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"a": "YQ=="}})

    with pytest.raises(Refused, match='Secret "theirs" in namespace "default" exists and is not'):
        await hub.write_secret(a_credentials_secret("theirs"))
    await hub.delete_secret("default", "theirs")

    found = await hub.read_secret("default", "theirs")
    assert found is not None
    assert found.data == {"a": b"a"}
