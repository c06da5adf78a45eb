"""Where the hub is, and how to show it who we are.

The client library reads kubeconfigs, service accounts, exec plugins and token files. Connections
are plain HTTP sessions: documents in, documents out, no models.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.client.rest import RESTClientObject
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config
from kubernetes.aio.config.incluster_config import SERVICE_HOST_ENV_NAME
from yaml import YAMLError

from orrery.errors import InvalidSpec

USER_KUBECONFIG = "~/.kube/config"
USER_AGENT = f"orrery (python {sys.version_info.major}.{sys.version_info.minor})"
CONNECT_WITHIN = 5.0
"""Seconds for a new connection."""

_NO_KUBECONFIG = (YAMLError, AttributeError, KeyError, TypeError, ValueError)
"""What the library raises for a file that is none of what it expects."""


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


class HubAccess:
    """One reading of a `HubSource`; usable in any event loop."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self.server = str(configuration.host).rstrip("/")

    async def authorization(self) -> str:
        """Return the value of the Authorization header; a service account's token is kept fresh."""
        settings = await self._configuration.auth_settings()
        token = settings.get("BearerToken")
        return str(token["value"]).strip() if token else ""

    def open_session(
        self,
        *,
        answered: Callable[[aiohttp.TraceRequestEndParams], None] | None = None,
        failed: Callable[[aiohttp.TraceRequestExceptionParams], None] | None = None,
    ) -> aiohttp.ClientSession:
        """Open a session that authenticates each request, and tells how each one ends."""
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=100, ssl=RESTClientObject(self._configuration).ssl_context
            ),
            headers={"User-Agent": USER_AGENT, "Accept": "application/json"},
            middlewares=(self._authenticate,),
            trace_configs=[_trace(answered, failed)],
            timeout=aiohttp.ClientTimeout(sock_connect=CONNECT_WITHIN),
            proxy=self._configuration.proxy,
            trust_env=True,
        )

    async def _authenticate(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        authorization = await self.authorization()
        if authorization:
            request.headers["Authorization"] = authorization
        if self._configuration.tls_server_name:
            request.server_hostname = self._configuration.tls_server_name
        return await handler(request)


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
