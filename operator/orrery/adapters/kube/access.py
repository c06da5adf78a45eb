"""Where an API server is, and how to show it who we are.

The client library reads the hub's kubeconfig, service account, exec plugins and token files.
Connections are plain HTTP sessions: documents in, documents out, no models.
"""

import os
import ssl
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import aiohttp
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.client.rest import RESTClientObject
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config
from kubernetes.aio.config.incluster_config import SERVICE_HOST_ENV_NAME
from yaml import YAMLError

from orrery.adapters.kube.kubeconfig import Way, parse_kubeconfig
from orrery.errors import InvalidSpec

USER_KUBECONFIG = "~/.kube/config"
USER_AGENT = f"orrery (python {sys.version_info.major}.{sys.version_info.minor})"
CONNECT_WITHIN = 5.0
"""Seconds for a new connection."""

_NO_KUBECONFIG = (YAMLError, AttributeError, KeyError, TypeError, ValueError)
"""What the library raises for a file that is none of what it expects."""


class Source(Protocol):
    """Where to find the way to an API server."""

    async def load(self) -> "Access":
        """Read everything afresh. Raises `InvalidSpec` for what cannot be used."""


@dataclass(frozen=True, slots=True)
class TextSource:
    """The text of a kubeconfig, which may name neither programs nor files."""

    text: str = field(repr=False)

    async def load(self) -> "Access":
        """Read the text."""
        return TextAccess(parse_kubeconfig(self.text))


@dataclass(frozen=True, slots=True)
class HubSource:
    """Where to find the way to the hub. Empty: the pod's own account, else the user's file."""

    kubeconfig: str = ""
    context: str = ""

    async def load(self) -> "HubAccess":
        """Read everything afresh: tokens and certificates change while we run."""
        configuration = Configuration()
        try:
            if not self.kubeconfig and os.environ.get(SERVICE_HOST_ENV_NAME):
                load_incluster_config(  # type: ignore[no-untyped-call]  # the library is not typed
                    client_configuration=configuration
                )
            else:
                await _load_file(self._path(), self.context, configuration)
        except (ConfigException, OSError) as error:
            raise self._invalid(str(error)) from error
        except _NO_KUBECONFIG as error:
            what = "this is no kubeconfig, which is YAML with clusters, users and contexts"
            raise self._invalid(what) from error
        return HubAccess(configuration)

    def _invalid(self, why: str) -> InvalidSpec:
        where = self.kubeconfig or "the pod's service account"
        return InvalidSpec("KubeconfigInvalid", f"kubeconfig: '{where}': {why}")

    def _path(self) -> str:
        path = Path(self.kubeconfig or USER_KUBECONFIG).expanduser()
        if not path.is_file():
            raise InvalidSpec("KubeconfigInvalid", f"kubeconfig: '{path}' does not exist")
        return str(path)


class Access(ABC):
    """One reading of a `Source`; usable in any event loop."""

    def __init__(self, server: str, *, proxy: str | None, server_name: str | None) -> None:
        self.server = server
        self._proxy = proxy
        self._server_name = server_name

    @abstractmethod
    async def authorization(self) -> str:
        """Return the value of the Authorization header, empty without one."""

    @abstractmethod
    def tls_context(self) -> ssl.SSLContext:
        """Make what checks the server, and shows it our certificate if any."""

    def open_session(
        self,
        *,
        answered: Callable[[aiohttp.TraceRequestEndParams], None] | None = None,
        failed: Callable[[aiohttp.TraceRequestExceptionParams], None] | None = None,
    ) -> aiohttp.ClientSession:
        """Open a session that authenticates each request, and tells how each one ends."""
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=100, ssl=self.tls_context()),
            headers={"User-Agent": USER_AGENT, "Accept": "application/json"},
            middlewares=(self._authenticate,),
            trace_configs=[_trace(answered, failed)],
            timeout=aiohttp.ClientTimeout(sock_connect=CONNECT_WITHIN),
            proxy=self._proxy,
            trust_env=True,
        )

    async def _authenticate(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        authorization = await self.authorization()
        if authorization:
            request.headers["Authorization"] = authorization
        if self._server_name:
            request.server_hostname = self._server_name
        return await handler(request)


class HubAccess(Access):
    """One reading of a `HubSource`."""

    def __init__(self, configuration: Configuration) -> None:
        super().__init__(
            str(configuration.host).rstrip("/"),
            proxy=configuration.proxy,
            server_name=configuration.tls_server_name,
        )
        self._configuration = configuration

    async def authorization(self) -> str:
        """Return the value of the Authorization header; a service account's token is kept fresh."""
        settings = await self._configuration.auth_settings()
        token = settings.get("BearerToken")
        return str(token["value"]).strip() if token else ""

    def tls_context(self) -> ssl.SSLContext:
        """Make the context that the library makes."""
        context: ssl.SSLContext = RESTClientObject(self._configuration).ssl_context
        return context


class TextAccess(Access):
    """One reading of a `TextSource`."""

    def __init__(self, way: Way) -> None:
        super().__init__(way.server, proxy=way.proxy or None, server_name=way.server_name or None)
        self._way = way
        self._context = way.tls_context()

    async def authorization(self) -> str:
        """Return the token of the text."""
        return f"Bearer {self._way.token}" if self._way.token else ""

    def tls_context(self) -> ssl.SSLContext:
        """Return the context of the text's authority and client certificate."""
        return self._context


async def _load_file(path: str, context: str, configuration: Configuration) -> None:
    await load_kube_config(  # type: ignore[no-untyped-call]  # the library is not typed
        config_file=path,
        context=context or None,
        client_configuration=configuration,
        persist_config=False,
    )


def _trace(
    answered: Callable[[aiohttp.TraceRequestEndParams], None] | None,
    failed: Callable[[aiohttp.TraceRequestExceptionParams], None] | None,
) -> aiohttp.TraceConfig:
    async def on_end(
        _session: aiohttp.ClientSession, _context: object, params: aiohttp.TraceRequestEndParams
    ) -> None:
        if answered is not None:
            answered(params)

    async def on_exception(
        _session: aiohttp.ClientSession,
        _context: object,
        params: aiohttp.TraceRequestExceptionParams,
    ) -> None:
        if failed is not None:
            failed(params)

    trace = aiohttp.TraceConfig()
    trace.on_request_end.append(on_end)
    trace.on_request_exception.append(on_exception)
    return trace
