"""`orrery render global-mesh`: a global Kuma control plane and its front door, as manifests."""

from typing import Final

import click

from orrery.api.mesh import POSTGRES_IMAGE
from orrery.api.regionclass import ENVOY_IMAGE
from orrery.cli.readable import readable
from orrery.render.globalmesh import NAME, GlobalMesh, render_global_mesh

_EXAMPLE: Final = """\b
Example:
  $ orrery render global-mesh --image kumahq/kuma-cp:2.14.3 > mesh.yaml
  $ kubectl apply -f mesh.yaml
  $ orrery mesh secrets | kubectl create -f -
"""


@click.command("global-mesh", epilog=_EXAMPLE)
@click.option("--image", required=True, help="Image of kuma-cp 2.14.")
@click.option("--namespace", default=NAME, show_default=True, help="Where it is to run.")
@click.option(
    "--replicas", type=click.IntRange(1, 5), default=2, show_default=True, help="Of kuma-cp."
)
@click.option("--postgres-image", default=POSTGRES_IMAGE, show_default=True)
@click.option("--envoy-image", default=ENVOY_IMAGE, show_default=True)
@click.option("--storage", default="5Gi", show_default=True, help="Size of PostgreSQL's volume.")
@click.option("--storage-class", default="", help="Its class; default: the cluster's own choice.")
def global_mesh(
    *,
    image: str,
    namespace: str,
    replicas: int,
    postgres_image: str,
    envoy_image: str,
    storage: str,
    storage_class: str,
) -> None:
    """Print a global Kuma control plane and its front door, without a cluster.

    Zones reach it by the front door only, which takes a zone for the one that its certificate
    names. The certificates and the password are Secrets that `orrery mesh secrets` prints. The
    Service global-mesh-front-door gets the address that RegionClass.spec.mesh.globalAddress names.
    """
    mesh = GlobalMesh(
        image,
        namespace=namespace,
        replicas=replicas,
        postgres_image=postgres_image,
        envoy_image=envoy_image,
        storage=storage,
        storage_class=storage_class,
    )
    for manifest in render_global_mesh(mesh):
        click.echo(f"---\n{readable(manifest)}", nl=False)
