"""`orrery region rights`: what the token of an External region has to be allowed."""

from typing import Final

import click

from orrery import names
from orrery.cli.hub import install_option
from orrery.planning.nomadrights import as_hcl, run_time_rules

_COMMENT: Final = """\
# What Orrery does in a region that you run yourself. It lets nobody into an instance, and writes no
# ACLs. Orrery gives each Managed region such a token by itself.
#
#   nomad acl policy apply -description "Orrery" {name} rights.hcl
#   nomad acl token create -name {name} -policy {name}
#
# Nomad demands a management token for new namespaces, one for each namespace of the hub that has
# deployments: either make those by hand, called {install}-NAMESPACE, and {system}
# for probes, or put a management token into the region's Secret, too, as `management-token`.
"""

_EXAMPLE: Final = """\b
Example:
  $ orrery region rights > rights.hcl
  $ nomad acl policy apply orrery-run-time rights.hcl
"""


@click.command(epilog=_EXAMPLE)
@install_option
def rights(install: str) -> None:
    """Print the Nomad policy of a token for an External region.

    It is the smallest that does: each rule was left out once, and Orrery stood still.
    """
    name, system = f"{install}-run-time", names.system_namespace(install)
    click.echo(_COMMENT.format(name=name, install=install, system=system), nl=False)
    click.echo(as_hcl(run_time_rules(install, joins=False)), nl=False)
