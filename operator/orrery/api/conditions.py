"""Conditions as kstatus reads them: types, reasons, and the condition itself. Pure.

``Ready`` is always there. ``Reconciling`` and ``Stalled`` are abnormal-true: present only while
true. ``Degraded`` stands beside a ``Ready`` that still holds.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from orrery.api.base import StatusModel


class ConditionType(StrEnum):
    """The few condition types, the same for every kind."""

    READY = "Ready"
    """The object does what its spec says."""
    RECONCILING = "Reconciling"
    """Orrery is working on it, or waits for something that will come by itself."""
    STALLED = "Stalled"
    """Waiting will not help: the message says what to change."""
    DEGRADED = "Degraded"
    """Part of it is impaired while the whole still does its job."""


class Reason(StrEnum):
    """Why a condition is as it is. Stable API.

    What stands below each becomes docs/reference/reasons.md: what it means, then what to do.
    """

    SUCCEEDED = "Succeeded"
    """Everything asked for is in place. Nothing is to be done."""
    PROGRESSING = "Progressing"
    """Regions are being brought to the current spec. Wait: `orrery describe` shows how far each region is."""
    PAUSED = "Paused"
    """`spec.paused` is true: Orrery observes and writes nothing. Set it to false to go on."""
    INVALID_SPEC = "InvalidSpec"
    """The spec contradicts itself or asks for something that is not allowed. Change the field that the message names; `orrery plan -f FILE` tells before you apply."""
    NO_REGION = "NoRegion"
    """No region is selected by the placement. Widen `spec.placement`, or label regions so that its selector finds them: `kubectl get regions --show-labels`."""
    REGION_NOT_AVAILABLE = "RegionNotAvailable"
    """A region that the placement names does not exist or is not open. Correct the name, or see by `orrery describe rgn/NAME` why the region is not open."""
    REGION_UNREACHABLE = "RegionUnreachable"
    """A region does not answer; its jobs keep running and its last state is kept. Look at its Nomad servers and at the network between them and the hub. When it answers again, it is brought up to date by itself."""
    SECRET_NOT_FOUND = "SecretNotFound"
    """A Secret that the spec names does not exist. Create it in the namespace of the deployment, or correct the name; it is looked for again by itself."""
    SECRET_KEY_NOT_FOUND = "SecretKeyNotFound"
    """A Secret that the spec names lacks a key. Add the key, or correct its name. For a private image, add the credentials of the image's registry."""
    SECRET_INVALID = "SecretInvalid"
    """A Secret that the spec names holds something that cannot be used: not text, too long. Store what the message asks for; the Secret is read again by itself."""
    UNKNOWN_DRIVER = "UnknownDriver"
    """The region's class has no driver of that name. Choose one that the message lists, or have an administrator add it to the RegionClass."""
    FOREIGN_JOB = "ForeignJob"
    """A job with this name exists in the region and is not Orrery's; it is left alone. Give the deployment another name, or remove that job from the region when nobody needs it."""
    JOB_REFUSED = "JobRefused"
    """The region's Nomad refused the job. Change the field that Nomad's own words in the message are about."""
    REVERTED = "Reverted"
    """The new version did not become healthy and Nomad went back to the one before. Find out from the logs of its instances why, and apply a spec that differs: the same one is not tried again."""
    UNHEALTHY = "Unhealthy"
    """Fewer instances than wanted are healthy. Look at the logs of the instances in the region, and at `spec.healthChecks`."""
    NO_ROOM = "NoRoom"
    """Instances find no place on the region's machines. Add machines, or lower `resources` or `scaling.count`."""
    STOPS_HELD = "StopsHeld"
    """More jobs of a region are to be stopped at once than is usual, so none is. Look whether that is meant, then allow it for a while: `orrery region allow-stops REGION --for 1h`."""
    DEFINITION_LEAVING = "DefinitionLeaving"
    """The definition of GlobalDeployment itself is being deleted, with every object: jobs are left as they are. Restore the definition, or set `deletionPolicy: Orphan` on the objects to let them go without their jobs."""
    DELETING = "Deleting"
    """The object is being deleted; its jobs are stopped first. Wait. A region that does not answer is waited for until it returns, or until its Region object is deleted."""
    CONTINENT_NOT_FOUND = "ContinentNotFound"
    """The region names a continent that does not exist. Create the Continent, or make the region anew with another `spec.continent`, which cannot be changed."""
    CLASS_NOT_FOUND = "ClassNotFound"
    """The region names a class that does not exist. Create the RegionClass, or correct `spec.class`."""
    CONTINENT_NOT_READY = "ContinentNotReady"
    """The continent's cluster cannot be used now, or the continent has none; a region that is open stays open. See `kubectl describe continent NAME`."""
    CONTINENT_UNREACHABLE = "ContinentUnreachable"
    """The continent's cluster does not answer; its regions go on without it. Look at its API server, at the network between it and the hub, and at the kubeconfig."""
    CONTINENT_REFUSED = "ContinentRefused"
    """The continent's cluster refused something that Orrery asked for, in the words of the message. Mend what they name: a quota, a policy, an admission webhook, a right; it is tried again every minute."""
    RIGHTS_MISSING = "RightsMissing"
    """The continent's cluster does not let Orrery do all that it must. Apply there what `orrery continent rbac` prints."""
    CLASS_INCOMPLETE = "ClassIncomplete"
    """The RegionClass lacks something that Managed regions need. Set the field that the message names."""
    CLASS_RECORD_LOST = "ClassRecordLost"
    """The ConfigMap that says what the region was built from is gone, so the region is left as it is until its turn in the rollout of its class. Wait for that turn, which the status of the RegionClass tells of."""
    WAITING_FOR_APPROVAL = "WaitingForApproval"
    """The next regions take the change of the RegionClass only with an approval. Look at the regions that have it, then give it with `orrery class approve`."""
    ROLLOUT_FAILED = "RolloutFailed"
    """A region was not well with the new revision of its RegionClass, so no other one takes it. Mend what the message names, change the class, or go back with `orrery class rollback`."""
    PROVISIONING = "Provisioning"
    """The region's control plane is being built; the message says what it waits for. Wait, and look at the pods in the region's namespace when it takes longer than some minutes."""
    UPDATING_SERVERS = "UpdatingServers"
    """The region's Nomad servers take over a change, one at a time; the message says how many have and what the next one waits for. Wait. Where it waits for a server that does not become ready, look at the pod's logs in the region's namespace and mend the RegionClass. Where autopilot cannot be asked and you know better, set the annotation `orrery.dev/update-unchecked-until` of the Region to a moment soon."""
    SNAPSHOTS_FAILED = "SnapshotsFailed"
    """Snapshots of the region's Nomad are not taken; the region itself works. Mend what the message names: the logs of the Job, the volume `REGION-snapshot`, the Secret `REGION-snapshot-token`."""
    MANAGEMENT_TOKEN_UNUSABLE = "ManagementTokenUnusable"
    """Orrery cannot look after its own token in the region's Nomad, which takes the management token. The region works on with the token that Orrery has; namespaces of new tenants wait. Where Nomad does not answer, wait. Where it refuses, the management token was revoked: make another one (`nomad acl token create -type=management`, or reset the bootstrap when there is none) and store it under the key `token` of the Secret `REGION-bootstrap-token`."""
    ADDRESS_UNUSABLE = "AddressUnusable"
    """The load balancer gives no address that Nomad's servers can advertise, which is an IP address. Choose another class of load balancer, `spec.frontDoor` of the Continent."""
    BOOTSTRAP_FAILED = "BootstrapFailed"
    """Nomad's ACL system could not be set up. See the logs of the Job that the message names, mend the cause and delete the Job: it is made anew."""
    CREDENTIALS_INVALID = "CredentialsInvalid"
    """The credentials Secret is missing, incomplete, or bound to another address. Make it hold `token`, `ca.crt`, `tls.crt` and `tls.key`, and have its annotation `orrery.dev/endpoint` name the region's address."""
    NOMAD_UNSUPPORTED = "NomadUnsupported"
    """The region's Nomad is older or newer than Orrery supports. Bring it to a version that the message names."""
    NOMAD_REFUSED = "NomadRefused"
    """The region's Nomad denies a call that Orrery needs. Give the token in the credentials Secret the right to it."""
    HUB_REFUSED = "HubRefused"
    """The hub's API server denies Orrery a call that this object needs, such as reading a Secret. Give the operator's service account the right that the message names."""
    AUTHORITY_LOST = "AuthorityLost"
    """The Secret with the region's certificate authority is gone, damaged, or holds another one. Restore the Secret that the message names from a backup. Only when there is none, delete the Secrets that it lists and set the annotation that it names: the region then gets a new authority, which no machine that joined it trusts."""
    MESH_NOT_READY = "MeshNotReady"
    """The region's zone control plane of Kuma does not run; Nomad and what it runs are not affected, and data planes go on with what they were told last. Look at the pods of kuma and postgres in the region's namespace, or make the Secret that the message names."""
    MESH_AUTHORITY_INVALID = "MeshAuthorityInvalid"
    """The Secret with the authority of the global mesh is missing or holds none that is valid, so the zone cannot prove its name. Restore the Secret that the message names; the zone keeps the meshes that it has."""
    CONTESTED = "Contested"
    """Something else in the continent's cluster, such as an admission webhook or another controller, keeps changing objects of the region that Orrery applies. Make it leave the fields alone that the message names."""
    PRUNING_HELD = "PruningHeld"
    """Objects of a region are not wanted any more, and so many that deleting them may be a mistake. Look whether that is meant, then delete them by hand."""
    SECRET_LOST = "SecretLost"
    """A Secret that the region's servers were started with is gone: the key of their gossip, or the management token. Orrery makes no other one, which running servers would not know. Restore it from a backup, or make it anew with the value from where the message says."""
    NO_MACHINES = "NoMachines"
    """No machine of the region is ready. Let machines join, or make those that did ready and eligible: `nomad node status` shows them."""
    CHECKING = "Checking"
    """The region is built and is not open yet: the message names the checks that do not pass. Do what it says, or see all of them by `orrery region status REGION`; the region goes on by itself."""
    OPENING = "Opening"
    """The region is opened step by step; the message says which step it is in and what the next one waits for. Wait, or approve the next step by `orrery region approve REGION`."""
    CORDONED = "Cordoned"
    """The region takes no new deployment; what runs there is carried on. Lift it by `orrery region uncordon REGION`."""
    CHECKS_FAILING = "ChecksFailing"
    """Checks of a region that is open fail; it stays open. Do what the message says, or see all of them by `orrery region status REGION`."""
    JOBS_REMAIN = "JobsRemain"
    """A Region with `deletionPolicy: Teardown` is being deleted while jobs run there, so nothing is torn down. Delete them, or place them elsewhere; or set `deletionPolicy: Orphan` to leave the region as it is. A region that never comes back is dropped by `orrery region forget REGION`."""
    TEARING_DOWN = "TearingDown"
    """The control plane of a Region is being deleted from its continent's cluster; the message says what that waits for. Wait, or do what the message asks for."""
    REGIONS_REMAIN = "RegionsRemain"
    """A Continent is being deleted while regions name it. Nothing happens to them. Delete the regions that the message names, and it goes."""
    NAMESPACE_TAKEN = "NamespaceTaken"
    """The region's namespace in the continent's cluster belongs to another installation, or to another Continent of this one. Nothing in it is touched. Choose another `spec.namespacePrefix`, or, when the other Continent is not to have it any more, annotate this one as the message says."""
    INTERNAL_ERROR = "InternalError"
    """A bug in Orrery; the log has the traceback. Report it; Orrery tries again by itself."""


Status = Literal["True", "False", "Unknown"]


class Condition(StatusModel):
    """One condition of an object, in the standard Kubernetes shape."""

    type: Annotated[str, Field(max_length=316)]
    """Type of the condition: Ready, Reconciling, Stalled or Degraded."""

    status: Status
    """True, False or Unknown."""

    observed_generation: int
    """The generation of the spec that this condition was judged on."""

    last_transition_time: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    """When the status last changed."""

    reason: Annotated[str, Field(min_length=1, max_length=1024)]
    """Why, as one CamelCase word."""

    message: Annotated[str, Field(max_length=32768)]
    """Why, as a sentence for people."""
