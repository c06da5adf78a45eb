"""`orrery mesh secrets`: an authority is made once, and what it issued can be renewed."""

from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner, Result
from cryptography import x509

from orrery.adapters.pki import create_authority
from orrery.api.base import GROUP
from orrery.cli import main
from orrery.render.globalmesh import GlobalMesh, render_global_mesh


def secrets(*options: str) -> Result:
    return CliRunner().invoke(main, ["mesh", "secrets", *options])


def by_name(said: Result) -> dict[str, dict[str, Any]]:
    assert said.exit_code == 0, said.output
    return {each["metadata"]["name"]: each for each in yaml.safe_load_all(said.output)}


def text(secret: dict[str, Any], key: str) -> str:
    return b64decode(secret["data"][key]).decode()


def certificate(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())


def named(document: Any) -> set[str]:
    """Find the names of all Secrets that *document* refers to."""
    match document:
        case dict():
            own = {document["secretName"]} if "secretName" in document else set()
            keys = {document["secretKeyRef"]["name"]} if "secretKeyRef" in document else set()
            return own.union(keys, *map(named, document.values()))
        case list():
            return set().union(*map(named, document))
        case _:
            return set()


def test_every_secret_that_the_manifests_name_is_made() -> None:
    made = by_name(secrets())

    wanted = named([dict(m) for m in render_global_mesh(GlobalMesh("kuma-cp:2.14.3"))])
    assert wanted == made.keys() - {"global-mesh-ca"}
    assert made["global-mesh-ca"]["metadata"]["namespace"] == f"{GROUP.split('.')[0]}-system"


def test_a_renewal_keeps_the_authority_and_the_password(tmp_path: Path) -> None:
    before = by_name(secrets())
    file = tmp_path / "ca.yaml"
    file.write_text(yaml.safe_dump(before["global-mesh-ca"]))

    after = by_name(secrets("--authority", str(file)))

    assert before.keys() - after.keys() == {
        "global-mesh-ca",
        "global-mesh-kuma-tokens",
        "global-mesh-postgres-password",
    }
    authority = certificate(text(before["global-mesh-ca"], "tls.crt"))
    for secret in after.values():
        certificate(text(secret, "tls.crt")).verify_directly_issued_by(authority)
        assert text(secret, "ca.crt") == text(before["global-mesh-ca"], "ca.crt")


def test_a_secret_without_an_authority_is_refused(tmp_path: Path) -> None:
    leaf = create_authority("x").certificate
    data = {"tls.crt": b64encode(leaf.encode()).decode(), "tls.key": ""}
    file = tmp_path / "ca.yaml"
    document = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "ca"}, "data": data}
    file.write_text(yaml.safe_dump(document))

    said = secrets("--authority", str(file))

    assert said.exit_code == 1
    assert "--authority: the Secret holds no authority in tls.crt and tls.key" in said.output
