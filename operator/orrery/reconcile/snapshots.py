"""Have snapshots of a region's Nomad taken on schedule, by an account that can do nothing else."""

from typing import Final

from orrery.api.conditions import Reason
from orrery.errors import NotYet, OrreryError
from orrery.planning.manifests import job_state
from orrery.ports import ContinentalCluster, Document, ObjectRef, Pki, RegionAdmin
from orrery.reconcile.regiontokens import TokenPlace, keep_token, revoke_strays
from orrery.render.region import Blueprint
from orrery.render.region.blueprint import SecretName
from orrery.render.region.snapshots import KEEP_SECONDS, POLICY_RULES, render_snapshot_job

POLICY: Final = "orrery-snapshot"


async def keep_snapshot_token(
    blueprint: Blueprint, cluster: ContinentalCluster, pki: Pki, admin: RegionAdmin
) -> None:
    """Have the Secret with the token of snapshots, and Nomad know that token and no other such.

    One that somebody has revoked is made known again; a Secret that is gone is made anew, and what
    it held before is revoked. Raises `NotYet`.
    """
    place = TokenPlace(blueprint, cluster, pki, SecretName.SNAPSHOT, POLICY)
    token = await place.choose()
    try:
        await keep_token(admin, token, POLICY_RULES)
        await revoke_strays(admin, token)
    except OrreryError as error:
        message = f"Nomad does not take the token of snapshots: {error.message}"
        raise NotYet(Reason.SNAPSHOTS_FAILED, message, retry_after=30) from error


async def await_snapshot(blueprint: Blueprint, cluster: ContinentalCluster, occasion: str) -> str:
    """Have one snapshot taken on *occasion*; say why to wait, nothing when it is taken.

    There is nothing to wait for where the class wants no snapshots. A Job that failed is gone after
    a while, and then tried anew.
    """
    manifest = render_snapshot_job(blueprint, occasion)
    if manifest is None:
        return ""
    ref = ObjectRef.of(manifest)
    job = await cluster.read(ref)
    if job is None:
        await cluster.create(manifest)
        return "a snapshot is taken first"
    match job_state(job):
        case "Complete":
            return ""
        case "Running":
            return "a snapshot is taken first"
        case "Failed":
            minutes = KEEP_SECONDS // 60
            return f"the snapshot before it failed, see {ref}; it is retried in {minutes} minutes"


def last_snapshot(cron_job: Document) -> str | None:
    """Read when a snapshot was last taken, as in RFC 3339; None while none was."""
    moment = (cron_job.get("status") or {}).get("lastSuccessfulTime")
    return str(moment) if moment else None
