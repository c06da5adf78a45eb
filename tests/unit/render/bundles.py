"""Bundles for tests, with words in place of secrets, and what they look like when all is well."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from orrery.ports import KeyPair
from orrery.render.bundle import Join, render_bundle
from orrery.render.bundle_files import BundleFile
from orrery.render.bundle_mesh import MeshJoin

MADE: Final = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
JOIN: Final = Join(
    region="fra",
    data_center="fra1",
    machine="node1",
    servers=("fra.regions.example:4647", "203.0.113.7:4647"),
    version="2.0.6",
    authority="the authority\n",
    pin="ab" * 32,
    pair=KeyPair("the certificate\n", "a-private-key\n"),
    token="the-token",
    made=MADE,
    token_expires=MADE + timedelta(minutes=30),
    certificate_expires=MADE + timedelta(days=30),
)
MESHED: Final = replace(
    JOIN,
    mesh=MeshJoin(
        hosts=("fra.regions.example", "203.0.113.7"),
        image="registry.example/kuma-cp:2.14.3",
        token="the-token-of-the-data-plane",
        token_id="5d1d2b6e-8f3c-4a4e-9c53-2f8f5c1e7a90",
    ),
)

FOLDER: Final = Path(__file__).parent / "golden"
GOLDEN: Final = {
    name: (join, FOLDER / f"{name}.txt")
    for name, join in {
        "machine": JOIN,
        "machine-with-mesh": MESHED,
        "any-machine-with-mesh": replace(MESHED, machine=""),
    }.items()
}
"""By name: a bundle, and the file that shows it."""


def files(**changes: Any) -> dict[str, BundleFile]:
    return {file.path: file for file in render_bundle(replace(JOIN, **changes))}


def told(join: Join) -> str:
    """Write all files of a bundle one after the other."""
    return "".join(
        f"=== {file.path} {file.mode:04o}\n{file.content}" for file in render_bundle(join)
    )


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for each, path in GOLDEN.values():
        path.write_text(told(each))
