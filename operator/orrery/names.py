"""Every name, label and annotation that Orrery writes."""

from orrery.api.base import GROUP

INSTALL_DEFAULT = "orrery"
"""The install id, unless configured. It outlives the hub, so it is never generated."""

OPERATOR_NAMESPACE = "orrery-system"
"""Where the operator lives, unless configured: its lease, and the regions' credentials."""

FIELD_MANAGER = "orrery"
FINALIZER = f"{GROUP}/regional-jobs"
FINALIZER_REGION = f"{GROUP}/control-plane"
"""On a Region whose control plane is to be torn down before it goes."""
FINALIZER_CONTINENT = f"{GROUP}/regions"
"""On a Continent that regions name."""
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

ANNOTATION_ROTATE_TOKEN = f"{GROUP}/rotate-token"
"""On a Region: another value than before has Orrery make itself another run-time token."""

ANNOTATION_FORGET_AUTHORITY = f"{GROUP}/forget-authority"
"""On a Managed Region: the fingerprint of an authority that is lost and may be replaced."""

ANNOTATION_OWNER = f"{GROUP}/owner"
"""On a region's namespace: the Continent that it was built for."""

ANNOTATION_TAKE_OVER = f"{GROUP}/take-over"
"""On a Continent: another one, whose regions' namespaces it takes over."""

ANNOTATION_CONFIGURATION = f"{GROUP}/configuration"
"""On a pod template: digest of the configuration, so that another one means other pods."""

ANNOTATION_CERTIFICATES = f"{GROUP}/certificates"
"""The same of certificates, for programs that read them at their start only."""

ANNOTATION_APPROVE_WAVE = f"{GROUP}/approve-wave"
"""On a RegionClass: ``WAVE@REVISION``, the last wave that may take that very revision."""

ANNOTATION_CERTIFICATES_EXPIRE = f"{GROUP}/certificates-expire"
"""On a pod template: when these certificates expire, as in RFC 3339."""

ANNOTATION_UPDATE_UNCHECKED = f"{GROUP}/update-unchecked-until"
"""On a Managed Region: until this moment, as in RFC 3339, servers whose autopilot cannot be asked
are updated all the same, one after the other."""

LABEL_INSTALL = f"{GROUP}/install"
LABEL_REGION = f"{GROUP}/region"
LABEL_NAME = "app.kubernetes.io/name"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_PART_OF = "app.kubernetes.io/part-of"

META_INSTALL = "orrery_install"
META_NAMESPACE = "orrery_namespace"
META_NAME = "orrery_name"

ZONE_SUFFIX = ".zone.orrery"
"""Ends the name of a zone in certificates."""

GLOBAL_MESH_HOST = "front-door.global-mesh.orrery"
"""The front door of a global control plane in certificates, whatever its address is."""

GLOBAL_CONTROL_PLANE_HOST = "kuma.global-mesh.orrery"
"""The global control plane itself in certificates, behind its front door."""

META_PROBE = "orrery_probe"
"""On the probe job: digest of what it runs. Such a job is no GlobalDeployment's."""

META_PROBE_BEGUN = "orrery_probe_begun"
META_PROBE_ASKED = "orrery_probe_asked"
META_PROBE_MACHINES = "orrery_probe_machines"
"""When it was begun, in seconds since the epoch; who asked for it; the digest of for whom."""

PROBE_JOB = "probe"
"""The probe job, its group and its task."""

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
    ours = prefix == install and nomad_namespace != system_namespace(install)
    return namespace if ours and namespace else None


def system_namespace(install: str) -> str:
    """Name the Nomad namespace of what the install itself runs in a region.

    No tenant's: no namespace of Kubernetes begins with a hyphen.
    """
    return f"{install}--system"


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


def machine_host(region: str, machine: str) -> str:
    """Name one machine of a region in its certificate: no name that Nomad takes for an agent's."""
    return f"{machine}.machine.{region}.orrery"


def zone_host(zone: str) -> str:
    """Name a zone in certificates towards the front door of the global control plane."""
    return f"{zone}{ZONE_SUFFIX}"
