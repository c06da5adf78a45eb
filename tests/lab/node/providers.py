"""What a cloud does for a cluster: addresses for load balancers, and volumes for claims."""

import asyncio
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Final

import aiohttp
from tests.lab.node.api import ContinentApi
from tests.lab.node.controlplane import NODE

from orrery.errors import OrreryError
from orrery.ports import Document

STORAGE_CLASS: Final = "lab"
_PAUSE: Final = 0.5

Seen = Callable[[str, Document], Awaitable[None]]


def render_storage_class() -> Document:
    """Render the class of volumes that are folders of this machine; it is the default."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": STORAGE_CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "lab.orrery.dev/folder",
        "reclaimPolicy": "Retain",
        # The scheduler waits for a volume, instead of trying again after a failure.
        "volumeBindingMode": "WaitForFirstConsumer",
    }


async def give_addresses(api: ContinentApi, addresses: IPv4Network) -> None:
    """Give each Service of type LoadBalancer an address; kube-proxy serves what stands there."""
    given: dict[str, IPv4Address] = {}

    async def seen(event: str, service: Document) -> None:
        name = service["metadata"]["uid"]
        if event == "DELETED" or service["spec"]["type"] != "LoadBalancer":
            given.pop(name, None)
            return
        shown = service["status"].get("loadBalancer", {}).get("ingress", [])
        if name not in given:
            taken = {*given.values(), *(IPv4Address(entry["ip"]) for entry in shown)}
            free = (address for address in addresses.hosts() if address not in taken)
            given[name] = IPv4Address(shown[0]["ip"]) if shown else next(free)
        wanted = [{"ip": str(given[name])}]
        if [{"ip": entry["ip"]} for entry in shown] != wanted:
            await api.write_status(service, {"loadBalancer": {"ingress": wanted}})

    await _follow(api, "v1", "Service", seen)


async def give_volumes(api: ContinentApi, folder: Path) -> None:
    """Give each claim of our class a folder below *folder*.

    Of type local and not hostPath: only there the kubelet lets a pod's fsGroup write.
    """

    async def seen(event: str, claim: Document) -> None:
        ours = claim["spec"].get("storageClassName") == STORAGE_CLASS
        if event != "DELETED" and ours and not claim["spec"].get("volumeName"):
            volume = folder / str(claim["metadata"]["uid"])
            volume.mkdir(parents=True, exist_ok=True)
            await api.apply([_render_volume(claim, volume)])

    await _follow(api, "v1", "PersistentVolumeClaim", seen)


def _render_volume(claim: Document, folder: Path) -> Document:
    metadata, spec = claim["metadata"], claim["spec"]
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"lab-{metadata['uid']}"},
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"],
            "storageClassName": STORAGE_CLASS,
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
            "local": {"path": str(folder)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        },
    }


async def _follow(api: ContinentApi, api_version: str, kind: str, seen: Seen) -> None:
    """Show every change to *seen*, for as long as it takes; an API server may be away meanwhile.

    What *seen* could not do is done at the next listing: an object may have changed in between.
    """
    while True:
        try:
            async for event, found in api.follow(api_version, kind):
                await seen(event, found)
        except (OrreryError, aiohttp.ClientError, TimeoutError):
            await asyncio.sleep(_PAUSE)
