"""`orrery mesh`: the Secrets of a global mesh, which no rendered manifest holds."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click
import yaml

from orrery.adapters.pki import CryptographyPki
from orrery.cli.manifests import Manifest, read_manifests
from orrery.errors import InvalidSpec
from orrery.names import OPERATOR_NAMESPACE
from orrery.ports import Document, KeyPair, Pki
from orrery.reconcile.meshleaves import global_leaves, signing_texts
from orrery.reconcile.secretfacts import decode
from orrery.render.globalmesh import NAME, GlobalMesh
from orrery.render.region.blueprint import SecretName
from orrery.render.region.postgres import PASSWORD_KEY

AUTHORITY_SECRET: Final = f"{NAME}-ca"
AUTHORITY_LIFETIME: Final = timedelta(days=3650)

_EXAMPLE: Final = """\b
Example:
  $ orrery mesh secrets | kubectl create -f -
  $ kubectl -n orrery-system get secret global-mesh-ca -o yaml > ca.yaml
  $ orrery mesh secrets --authority ca.yaml | kubectl apply -f -
"""


@click.group()
def mesh() -> None:
    """Make the Secrets of a global mesh."""


@mesh.command(epilog=_EXAMPLE)
@click.option("--namespace", default=NAME, show_default=True, help="Of the global control plane.")
@click.option(
    "--operator-namespace",
    default=OPERATOR_NAMESPACE,
    show_default=True,
    help="Where the operator reads the authority.",
)
@click.option(
    "--authority", "filename", help="File with the Secret of the authority that exists already."
)
@click.option("--days", default=365, show_default=True, help="How long the certificates are valid.")
def secrets(namespace: str, operator_namespace: str, filename: str | None, days: int) -> None:
    """Print the Secrets that `orrery render global-mesh` names. They hold keys.

    The first run makes the authority, the password of PostgreSQL and the key that signs tokens for
    Kuma's API: `kubectl create` refuses to
    replace those that exist. Later runs are given the authority, print certificates only, and so
    renew them: the front door takes them over by itself, Kuma and PostgreSQL when their pods are
    started anew.
    """
    try:
        authority = None if filename is None else _read_authority(filename)
        documents = mesh_secrets(
            GlobalMesh("", namespace=namespace),
            CryptographyPki(),
            datetime.now(UTC),
            authority=authority,
            operator_namespace=operator_namespace,
            lifetime=timedelta(days=days),
        )
    except InvalidSpec as error:
        raise click.ClickException(error.message) from error
    click.echo(yaml.safe_dump_all(documents, sort_keys=False), nl=False)


def mesh_secrets(
    site: GlobalMesh,
    pki: Pki,
    now: datetime,
    *,
    authority: Mapping[str, str] | None,
    operator_namespace: str = OPERATOR_NAMESPACE,
    lifetime: timedelta = timedelta(days=365),
) -> Sequence[Document]:
    """Make the Secrets of a global mesh.

    Without *authority*, the texts of its Secret, that one and the password are made, too. Raises
    `InvalidSpec` for an authority that is none.
    """
    made: list[Document] = []
    if authority is None:
        pair = pki.create_authority(f"{NAME} authority", lifetime=AUTHORITY_LIFETIME, now=now)
        where = {"name": AUTHORITY_SECRET, "namespace": operator_namespace}
        made.append(_secret(where, _texts(pair, pair.certificate)))
        password = {PASSWORD_KEY: pki.token()}
        made.append(_secret(site.metadata(SecretName.POSTGRES_PASSWORD), password))
        made.append(_secret(site.metadata(SecretName.KUMA_TOKENS), signing_texts(pki)))
        trusted = pair.certificate
    else:
        pair = KeyPair(authority.get("tls.crt", ""), authority.get("tls.key", ""))
        certificate = pki.inspect(pair)
        if certificate is None or not certificate.is_authority:
            message = "--authority: the Secret holds no authority in tls.crt and tls.key"
            raise InvalidSpec("AuthorityInvalid", message)
        trusted = authority.get("ca.crt") or pair.certificate
    for leaf in global_leaves(site):
        issued = pki.issue(
            pair,
            leaf.name,
            hosts=sorted(leaf.hosts),
            usages=sorted(leaf.usages),
            lifetime=lifetime,
            now=now,
        )
        where = {**site.metadata(SecretName.KUMA), "name": leaf.secret}
        made.append(_secret(where, _texts(issued, trusted)))
    return made


def _read_authority(filename: str) -> Mapping[str, str]:
    found: list[Manifest] = [m for m in read_manifests(filename) if m.kind == "Secret"]
    if len(found) != 1:
        raise InvalidSpec("NotFound", f"--authority: {filename} must hold one Secret")
    return decode(found[0].document)


def _texts(pair: KeyPair, trusted: str) -> dict[str, str]:
    return {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": trusted}


def _secret(metadata: Mapping[str, Any], texts: Mapping[str, str]) -> Document:
    data = {key: b64encode(text.encode()).decode() for key, text in texts.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": dict(metadata), "data": data}
