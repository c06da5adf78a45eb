"""Write the README of a machine's bundle: how to install, renew and end it. No secrets. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

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

This bundle holds a private key and a token: whoever has it can join {region} until {token_expires}.
Delete the tar when the machine has joined.

Install
-------
1. Install Nomad{version}: the program `nomad`, in /usr/local/bin or /usr/bin. A machine must not
   run a newer Nomad than its region's servers. A service that came with it stays disabled.
2. As root:

     tar -xpf BUNDLE.tar -C /
     systemctl daemon-reload
     systemctl enable orrery-nomad
     systemctl restart orrery-nomad

   `orrery region bundle --print-command` prints these with a check before that the tar is the one
   that was made.
3. Look: `kubectl get rgn {region} -o yaml` counts the machine in status.dataCenters;
   `journalctl -u orrery-nomad` says why it does not join.

Drivers, labels and all else of the machine's own go into files of yours beside orrery.json in
/etc/orrery/nomad.d, such as drivers.hcl: Nomad reads all that end with .hcl or .json there. The
next bundle leaves them as they are.

Renew
-----
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

To shut out a machine that you no longer hold, see "Shut a machine out" in Orrery's page on
joining machines: Nomad reads no revocation lists, so it takes more than to delete its node.

Files
-----
/etc/orrery/tls                                  certificates, and the key; for root alone
/etc/orrery/nomad.d/orrery.json                  configuration of Nomad
/etc/systemd/system/orrery-nomad.service         runs Nomad
/var/lib/orrery/nomad                            its data; client/intro_token.jwt is the token
"""


def render_readme(join: Join) -> str:
    """Write it; moments are UTC."""
    title = f"A machine of the region {join.region}"
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
        version=f" {join.version}" if join.version else "",
    )


def moment(when: datetime) -> str:
    """Write a moment for people, such as ``2026-03-01 12:30 UTC``."""
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
