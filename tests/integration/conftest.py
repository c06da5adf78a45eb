"""A hub of its own for each file, and ways to it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.lab.hub import running_hub
from tests.lab.hubproxy import HubProxy, running_proxy
from tests.lab.rest import Rest, connected

from orrery.adapters.kube import HubConnection, HubSource


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Path]:
    async with running_hub(tmp_path_factory.mktemp("hub")) as hub:
        yield hub.kubeconfig


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
