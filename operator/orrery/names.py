"""Every name, label and annotation that Orrery writes."""

from orrery.api.base import GROUP

INSTALL_DEFAULT = "orrery"
"""The install id, unless configured. It outlives the hub, so it is never generated."""

OPERATOR_NAMESPACE = "orrery-system"
"""Where the operator lives, unless configured: its lease, and the regions' credentials."""

FIELD_MANAGER = "orrery"
FINALIZER = f"{GROUP}/regional-jobs"
LEASE = "orrery-operator"

ANNOTATION_ENDPOINT = f"{GROUP}/endpoint"
"""On a credentials Secret: the only address that its token may be sent to."""

ANNOTATION_RECONCILE_AT = f"{GROUP}/reconcile-at"
"""On any object: a new value asks for a reconcile now, whatever the spec says."""

ANNOTATION_ALLOW_STOPS = f"{GROUP}/allow-stops-until"
"""On a Region: until this moment, written as in RFC 3339, any number of jobs may be stopped."""

ANNOTATION_APPROVE_OPENING = f"{GROUP}/approve-opening"
"""On a Region: the name of the step of its opening that may begin."""

ANNOTATION_OPEN = f"{GROUP}/open"
"""On a Region: ``everyone`` skips the steps of its opening, though not its checks."""

ANNOTATION_CORDON = f"{GROUP}/cordon"
"""On a Region: ``true`` cordons it, as `spec.lifecycle` does, without a change of the spec."""

ANNOTATION_ROTATE_AUTHORITY = f"{GROUP}/rotate-authority"
"""On a Managed Region: a new value asks for a new certificate authority, without interruption."""

ANNOTATION_FORGET_AUTHORITY = f"{GROUP}/forget-authority"
"""On a Managed Region: the fingerprint of an authority that is lost and may be replaced."""

ANNOTATION_CONFIGURATION = f"{GROUP}/configuration"
"""On a pod template: digest of the configuration, so that another one means other pods."""

ANNOTATION_CERTIFICATES = f"{GROUP}/certificates"
"""The same of certificates, for programs that read them at their start only."""

LABEL_INSTALL = f"{GROUP}/install"
LABEL_REGION = f"{GROUP}/region"
LABEL_NAME = "app.kubernetes.io/name"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_PART_OF = "app.kubernetes.io/part-of"

META_INSTALL = "orrery_install"
META_NAMESPACE = "orrery_namespace"
META_NAME = "orrery_name"

TASK_GROUP = "instances"
TASK = "app"


def nomad_namespace(install: str, namespace: str) -> str:
    """Name the Nomad namespace of a tenant.

    Injective: an install id has no hyphen, so the first hyphen splits the two.
    """
    return f"{install}-{namespace}"


def hub_namespace(install: str, nomad_namespace: str) -> str | None:
    """Name the hub namespace behind *nomad_namespace*, None when it is not this install's."""
    prefix, _, namespace = nomad_namespace.partition("-")
    return namespace if prefix == install and namespace else None


def job_meta(install: str, namespace: str, name: str) -> dict[str, str]:
    """Stamp a job with its owner: constants only, a changed Meta restarts every allocation."""
    return {META_INSTALL: install, META_NAMESPACE: namespace, META_NAME: name}


def variable_path(job_id: str) -> str:
    """Name the Nomad variable that holds a job's secrets; Nomad lets just that job read it."""
    return f"nomad/jobs/{job_id}"


def port_label(port: int) -> str:
    """Label a port in a Nomad network block, as in ``NOMAD_PORT_p3000``."""
    return f"p{port}"


def service_name(job_id: str, port: int) -> str:
    """Name the Nomad service of one port of a job."""
    return f"{job_id}-{port}"


def region_labels(install: str, region: str) -> dict[str, str]:
    """Label all that belongs to a region's control plane in its continent's cluster."""
    return {
        LABEL_INSTALL: install,
        LABEL_MANAGED_BY: FIELD_MANAGER,
        LABEL_PART_OF: "region-control-plane",
        LABEL_REGION: region,
    }


def server_host(region: str) -> str:
    """Name a region's Nomad servers in certificates, as Nomad itself demands it."""
    return f"server.{region}.nomad"


def client_host(region: str) -> str:
    """Name a region's machines in certificates, as Nomad itself demands it."""
    return f"client.{region}.nomad"


def operator_host(region: str) -> str:
    """Name Orrery in certificates of a region: the only one that may use its HTTP API."""
    return f"operator.{region}.orrery"


def front_door_host(region: str) -> str:
    """Name a region's front door in certificates: no name that Nomad takes for an agent's."""
    return f"front-door.{region}.orrery"
