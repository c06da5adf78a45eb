"""Have snapshots of a region's Nomad taken on schedule, by an account that can do nothing else."""

from typing import Final

from orrery.api.conditions import Reason
from orrery.errors import NotYet, OrreryError
from orrery.planning.manifests import job_state
from orrery.ports import AclToken, ContinentalCluster, Document, ObjectRef, Pki, RegionNomad
from orrery.ports.values import decoded
from orrery.reconcile.secretfacts import encode
from orrery.render.region import Blueprint
from orrery.render.region.blueprint import SecretName
from orrery.render.region.snapshots import KEEP_SECONDS, POLICY_RULES, render_snapshot_job

POLICY: Final = "orrery-snapshot"


async def keep_snapshot_token(
    blueprint: Blueprint, cluster: ContinentalCluster, pki: Pki, nomad: RegionNomad
) -> None:
    """Have the Secret with the token of snapshots, and Nomad know that token.

    The Secret comes first: whatever happens then, the same token is made known. One that somebody
    has revoked is made known again. Raises `NotYet`.
    """
    name = blueprint.object_name(SecretName.SNAPSHOT)
    ref = ObjectRef("v1", "Secret", blueprint.namespace, name)
    held = await cluster.read(ref)
    if held is None:
        await cluster.create(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": blueprint.metadata(SecretName.SNAPSHOT),
                "data": encode({"accessor": pki.token(), "token": pki.token()}),
            }
        )
        held = await cluster.read(ref)
    data = decoded(held) if held is not None else {}
    accessor, secret = (data.get(key, b"").decode() for key in ("accessor", "token"))
    if not accessor or not secret:
        where = f'Secret "{name}" in namespace "{blueprint.namespace}"'
        message = f"{where} lacks accessor or token: delete it, it is made anew"
        raise NotYet(Reason.SNAPSHOTS_FAILED, message, retry_after=60)
    try:
        await nomad.put_token(AclToken(POLICY, POLICY_RULES, accessor, secret))
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
