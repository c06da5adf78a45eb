"""What the CRD's rules say of a class's mesh, for the operator and `orrery plan`. Pure."""

from collections.abc import Iterator

from orrery.api.mesh import MeshClass, MeshStore
from orrery.api.problems import Problem

_WHERE = "spec.mesh"


def mesh(document: MeshClass) -> Iterator[Problem]:
    """Judge a mesh whose fields are each right by themselves."""
    if document.is_kuma and document.image is None:
        yield Problem(f"{_WHERE}.image", "is required with provider Kuma")
    has_address, has_secret = (
        field is not None for field in (document.global_address, document.global_secret_ref)
    )
    if has_address != has_secret:
        missing = "globalSecretRef" if has_address else "globalAddress"
        given = "globalAddress" if has_address else "globalSecretRef"
        yield Problem(f"{_WHERE}.{missing}", f"is required with {given}")
    if document.store.mode == "Memory" and (document.replicas or 1) > 1:
        yield Problem(
            f"{_WHERE}.replicas",
            f"{document.replicas} is not allowed with store.mode Memory, must be 1: several would "
            "not know of each other",
        )
    yield from _store(document.store)


def _store(store: MeshStore) -> Iterator[Problem]:
    where = f"{_WHERE}.store"
    if store.mode == "External" and store.secret_ref is None:
        yield Problem(f"{where}.secretRef", "is required with mode External: where is PostgreSQL?")
    if store.mode != "External" and store.secret_ref is not None:
        yield Problem(f"{where}.secretRef", f"cannot be combined with mode {store.mode}")
    for name, value in (("image", store.image), ("storage", store.storage)):
        if store.mode != "Managed" and value is not None:
            yield Problem(f"{where}.{name}", f"cannot be combined with mode {store.mode}")
