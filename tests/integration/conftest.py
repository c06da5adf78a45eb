"""One hub for all files, which each finds empty, and ways to it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.lab.hub import running_hub
from tests.lab.hubproxy import HubProxy, running_proxy
from tests.lab.rest import Rest, connected

from orrery.adapters.kube import HubConnection, HubSource
from orrery.playground.hub import Hub


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def shared_hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Hub]:
    async with running_hub(tmp_path_factory.mktemp("hub")) as hub:
        yield hub


@pytest.fixture(scope="module")
def kubeconfig(shared_hub: Hub) -> Iterator[Path]:
    yield shared_hub.kubeconfig
    with connected(shared_hub.kubeconfig) as rest:
        rest.remove_all()


@pytest.fixture(scope="module")
def rest(kubeconfig: Path) -> Iterator[Rest]:
    with connected(kubeconfig) as rest:
        yield rest


@pytest_asyncio.fixture
async def connection(kubeconfig: Path) -> AsyncIterator[HubConnection]:
    async with HubConnection(HubSource(str(kubeconfig))) as connection:
        yield connection


@pytest_asyncio.fixture
async def proxy(kubeconfig: Path) -> AsyncIterator[HubProxy]:
    async with running_proxy(kubeconfig) as proxy:
        yield proxy
