"""Write rendered regions into a folder: a Kustomize base for each, and one for each continent."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from orrery.errors import InvalidSpec

HEADER: Final = "# Written by `orrery render`, which replaces this file: change it by an overlay.\n"
KUSTOMIZATION: Final = "kustomization.yaml"


def write_bases(folder: Path, texts: Mapping[str, Mapping[str, Mapping[str, str]]]) -> list[Path]:
    """Write *texts*, by continent, region and layer, below *folder*; return the files written.

    Files of ours that belong to none of them any more are removed. Raises `InvalidSpec`, before
    anything is written, for a file in the way that is not ours.
    """
    wanted = _files(folder, texts)
    foreign = [path for path in wanted if path.exists() and not _is_ours(path)]
    if foreign:
        message = f"--output-dir: {foreign[0]} exists and was not written by `orrery render`"
        raise InvalidSpec("FileInTheWay", message)
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(HEADER + text, encoding="utf-8")
    for continent in texts:
        for path in sorted((folder / continent).rglob("*.yaml")):
            if path not in wanted and _is_ours(path):
                path.unlink()
    return list(wanted)


def _files(folder: Path, texts: Mapping[str, Mapping[str, Mapping[str, str]]]) -> dict[Path, str]:
    files: dict[Path, str] = {}
    for continent, regions in texts.items():
        for region, layers in regions.items():
            names = [f"{layer}.yaml" for layer in layers]
            for name, text in zip(names, layers.values(), strict=True):
                files[folder / continent / region / name] = text
            files[folder / continent / region / KUSTOMIZATION] = _kustomization(names)
        files[folder / continent / KUSTOMIZATION] = _kustomization(list(regions))
    return files


def _kustomization(resources: Sequence[str]) -> str:
    document: dict[str, Any] = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": list(resources),
    }
    return yaml.safe_dump(document, sort_keys=False)


def _is_ours(path: Path) -> bool:
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.readline() == HEADER
