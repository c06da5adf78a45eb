"""Write the README of a machine's bundle: how to install, renew and end it. No secrets. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from orrery.render.bundle_command import units_of
from orrery.render.bundle_expiry import renewal_due
from orrery.render.bundle_mesh import data_plane_name
from orrery.render.region.kuma import DATA_PLANE_MESH

if TYPE_CHECKING:
    from orrery.render.bundle import Join

_MADE_FOR_ALL = "any machine: it goes by its host name"

_TEXT = """\
A machine of the region {region}
{underline}

Machine        {machine}
Data center    {data_center}
Front door     {servers}
Authority      {pin} (SHA-256)
Made           {made}
Join before    {token_expires}
Certificate    ends {certificate_expires}
{mesh_facts}
This bundle holds a private key and a token: whoever has it can join {region} until {token_expires}.
Delete the tar when the machine has joined.

Install
-------
1. Install Nomad{version}: the program `nomad`, in /usr/local/bin or /usr/bin. A machine must not
   run a newer Nomad than its region's servers. A service that came with it stays disabled.
2. As root:

     tar -xpf BUNDLE.tar -C /
     systemctl daemon-reload
     systemctl enable {units}
     systemctl restart {units}

   `orrery region bundle --print-command` prints these with a check before that the tar is the one
   that was made.
3. Look: `kubectl get rgn {region} -o yaml` counts the machine in status.dataCenters;
   `journalctl -u orrery-nomad` says why it does not join.

Drivers, labels and all else of the machine's own go into files of yours beside orrery.json in
/etc/orrery/nomad.d, such as drivers.hcl: Nomad reads all that end with .hcl or .json there. The
next bundle leaves them as they are.
{mesh}
Renew
-----
Twice a day orrery-expiry tells the journal how many days the certificate is still good:

  journalctl -u orrery-expiry

Once less than a third of its time is left, from {renewal} on, that unit fails, which
`systemctl --failed` and whatever watches units show. It renews nothing by itself: that would take
a right to make certificates on each machine.

Before {certificate_expires} make another bundle, with the same names, and install it the same way,
step 2. What runs goes on running. The machine stays who it is: the token counts only for a machine
that the region does not know. Without a renewal its servers turn it away from that day on.

A machine that was away for long, by default a day, may have been forgotten by its region. Should it
not come back by itself, make another bundle, install it, and before the last line of step 2 do

  systemctl stop orrery-nomad
  find /var/lib/orrery/nomad/client -mindepth 1 ! -name intro_token.jwt -delete

It then joins as a new machine; restart it first if something may still run there.

End
---
To take the machine out, with its work moved elsewhere first:

  systemctl disable orrery-nomad
  systemctl kill --kill-who=main --signal=SIGINT orrery-nomad
  systemctl disable --now {others}

To shut out a machine that you no longer hold, see "Shut a machine out" in Orrery's page on
joining machines: Nomad reads no revocation lists, so it takes more than to delete its node.

Files
-----
/etc/orrery/tls                                  certificates, and the key; for root alone
/etc/orrery/nomad.d/orrery.json                  configuration of Nomad
/etc/systemd/system/orrery-nomad.service         runs Nomad
/var/lib/orrery/nomad                            its data; client/intro_token.jwt is the token
/etc/orrery/expiry.sh                            tells how long the certificate is good
/etc/systemd/system/orrery-expiry.*              run that
{mesh_files}"""

_MESH_FACTS = """\
Data plane     {data_plane} of the mesh {mesh}, token {token_id},
               which ends with the certificate
"""

_MESH = """
Mesh
----
1. Install `kuma-dp` and `envoy` of the version of {image}
   beside Nomad. Kuma's archive has both.
2. orrery-mesh is an Envoy at 127.0.0.1:5678. It shows the machine's certificate to port 5678 of
   the front door, for kuma-dp cannot. orrery-data-plane@machine is the machine's own data plane:
   while it runs, kuma-cp knows the machine. It takes nothing in.

     journalctl -u orrery-mesh -u orrery-data-plane@machine

   A line with UF in it: the front door is not there, or, with TLS_error, takes no certificate of
   this machine.
3. A data plane of your own, say web, is orrery-data-plane@web. It has in
   /etc/orrery/mesh/data-planes: web.json, the Dataplane; web.token, a token for it, for root
   alone; and web.env, settings of kuma-dp, with a KUMA_READINESS_PORT that no other one has.
   Bundles leave these as they are. Programs that start kuma-dp themselves, as sidecars of jobs
   on the host's network, use the address and authority of that unit.
"""

_MESH_FILES = """\
/etc/orrery/mesh/envoy.json                      configuration of the Envoy that leads to the zone
/etc/orrery/mesh/kuma-dp.env                     settings of all data planes
/etc/orrery/mesh/data-planes                     data planes and tokens; machine.* are the bundle's
/etc/systemd/system/orrery-mesh.service          runs that Envoy
/etc/systemd/system/orrery-data-plane@.service   runs data planes
"""


def render_readme(join: Join) -> str:
    """Write it; moments are UTC."""
    title = f"A machine of the region {join.region}"
    nomad, *others = (unit.removesuffix(".service") for unit in units_of(mesh=bool(join.mesh)))
    renewal = renewal_due(join.made, join.certificate_expires)
    return _TEXT.format(
        region=join.region,
        underline="=" * len(title),
        machine=join.machine or _MADE_FOR_ALL,
        data_center=join.data_center,
        servers=", ".join(join.servers),
        pin=join.pin,
        made=moment(join.made),
        token_expires=moment(join.token_expires),
        certificate_expires=moment(join.certificate_expires),
        renewal=moment(renewal),
        version=f" {join.version}" if join.version else "",
        units=" ".join([nomad, *others]),
        others=" ".join(others),
        **_mesh_parts(join),
    )


def _mesh_parts(join: Join) -> dict[str, str]:
    if join.mesh is None:
        return {"mesh_facts": "", "mesh": "", "mesh_files": ""}
    facts = _MESH_FACTS.format(
        data_plane=data_plane_name(join.machine or "HOST-NAME"),
        mesh=DATA_PLANE_MESH,
        token_id=join.mesh.token_id,
    )
    return {
        "mesh_facts": facts,
        "mesh": _MESH.format(image=join.mesh.image),
        "mesh_files": _MESH_FILES,
    }


def moment(when: datetime) -> str:
    """Write a moment for people, such as ``2026-03-01 12:30 UTC``."""
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
