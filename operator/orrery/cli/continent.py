"""`orrery continent`: what is prepared for a continent's cluster by hand."""

from typing import Final

import click
import yaml

from orrery import names
from orrery.config import Config
from orrery.errors import InvalidSpec
from orrery.planning.rights import render_rbac

_COMMENT: Final = """\
# Lets Orrery build regions in a continent's cluster. The account can read, make and change Secrets,
# workloads and network policies in all namespaces: give the cluster no other work. With --teardown
# it can delete namespaces, too.
#
# 1. In the continent's cluster:
#      kubectl --context CONTINENT apply -f rbac.yaml
# 2. Make a kubeconfig of its token, with everything embedded:
#      kubectl --context CONTINENT -n {namespace} get secret {name}-token \\
#        -o jsonpath='{{.data.ca\\.crt}}' | base64 -d > ca.crt
#      kubectl --kubeconfig continent.yaml config set-cluster continent --embed-certs \\
#        --certificate-authority ca.crt --server https://ADDRESS:PORT
#      kubectl --kubeconfig continent.yaml config set-credentials {name} --token \\
#        "$(kubectl --context CONTINENT -n {namespace} get secret {name}-token \\
#        -o jsonpath='{{.data.token}}' | base64 -d)"
#      kubectl --kubeconfig continent.yaml config set-context continent \\
#        --cluster continent --user {name}
#      kubectl --kubeconfig continent.yaml config use-context continent
# 3. In the hub:
#      kubectl --context HUB -n {namespace} create secret generic CONTINENT-kubeconfig \\
#        --from-file kubeconfig=continent.yaml
#    and name it in the Continent:
#      cluster: {{kubeconfigSecretRef: {{name: CONTINENT-kubeconfig, key: kubeconfig}}}}
"""

_EXAMPLE: Final = """\b
Example:
  $ orrery continent rbac > rbac.yaml
  $ kubectl --context eu apply -f rbac.yaml
"""


@click.group()
def continent() -> None:
    """Prepare the Kubernetes cluster of a continent."""


@continent.command(epilog=_EXAMPLE)
@click.option(
    "--install",
    default=names.INSTALL_DEFAULT,
    show_default=True,
    envvar="ORRERY_INSTALL",
    help="Id of the installation, as the operator has it.  [env: ORRERY_INSTALL]",
)
@click.option(
    "--teardown", is_flag=True, help="Add what regions with deletionPolicy Teardown need."
)
def rbac(install: str, *, teardown: bool) -> None:
    """Print the account and the rights that Orrery needs in a continent's cluster.

    Apply them there; the comment on top says how to hand the account to Orrery.
    """
    try:
        Config(install=install)
    except InvalidSpec as error:
        raise click.ClickException(error.message) from error
    manifests = render_rbac(install, teardown=teardown)
    name = manifests[1]["metadata"]["name"]
    click.echo(_COMMENT.format(name=name, namespace=names.OPERATOR_NAMESPACE), nl=False)
    click.echo(yaml.safe_dump_all(manifests, sort_keys=False, explicit_start=True), nl=False)
