"""`orrery region forget`: a region whose deletion only its finalizer had held is gone with it."""

from http import HTTPStatus
from typing import Any, Self

import pytest
from click.testing import CliRunner
from tests.builders import a_managed_region

from orrery.adapters.kube.replies import HUB, Reply, error_of
from orrery.cli import main, region
from orrery.names import FINALIZER_REGION


class Hub:
    """A connection that answers DELETE with *status* and takes note of what is sent."""

    status = HTTPStatus.OK
    sent: list[str]

    def __init__(self, _source: object) -> None:
        type(self).sent = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        return None

    async def call(self, method: str, path: str, **_request: Any) -> Reply:
        self.sent.append(f"{method} {path}")
        return Reply(self.status, {"message": "said by the hub"})

    async def demand(self, method: str, path: str, **_request: Any) -> dict[str, Any]:
        self.sent.append(f"{method} {path}")
        return {}

    def error_of(self, request: str, reply: Reply) -> Exception:
        return error_of(request, reply, HUB)


class Reader:
    """One Region that is being deleted, and nothing else."""

    def __init__(self, _connection: object) -> None:
        pass

    async def list_in(self, *_place: object) -> list[Any]:
        return []


async def find(*_asked: object) -> dict[str, Any]:
    body = a_managed_region("fra")
    body["metadata"] |= {"uid": "1", "resourceVersion": "1", "finalizers": [FINALIZER_REGION]}
    return body


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> type[Hub]:
    monkeypatch.setattr(region, "HubConnection", Hub)
    monkeypatch.setattr(region, "HubReader", Reader)
    monkeypatch.setattr(region, "find", find)
    monkeypatch.setattr(Hub, "status", HTTPStatus.OK)
    return Hub


@pytest.mark.parametrize("status", [HTTPStatus.OK, HTTPStatus.NOT_FOUND])
def test_it_is_forgotten_when_it_went_with_its_finalizer(
    hub: type[Hub], status: HTTPStatus
) -> None:
    hub.status = status

    said = CliRunner().invoke(main, ["region", "forget", "fra", "--yes", "--force"])

    assert (said.exit_code, said.output.splitlines()[-1]) == (0, "region fra is forgotten")
    assert [request.split()[0] for request in hub.sent] == ["PATCH", "DELETE"]


def test_any_other_refusal_is_told(hub: type[Hub]) -> None:
    hub.status = HTTPStatus.FORBIDDEN

    said = CliRunner().invoke(main, ["region", "forget", "fra", "--yes", "--force"])

    assert said.exit_code == 1
    assert "said by the hub" in said.output
