"""The mesh of a RegionClass: Kuma's zone control plane in each of its regions. Pure."""

from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

from orrery.api import forms
from orrery.api.base import Model, SecretRef, cel, validations

POSTGRES_IMAGE: Final = "docker.io/library/postgres:17.6-bookworm"

_STORE: Final = "(has(self.mode) ? self.mode : 'Managed')"
_PROVIDER: Final = "(has(self.provider) ? self.provider : 'None')"
_IN_MEMORY: Final = "(has(self.store) && has(self.store.mode) && self.store.mode == 'Memory')"


class MeshResources(Model):
    """What one kuma-cp is given."""

    cpu: Annotated[str, forms.CPU_QUANTITY.text(max_length=16)] = "200m"
    """CPU that is reserved for it. Default: 200m."""

    memory: Annotated[str, forms.BYTES_QUANTITY.text(max_length=16)] = "512Mi"
    """Memory that is reserved for it, and its limit. Default: 512Mi."""


class MeshStore(Model):
    """Where a region's kuma-cp keeps meshes, policies and secrets."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel(
                f"({_STORE} == 'External') == has(self.secretRef)",
                "mode External needs secretRef, the others take none",
            ),
            cel(
                f"{_STORE} == 'Managed' || !(has(self.image) || has(self.storage))",
                "image and storage are of mode Managed only",
            ),
        )
    )

    mode: Literal["Managed", "External", "Memory"] = "Managed"
    """Managed: a PostgreSQL that Orrery runs in each region. External: a PostgreSQL of yours, one database for each region. Memory: none; a kuma-cp that starts while the global control plane is away has no meshes, so for trials only. Default: Managed."""

    image: Annotated[str, forms.PINNED_IMAGE.text(max_length=512)] | None = None
    """Image of PostgreSQL, built like Docker's official ones on Debian. A higher major version does not read the files of a lower one. Default: docker.io/library/postgres:17.6-bookworm."""

    storage: Annotated[str, forms.BYTES_QUANTITY.text(max_length=16)] | None = None
    """Size of PostgreSQL's volume. Default: 5Gi."""

    secret_ref: SecretRef | None = None
    """Secret with `host`, `port`, `username`, `password`, `dbname` and `ca.crt` of the region's own database. It lies in the namespace of each region's control plane, under this name in all of them. Default: none."""


class MeshClass(Model):
    """The mesh in regions of this class."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel(
                f"{_PROVIDER} == 'None' || has(self.image)",
                "provider Kuma needs image",
            ),
            cel(
                "has(self.globalAddress) == has(self.globalSecretRef)",
                "globalAddress and globalSecretRef are given together or not at all",
            ),
            cel(
                f"!({_IN_MEMORY} && has(self.replicas) && self.replicas > 1)",
                "store.mode Memory allows 1 replica: several would not know of each other",
            ),
        )
    )

    provider: Literal["None", "Kuma"] = "None"
    """Kuma: each region is a zone of the name of the Region. None: regions have no mesh. Default: None."""

    image: Annotated[str, forms.PINNED_IMAGE.text(max_length=512)] | None = None
    """Image of kuma-cp 2.14, for example `docker.io/kumahq/kuma-cp:2.14.3`; provider Kuma needs it. Default: none."""

    replicas: Annotated[int, Field(ge=1, le=5)] | None = None
    """kuma-cps of a region. Default: 2, or 1 when the store is Memory."""

    resources: MeshResources = MeshResources()
    """What one kuma-cp is given."""

    global_address: Annotated[str, forms.HOST_PORT.text(max_length=259)] | None = None
    """HOST:PORT of the front door of the global control plane, which `orrery render global-mesh` renders. Default: none; each region is a mesh of its own."""

    global_secret_ref: SecretRef | None = None
    """Secret in the operator's namespace with `tls.crt` and `tls.key` of the authority that the global front door trusts, and in `ca.crt` all that zones shall trust: Orrery issues each zone's certificate from it. Default: none."""

    store: MeshStore = MeshStore()
    """Where kuma-cp keeps what it knows."""

    @property
    def is_kuma(self) -> bool:
        """Whether regions have a mesh at all."""
        return self.provider == "Kuma"

    @property
    def wanted_replicas(self) -> int:
        """How many kuma-cps a region has."""
        return self.replicas or (1 if self.store.mode == "Memory" else 2)
