"""How verbs read the hub: which one, which namespace, and the few calls that they need."""

import asyncio
import functools
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar, cast
from urllib.parse import quote

import click
import yaml

from orrery.adapters.clock import SystemClock
from orrery.adapters.kube import HubConnection, HubSource, KubeHub, KubeLeases
from orrery.adapters.kube.connection import LIST_DEADLINE
from orrery.adapters.kube.replies import error_of
from orrery.api.base import API_VERSION
from orrery.api.crd import DEFINITIONS, PLURALS
from orrery.config import Config
from orrery.errors import InvalidSpec, NotYet, OrreryError, Refused
from orrery.names import INSTALL_DEFAULT, LEASE, OPERATOR_NAMESPACE
from orrery.planning.suggest import did_you_mean, listed, nearest
from orrery.ports import Document, Key, Kind, Lease, Secret
from orrery.telemetry import Telemetry

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

NAMESPACED: Final = frozenset(Kind(d.kind) for d in DEFINITIONS if d.namespaced)
USER_KUBECONFIG: Final = "~/.kube/config"
POD_NAMESPACE_FILE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")

_CLUSTER_EVENTS: Final = "default"
"""Namespace that holds the events of cluster-scoped objects."""
_PAGE: Final = "500"

_KINDS: Final = {
    word: Kind(d.kind) for d in DEFINITIONS for word in (d.short_name, d.kind.lower(), d.plural)
}


class Reader(Protocol):
    """What verbs read from a hub."""

    async def read(self, key: Key) -> Document | None:
        """Read one object, None when it does not exist."""

    async def list_in(self, kind: Kind, namespace: str) -> Sequence[Document]:
        """List the objects of *kind* in *namespace*; in all when it is empty."""

    async def read_secret(self, namespace: str, name: str) -> Secret | None:
        """Read a Secret, None when it does not exist."""

    async def events_of(self, body: Document) -> Sequence[Document]:
        """List the Kubernetes events about the very object *body*."""

    async def operator_lease(self, namespace: str) -> Lease | None:
        """Read the operator's lease, None when there is none."""

    async def namespace_exists(self, name: str) -> bool | None:
        """Tell whether there is a namespace, None when it may not be read."""


@dataclass(frozen=True, slots=True)
class Target:
    """Which hub, and which part of it."""

    kubeconfig: str = ""
    context: str = ""
    given_namespace: str = ""
    """The namespace that the user named; empty when none."""
    all_namespaces: bool = False

    @property
    def namespace(self) -> str:
        """The namespace to work in: the one given, else the context's, else ``default``."""
        return self.given_namespace or _context_namespace(self.kubeconfig, self.context)


def operator_namespace_option(command: F) -> F:
    """Add the option that says where the operator lives."""
    return click.option(
        "--operator-namespace",
        default=OPERATOR_NAMESPACE,
        show_default=True,
        help="Namespace of the operator: its lease, and the regions' credentials.",
    )(command)


def install_option(command: F) -> F:
    """Add the option that says whose jobs are ours; refuses what can be no installation's id."""

    def checked(_context: click.Context, _option: click.Parameter, value: str) -> str:
        try:
            return Config(install=value).install
        except InvalidSpec as error:
            raise click.BadParameter(error.message) from error

    return click.option(
        "--install",
        envvar="ORRERY_INSTALL",
        default=INSTALL_DEFAULT,
        show_default=True,
        callback=checked,
        help="Id of the installation, as the operator has it.  [env: ORRERY_INSTALL]",
    )(command)


def hub_options(*, all_namespaces: bool = True) -> Callable[[F], F]:
    """Add the options that say which hub; the verb takes them as one `Target` named *target*."""

    def decorate(command: F) -> F:
        @functools.wraps(command)
        def called(
            *args: Any,
            kubeconfig: str,
            context: str,
            namespace: str,
            every_namespace: bool = False,
            **options: Any,
        ) -> Any:
            target = Target(_first_file(kubeconfig), context, namespace, every_namespace)
            return command(*args, target=target, **options)

        decorated: Any = called
        for option in reversed(_options(all_namespaces=all_namespaces)):
            decorated = option(decorated)
        return cast("F", decorated)

    return decorate


def ask(
    target: Target,
    work: Callable[[Reader], Awaitable[T]],
    *,
    failure: type[click.ClickException] = click.ClickException,
) -> T:
    """Run *work* with a reader of the hub; what goes wrong ends the verb as *failure* does."""

    async def connected() -> T:
        async with reading(target) as reader:
            return await work(reader)

    return finish(connected, failure=failure)


def finish(
    work: Callable[[], Awaitable[T]],
    *,
    failure: type[click.ClickException] = click.ClickException,
) -> T:
    """Run *work*; an error of ours becomes *failure*, a sentence on stderr."""

    async def awaited() -> T:
        return await work()

    try:
        return asyncio.run(awaited())
    except OrreryError as error:
        raise failure(error.message) from error
    except KeyboardInterrupt as error:
        raise click.Abort from error


@asynccontextmanager
async def reading(target: Target) -> AsyncIterator["HubReader"]:
    """Connect to the hub, lazily. Raises `InvalidSpec` for a context that does not exist."""
    _check_context(target)
    async with HubConnection(HubSource(target.kubeconfig, target.context)) as connection:
        yield HubReader(connection)


class HubReader:
    """Implements `Reader` on a real API server."""

    def __init__(self, connection: HubConnection) -> None:
        self._connection = connection
        self._telemetry = Telemetry()
        self._hub = KubeHub(
            connection, clock=SystemClock(), telemetry=self._telemetry, instance="command line"
        )

    async def read(self, key: Key) -> Document | None:
        """Read one object, None when it does not exist."""
        return await self._hub.read(key)

    async def list_in(self, kind: Kind, namespace: str) -> Sequence[Document]:
        """List the objects of *kind* in *namespace*; in all when it is empty."""
        place = f"namespaces/{quote(namespace, safe='')}/" if namespace else ""
        found = await self._pages(f"/apis/{API_VERSION}/{place}{PLURALS[kind]}")
        if found is None:
            raise NotYet(
                "DefinitionsMissing", f"the hub does not know {kind}: install Orrery's CRDs"
            )
        return found

    async def read_secret(self, namespace: str, name: str) -> Secret | None:
        """Read a Secret, None when it does not exist."""
        return await self._hub.read_secret(namespace, name)

    async def events_of(self, body: Document) -> Sequence[Document]:
        """List the Kubernetes events about the very object *body*, as core/v1 shows them."""
        metadata = body["metadata"]
        namespace = quote(metadata.get("namespace") or _CLUSTER_EVENTS, safe="")
        about = {"fieldSelector": f"involvedObject.uid={metadata.get('uid', '')}"}
        return await self._pages(f"/api/v1/namespaces/{namespace}/events", about) or ()

    async def operator_lease(self, namespace: str) -> Lease | None:
        """Read the operator's lease, None when there is none."""
        leases = KubeLeases(self._connection, namespace, LEASE, telemetry=self._telemetry)
        return await leases.read()

    async def namespace_exists(self, name: str) -> bool | None:
        """Tell whether there is a namespace, None when it may not be read."""
        path = f"/api/v1/namespaces/{quote(name, safe='')}"
        reply = await self._connection.call("GET", path)
        if reply.status == HTTPStatus.FORBIDDEN:
            return None
        if not reply.ok and not reply.missing:
            raise error_of(f"GET {path}", reply)
        return reply.ok

    async def _pages(
        self, path: str, query: dict[str, str] | None = None
    ) -> Sequence[Document] | None:
        """Read a list page by page, None when the hub does not serve it."""
        items: list[Document] = []
        where = {**(query or {}), "limit": _PAGE}
        while True:
            page = await self._connection.call("GET", path, query=where, deadline=LIST_DEADLINE)
            if page.missing:
                return None
            if not page.ok:
                raise error_of(f"GET {path}", page)
            items += page.document.get("items", [])
            token = page.document.get("metadata", {}).get("continue")
            if not token:
                return items
            where = {**where, "continue": token}


def parse_reference(text: str, kinds: Sequence[Kind]) -> tuple[Kind, str]:
    """Read KIND/NAME, where KIND is one of *kinds*; a name alone is a GlobalDeployment's.

    Raises `click.UsageError`.
    """
    word, slash, name = text.rpartition("/")
    if not name or (slash and not word):
        raise click.UsageError(f"'{text}' is not KIND/NAME, as in gd/shop")
    if not slash:
        _refuse_kind(name, kinds)
        return Kind.GLOBAL_DEPLOYMENT, name
    kind = _KINDS.get(word.lower())
    if kind is not None and kind in kinds:
        return kind, name
    known = [short for short in _KINDS if _KINDS[short] in kinds]
    hint = did_you_mean(nearest(word.lower(), known))
    allowed = ", ".join(d.short_name for d in DEFINITIONS if d.kind in kinds)
    raise click.UsageError(f"'{word}' in '{text}' is none of {allowed}{hint}")


def _refuse_kind(word: str, kinds: Sequence[Kind]) -> None:
    """Refuse the word for a kind in the place of a name: the name was forgotten."""
    kind = _KINDS.get(word.lower())
    for definition in DEFINITIONS:
        if definition.kind == kind and kind in kinds:
            form = f"{definition.short_name}/NAME"
            raise click.UsageError(f"'{word}' is a kind: add the name of the object, as in {form}")


async def find(reader: Reader, kind: Kind, name: str, target: Target) -> Document:
    """Read the one object that the user means; raises `InvalidSpec` with a near name otherwise."""
    namespaced = kind in NAMESPACED
    if namespaced and target.all_namespaces:
        return _the_one(kind, name, await reader.list_in(kind, ""))
    namespace = target.namespace if namespaced else ""
    body = await reader.read(Key(kind, namespace, name))
    if body is not None:
        return body
    where = f' in namespace "{namespace}"' if namespaced else ""
    message = f'{kind} "{name}" does not exist{where}'
    try:
        known = [other["metadata"]["name"] for other in await reader.list_in(kind, namespace)]
    except Refused:
        raise InvalidSpec("NotFound", message) from None
    raise InvalidSpec("NotFound", f"{message}{_there_are(name, known)}")


def _there_are(name: str, known: Sequence[str]) -> str:
    """End a sentence with the name in *known* that was probably meant, else with all."""
    return did_you_mean(nearest(name, known)) or f"; there are: {listed(known)}"


def _the_one(kind: Kind, name: str, bodies: Sequence[Document]) -> Document:
    found = [body for body in bodies if body["metadata"]["name"] == name]
    if len(found) == 1:
        return found[0]
    if found:
        namespaces = ", ".join(sorted(body["metadata"]["namespace"] for body in found))
        message = f'{kind} "{name}" exists in {namespaces}: choose one with -n'
        raise InvalidSpec("Ambiguous", message)
    hint = _there_are(name, [body["metadata"]["name"] for body in bodies])
    raise InvalidSpec("NotFound", f'{kind} "{name}" does not exist in any namespace{hint}')


def _options(*, all_namespaces: bool) -> list[Callable[[Any], Any]]:
    options: list[Callable[[Any], Any]] = [
        click.option(
            "--kubeconfig",
            envvar="KUBECONFIG",
            default="",
            help=f"Kubeconfig of the hub.  [env: KUBECONFIG; default: {USER_KUBECONFIG}]",
        ),
        click.option("--context", default="", help="Context of the kubeconfig; its current one."),
        click.option(
            "-n", "--namespace", default="", help="Namespace; the context's, else default."
        ),
    ]
    if all_namespaces:
        words = "Look into all namespaces."
        flag = click.option("-A", "--all-namespaces", "every_namespace", is_flag=True, help=words)
        options.append(flag)
    return options


def _first_file(kubeconfig: str) -> str:
    """Choose of several paths, as KUBECONFIG may hold them, the first that exists."""
    paths = [path for path in kubeconfig.split(os.pathsep) if path]
    return next((path for path in paths if Path(path).expanduser().is_file()), kubeconfig)


def _context_namespace(kubeconfig: str, context: str) -> str:
    """Read the namespace of a context; what is wrong with the file is said when it is used."""
    if not kubeconfig and POD_NAMESPACE_FILE.is_file():
        return POD_NAMESPACE_FILE.read_text(encoding="utf-8").strip()
    current, contexts = _contexts(kubeconfig, context)
    return str((contexts.get(current) or {}).get("namespace") or "default")


def _check_context(target: Target) -> None:
    """Refuse a context that the kubeconfig does not have; what else is wrong is said later."""
    if not target.kubeconfig and POD_NAMESPACE_FILE.is_file():
        return
    current, contexts = _contexts(target.kubeconfig, target.context)
    if not contexts or current in contexts:
        return
    path = target.kubeconfig or USER_KUBECONFIG
    message = f"kubeconfig: '{path}' has no context \"{current}\", it has {listed(contexts)}"
    raise InvalidSpec("KubeconfigInvalid", message)


def _contexts(kubeconfig: str, context: str) -> tuple[str, Mapping[str, Mapping[str, Any]]]:
    """Read which context is chosen, and all by their names; none from what is no kubeconfig."""
    path = Path(kubeconfig or USER_KUBECONFIG).expanduser()
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        contexts = {c["name"]: c.get("context") or {} for c in config["contexts"]}
        return context or str(config["current-context"]), contexts
    except (yaml.YAMLError, OSError, LookupError, TypeError, AttributeError, ValueError):
        return context, {}
