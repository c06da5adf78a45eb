"""Images made of programs of this machine: no registry, no build tool, one layer each.

An image holds the program in /bin, the shared libraries that it loads, and the few files that
programs expect everywhere. There is no shell, as in the images that regions run.
"""

import hashlib
import io
import json
import os
import platform
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.lab.node.binaries import find_envoy, libraries, probe_program

from orrery.api.regionclass import ENVOY_IMAGE

NOMAD_IMAGE: Final = "docker.io/hashicorp/nomad:2.0.6"
PAUSE_IMAGE: Final = "lab.orrery.dev/pause:1"
PROBE_IMAGE: Final = "lab.orrery.dev/probe:1"

_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
_TYPE: Final = "application/vnd.oci.image"
_TEXTS: Final = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/none\nnobody:x:65534:65534:nobody:/:/bin/none\n",
    "etc/group": "root:x:0:\nnobody:x:65534:\n",
}


@dataclass(frozen=True, slots=True)
class Image:
    """A program of this machine under the name of an image."""

    name: str
    program: Path
    command: str
    """How the program is called in /bin."""
    arguments: Sequence[str] = ()
    """What it is started with when a pod gives no command."""


async def basic_images() -> list[Image]:
    """Make the images that every node needs: of its sandboxes, and of the pods of tests."""
    probe = await probe_program()
    return [
        Image(PAUSE_IMAGE, probe, "probe", ["pause"]),
        Image(PROBE_IMAGE, probe, "probe"),
    ]


def nomad_image(program: Path) -> Image:
    """Make the image of the region's servers from a Nomad of this machine."""
    return Image(NOMAD_IMAGE, program, "nomad")


def envoy_image() -> Image | None:
    """Make the image of front doors from an Envoy of this machine, None when there is none."""
    program = find_envoy()
    return Image(ENVOY_IMAGE, program, "envoy") if program else None


async def write_archive(image: Image, target: Path) -> None:
    """Write *image* as an archive in the OCI layout, which containerd imports."""
    layer = target.with_suffix(".layer")
    try:
        _write_layer(layer, image, await libraries(image.program))
        digest = _digest(layer)
        config = _encoded(_config(image, digest))
        described = _blob(config, "config.v1+json")
        packed = {
            "mediaType": f"{_TYPE}.layer.v1.tar",
            "digest": digest,
            "size": layer.stat().st_size,
        }
        manifest = _encoded(
            {
                "schemaVersion": 2,
                "mediaType": f"{_TYPE}.manifest.v1+json",
                "config": described,
                "layers": [packed],
            }
        )
        named = {"annotations": {"io.containerd.image.name": image.name}}
        listed = _blob(manifest, "manifest.v1+json") | named
        index = _encoded({"schemaVersion": 2, "manifests": [listed]})
        with tarfile.open(target, "w") as archive:
            _add_text(archive, "oci-layout", _encoded({"imageLayoutVersion": "1.0.0"}))
            _add_text(archive, "index.json", index)
            _add_text(archive, _blob_path(described["digest"]), config)
            _add_text(archive, _blob_path(listed["digest"]), manifest)
            _add_file(archive, _blob_path(digest), layer)
    finally:
        layer.unlink(missing_ok=True)


def _write_layer(target: Path, image: Image, needed: Sequence[Path]) -> None:
    with tarfile.open(target, "w") as layer:
        for folder in ("bin", "etc"):
            _add_folder(layer, folder, 0o755)
        _add_folder(layer, "tmp", 0o1777)
        for name, text in _TEXTS.items():
            _add_text(layer, name, text.encode())
        _add_file(layer, f"bin/{image.command}", image.program)
        for library in needed:
            _add_file(layer, str(library).lstrip("/"), library)


def _config(image: Image, layer: str) -> dict[str, Any]:
    return {
        "architecture": _ARCHITECTURES[platform.machine()],
        "os": "linux",
        "config": {
            "Entrypoint": [f"/bin/{image.command}", *image.arguments],
            "Env": ["PATH=/bin"],
        },
        "rootfs": {"type": "layers", "diff_ids": [layer]},
    }


def _blob(content: bytes, kind: str) -> dict[str, Any]:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return {"mediaType": f"{_TYPE}.{kind}", "digest": digest, "size": len(content)}


def _blob_path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _encoded(document: object) -> bytes:
    return json.dumps(document).encode()


def _add_folder(archive: tarfile.TarFile, name: str, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, mode
    archive.addfile(entry)


def _add_text(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o644
    archive.addfile(entry, io.BytesIO(content))


def _add_file(archive: tarfile.TarFile, name: str, source: Path) -> None:
    """Add the file that *source* is or points to, owned by root and executable by all."""
    entry = tarfile.TarInfo(name)
    with source.open("rb") as file:
        entry.size, entry.mode = os.fstat(file.fileno()).st_size, 0o755
        archive.addfile(entry, file)
