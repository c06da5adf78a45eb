"""Decide whether a machine may join a region, and which authority signs its certificate. Pure."""

from datetime import datetime, timedelta
from typing import Final, Literal

from orrery.api.region import Region, RegionStatus
from orrery.errors import InvalidSpec, NotYet
from orrery.planning.certificates import OVERLAP, HeldAuthority

SHORTEST: Final = timedelta(minutes=5)
"""Below, a certificate would end before the machine has it."""

Signer = Literal["tls", "next"]
"""Under which name a pair stands in the authority's Secret."""


def check_joinable(region: Region) -> None:
    """Refuse a region that no machine can join by a bundle of ours.

    Raises `InvalidSpec` for one that is not ours, `NotYet` for one that is not there yet.
    """
    name = region.metadata.name
    if not region.spec.is_managed:
        message = (
            f'Region "{name}" is External: Orrery has no authority over its Nomad, so its machines '
            "join as whoever runs it says"
        )
        raise InvalidSpec("RegionExternal", message)
    if region.metadata.deletion_timestamp is not None:
        raise InvalidSpec("RegionLeaves", f'Region "{name}" is being deleted')
    status = region.status or RegionStatus()
    told = status.control_plane
    if told is not None and told.bootstrapped and told.address and told.authority:
        return
    ready = next((c.message for c in status.conditions if c.type == "Ready"), "")
    why = f": {ready}" if ready else ""
    message = f'Region "{name}" has no control plane that machines could join yet{why}'
    raise NotYet("RegionNotBootstrapped", message)


def front_door_hosts(region: Region) -> list[str]:
    """Say where the front door is: its name first, which outlives its address, if it has one."""
    told = region.status.control_plane if region.status else None
    address = told.address if told else ""
    return list(dict.fromkeys(host for host in (region.spec.front_door.host, address) if host))


def signer(authority: HeldAuthority, now: datetime) -> Signer:
    """Choose who signs: the successor once all trust it for `OVERLAP`, or all is from it."""
    if authority.successor is None:
        return "tls"
    if authority.used_since is not None or not authority.current.is_valid(now):
        return "next"
    since = authority.trusted_since
    return "next" if since is not None and now - since >= OVERLAP else "tls"


def lifetime_within(authority_ends: datetime, wanted: timedelta, now: datetime) -> timedelta:
    """Cut *wanted* so that a certificate ends before the authority that signs it.

    Raises `InvalidSpec` when next to nothing is left.
    """
    left = min(wanted, authority_ends - now)
    if left < SHORTEST:
        raise InvalidSpec("AuthorityExpired", "the region's authority has expired: replace it")
    return left
