"""A plain synchronous client of a hub: what is sent and answered stands in the test as it is.

Hypothesis asks hundreds of questions one after the other: one kept connection serves them all.
"""

import base64
import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPSConnection
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from urllib.parse import urlencode, urlsplit

import yaml

from orrery.api.base import API_VERSION
from orrery.api.crd import DEFINITIONS

NAMESPACE = "default"
JSON = "application/json"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


@dataclass(frozen=True, slots=True)
class Reply:
    """What the API server answered."""

    status: int
    body: dict[str, Any]

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def message(self) -> str:
        return str(self.body.get("message", ""))


class Rest:
    """Speaks to the API server of a hub as its administrator."""

    def __init__(self, connection: HTTPSConnection) -> None:
        self._connection = connection

    def get(self, path: str) -> Reply:
        return self._call("GET", path, None, JSON)

    def create(self, document: Mapping[str, Any], *, dry_run: bool = False) -> Reply:
        query = {"fieldValidation": "Strict"} | ({"dryRun": "All"} if dry_run else {})
        return self._call("POST", f"{collection(document)}?{urlencode(query)}", document, JSON)

    def apply(self, document: Mapping[str, Any], *, dry_run: bool = False) -> Reply:
        """Apply *document* as `kubectl apply --server-side` does."""
        query = {"fieldManager": "kubectl", "fieldValidation": "Strict"}
        query |= {"dryRun": "All"} if dry_run else {}
        return self._call("PATCH", f"{item(document)}?{urlencode(query)}", document, APPLY)

    def read(self, document: Mapping[str, Any]) -> Reply:
        return self.get(item(document))

    def delete(self, document: Mapping[str, Any]) -> Reply:
        return self._call("DELETE", item(document), None, JSON)

    def remove_all(self) -> None:
        """Remove every object of our kinds, whatever holds it back."""
        for definition in DEFINITIONS:
            for found in self.get(f"/apis/{API_VERSION}/{definition.plural}").body["items"]:
                self._call("PATCH", item(found), {"metadata": {"finalizers": None}}, MERGE)
                self.delete(found)

    def table(self, document: Mapping[str, Any]) -> dict[str, str]:
        """Read the columns that `kubectl get` prints of an object."""
        accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
        reply = self._call("GET", item(document), None, JSON, accept=accept)
        names = [column["name"] for column in reply.body["columnDefinitions"]]
        return dict(zip(names, reply.body["rows"][0]["cells"], strict=True))

    def write_status(self, document: Mapping[str, Any], status: Mapping[str, Any]) -> Reply:
        patch = {"status": status}
        path = f"{item(document)}/status?fieldValidation=Strict"
        return self._call("PATCH", path, patch, MERGE)

    def _call(
        self, method: str, path: str, body: object, content: str, *, accept: str = JSON
    ) -> Reply:
        text = None if body is None else json.dumps(body)
        headers = {"Content-Type": content, "Accept": accept}
        self._connection.request(method, path, text, headers)
        response = self._connection.getresponse()
        return Reply(response.status, json.loads(response.read()))


@contextmanager
def connected(kubeconfig: Path) -> Iterator[Rest]:
    """Connect to the hub of *kubeconfig*."""
    config = yaml.safe_load(kubeconfig.read_text())
    (cluster,) = (entry["cluster"] for entry in config["clusters"])
    (user,) = (entry["user"] for entry in config["users"])
    context = ssl.create_default_context(cadata=_decoded(cluster["certificate-authority-data"]))
    with NamedTemporaryFile("w", suffix=".pem") as pair:
        pair.write(_decoded(user["client-certificate-data"]))
        pair.write(_decoded(user["client-key-data"]))
        pair.flush()
        context.load_cert_chain(pair.name)
    address = urlsplit(cluster["server"])
    assert address.hostname
    connection = HTTPSConnection(address.hostname, address.port, timeout=30, context=context)
    try:
        yield Rest(connection)
    finally:
        connection.close()


def collection(document: Mapping[str, Any]) -> str:
    """Return the path of the objects of a document's kind, in its namespace."""
    kind, version = document["kind"], document["apiVersion"]
    definition = next((d for d in DEFINITIONS if d.kind == kind), None)
    namespaced = definition.namespaced if definition else kind == "Secret"
    plural = definition.plural if definition else f"{kind.lower()}s"
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    namespace = document["metadata"].get("namespace", NAMESPACE)
    return f"{root}/namespaces/{namespace}/{plural}" if namespaced else f"{root}/{plural}"


def item(document: Mapping[str, Any]) -> str:
    """Return the path of the object that a document describes."""
    return f"{collection(document)}/{document['metadata']['name']}"


def _decoded(data: str) -> str:
    return base64.b64decode(data).decode()
