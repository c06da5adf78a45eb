"""What a region is asked to do about one deployment. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from orrery.api.globaldeployment import GlobalDeployment
from orrery.api.region import Tombstone
from orrery.api.regionclass import Driver
from orrery.planning.protocol import Owner
from orrery.ports import Document, Secret, Submission
from orrery.regional import RegionalDeployment
from orrery.render.digest import job_digest, spec_revision
from orrery.render.driver import select_driver
from orrery.render.nomad_job import describe_job, render_job
from orrery.render.submission import render_submission
from orrery.render.variables import render_items


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a region should run of one deployment. Without a *document*: nothing."""

    owner: Owner
    document: Document | None = None
    digest: str = ""
    generation: int = 0
    """The generation of the spec that it was derived from."""
    uid: str = ""
    """Identity of the object that asks."""
    submission: Submission | None = None
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Items of the job's Nomad variable."""
    job_type: str = "service"
    count: int = 0
    tombstones: tuple[Tombstone, ...] = ()
    """Of a removal after the object is gone: only a job that it left is stopped."""

    @property
    def secrets_mark(self) -> int:
        """Fingerprint of the secrets, of this process only; 0 without secrets."""
        return hash(tuple(sorted(self.secrets.items()))) if self.secrets else 0

    def same_as(self, other: "Assignment | None") -> bool:
        """Tell whether *other* asks for the same; the note that travels along does not count."""
        return other is not None and self.wish == other.wish

    @property
    def removes(self) -> bool:
        """Whether the job is to be stopped."""
        return self.document is None

    @property
    def wish(self) -> tuple[object, ...]:
        """What is asked for, to be compared."""
        return self.digest, self.secrets, self.tombstones


def assignment_of(
    regional: RegionalDeployment,
    deployment: GlobalDeployment,
    *,
    install: str,
    drivers: Sequence[Driver],
    region_class: str,
    secrets: Mapping[str, Secret],
) -> Assignment:
    """Render what a region should run, with everything that travels along.

    Raises `InvalidSpec` for a driver that the class lacks, `NotYet` for a missing Secret.
    """
    metadata, spec = deployment.metadata, deployment.spec
    owner = Owner(install, metadata.namespace, metadata.name)
    revision = spec_revision(spec)
    document = _document(
        regional, deployment, install=install, drivers=drivers, region_class=region_class
    )
    digest = job_digest(document)
    return Assignment(
        owner=owner,
        document=document,
        digest=digest,
        generation=metadata.generation,
        uid=metadata.uid,
        submission=render_submission(
            spec,
            install=install,
            namespace=metadata.namespace,
            name=metadata.name,
            uid=metadata.uid,
            generation=metadata.generation,
            revision=revision,
            digest=digest,
        ),
        secrets=render_items(regional, secrets),
        job_type=document["Type"],
        count=regional.count,
    )


def digest_of(
    regional: RegionalDeployment,
    deployment: GlobalDeployment,
    *,
    install: str,
    drivers: Sequence[Driver],
    region_class: str,
) -> str:
    """Tell the digest of the job that a region should run, whether its Secrets are there or not.

    Raises `InvalidSpec` for a driver that the class lacks.
    """
    return job_digest(
        _document(regional, deployment, install=install, drivers=drivers, region_class=region_class)
    )


def _document(
    regional: RegionalDeployment,
    deployment: GlobalDeployment,
    *,
    install: str,
    drivers: Sequence[Driver],
    region_class: str,
) -> Document:
    metadata = deployment.metadata
    driver = select_driver(drivers, regional.driver, region_class=region_class)
    revision = spec_revision(deployment.spec)
    return render_job(
        regional,
        install=install,
        driver=driver,
        region_class=region_class,
        description=describe_job(metadata.namespace, metadata.name, revision),
    )
