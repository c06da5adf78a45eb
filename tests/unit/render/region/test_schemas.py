"""What is rendered, against the published schemas of Kubernetes: no server is asked."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

RENDERED = Path(__file__).parents[4] / "examples" / "rendered"
VERSIONS = ["1.30", "1.37"]
"""The oldest that the playground runs on, and the newest whose schemas there are."""


def manifests(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((RENDERED / f"{name}.yaml").read_text()))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", sorted(path.stem for path in RENDERED.glob("*.yaml")))
def test_every_rendered_manifest_has_known_fields_of_the_right_types(
    name: str, version: str
) -> None:
    found = manifests(name)

    assert {"StatefulSet", "Deployment", "NetworkPolicy"} <= {m["kind"] for m in found}
    for manifest in found:
        kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize(
    ("kind", "damage"),
    [
        pytest.param("Deployment", {"replicas": "two"}, id="type"),
        pytest.param("StatefulSet", {"servers": 3}, id="unknown"),
    ],
)
def test_a_manifest_with_a_wrong_field_would_be_noticed(kind: str, damage: dict[str, Any]) -> None:
    manifest = next(m for m in manifests("managed") if m["kind"] == kind)
    manifest["spec"] |= damage

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, VERSIONS[-1], strict=True)
