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
    PROVISIONING = "Provisioning"
    """The region's control plane is being built; the message says what it waits for. Wait, and look at the pods in the region's namespace when it takes longer than some minutes."""
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
