"""A few calls to a Kubernetes API server: apply, read, list, delete. Documents in, documents out.

The playground creates a handful of objects in a cluster it has just made, some of kinds that the
API server has known for a moment only; server-side apply of plain documents needs no discovery.
"""

import base64
import json
import ssl
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import yaml

from orrery.adapters.pki import KeyPair, write_key_pair
from orrery.errors import Refused, Unreachable
from orrery.ports import Document

FIELD_MANAGER: Final = "orrery-playground"
_NOT_FOUND: Final = 404


class KubeApi:
    """A connection to the API server that a kubeconfig's current context names."""

    def __init__(self, server: str, context: ssl.SSLContext, token: str = "") -> None:
        """Connect to *server*, lazily."""
        self.server = server
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._session = aiohttp.ClientSession(
            base_url=server,
            headers=headers,
            connector=aiohttp.TCPConnector(ssl=context),
            timeout=aiohttp.ClientTimeout(total=10),
        )

    @classmethod
    def of(cls, kubeconfig: Path) -> Self:
        """Connect as *kubeconfig* says; its certificates must be embedded."""
        config = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
        current = _named(config["contexts"], config["current-context"])["context"]
        cluster = _named(config["clusters"], current["cluster"])["cluster"]
        user = _named(config["users"], current["user"])["user"]
        return cls(cluster["server"], _context(cluster, user), user.get("token", ""))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def answers(self, path: str = "/readyz") -> bool:
        """Tell whether *path* answers 200."""
        try:
            async with self._session.get(path) as reply:
                return reply.status == 200  # noqa: PLR2004 - HTTP's own number
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def apply(self, manifests: Iterable[Document]) -> None:
        """Server-side apply *manifests*, in order, as strictly as kubectl does."""
        for manifest in manifests:
            await self.call(
                "PATCH",
                object_path(manifest),
                params=apply_options(FIELD_MANAGER),
                json=manifest,
                headers={"Content-Type": "application/apply-patch+yaml"},
            )

    async def read(
        self, api_version: str, kind: str, name: str, *, namespace: str = ""
    ) -> Document | None:
        """Read one object, None when it does not exist."""
        path = f"{collection(api_version, kind, namespace)}/{name}"
        found: Document | None = await self.call("GET", path)
        return found

    async def list(self, api_version: str, kind: str, *, namespace: str = "") -> Sequence[Document]:
        """List the objects of *kind* in *namespace*, or in all."""
        found = await self.call("GET", collection(api_version, kind, namespace))
        return found["items"] if found else []

    async def delete(self, api_version: str, kind: str, name: str, *, namespace: str = "") -> None:
        """Delete one object; it may be gone already."""
        await self.call("DELETE", f"{collection(api_version, kind, namespace)}/{name}")

    async def call(self, method: str, path: str, **request: Any) -> Any:
        """Send one request; return the answer, None when what is read or deleted is not there."""
        try:
            async with self._session.request(method, path, **request) as reply:
                text = await reply.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unreachable(
                "HubUnreachable", f"{self.server} does not answer: {error}"
            ) from error
        if reply.status == _NOT_FOUND and method in {"GET", "DELETE"}:
            return None
        if not reply.ok:
            raise Refused("HubRefused", f"{method} {path}: {_detail(text)}")
        return json.loads(text)


def apply_options(field_manager: str) -> dict[str, str]:
    """Return the query of a server-side apply that refuses unknown fields.

    Without asking for that, the API server drops them and says so in a header that few read.
    """
    return {"fieldManager": field_manager, "force": "true", "fieldValidation": "Strict"}


def object_path(manifest: Document) -> str:
    """Return the path of the object that *manifest* describes."""
    metadata = manifest["metadata"]
    namespace = metadata.get("namespace", "")
    return f"{collection(manifest['apiVersion'], manifest['kind'], namespace)}/{metadata['name']}"


def collection(api_version: str, kind: str, namespace: str = "") -> str:
    """Return the path of the objects of *kind*; right for all kinds with a regular plural."""
    root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    name = kind.lower()
    plural = f"{name}es" if name.endswith("s") else f"{name}s"
    if name.endswith("y"):
        plural = f"{name[:-1]}ies" if name[-2] not in "aeiou" else plural
    return f"{root}/namespaces/{namespace}/{plural}" if namespace else f"{root}/{plural}"


def kubeconfig(server: str, *, authority: str, user: KeyPair, name: str) -> str:
    """Render a kubeconfig with everything embedded."""
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "clusters": [
                {
                    "name": name,
                    "cluster": {"server": server, "certificate-authority-data": _encode(authority)},
                }
            ],
            "users": [
                {
                    "name": name,
                    "user": {
                        "client-certificate-data": _encode(user.certificate),
                        "client-key-data": _encode(user.key),
                    },
                }
            ],
        },
        sort_keys=False,
    )


def _detail(text: str) -> str:
    """Return the message of a Status document, or whatever was said instead of one."""
    try:
        return str(json.loads(text)["message"])
    except (ValueError, LookupError, TypeError):
        return text.strip()


def _named(entries: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(entry for entry in entries if entry["name"] == name)


def _context(cluster: dict[str, str], user: dict[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=_decode(cluster["certificate-authority-data"]))
    if "client-certificate-data" in user:
        pair = KeyPair(_decode(user["client-certificate-data"]), _decode(user["client-key-data"]))
        with tempfile.TemporaryDirectory() as directory:
            certificate, key = write_key_pair(Path(directory), "user", pair)
            context.load_cert_chain(certificate, key)
    return context


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _decode(data: str) -> str:
    return base64.b64decode(data).decode()
