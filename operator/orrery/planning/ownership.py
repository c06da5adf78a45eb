"""Decide whether a region's namespace is there for it: never two owners for one namespace. Pure."""

from collections.abc import Mapping

from orrery.names import ANNOTATION_OWNER, ANNOTATION_TAKE_OVER, LABEL_INSTALL, LABEL_REGION
from orrery.ports import Document, ObjectRef


def owner_of(namespace: Document) -> str:
    """Name the Continent that a region's namespace was built for; empty when it does not say."""
    annotations = namespace["metadata"].get("annotations") or {}
    return str(annotations.get(ANNOTATION_OWNER, ""))


def taken(
    namespace: Document | None, labels: Mapping[str, str], continent: str, *, take: str | None
) -> str:
    """Say who else has *namespace*, and what to do about it; empty when the region may use it.

    *labels* are those of the region. *continent* is the name of the region's Continent, which may
    *take* the namespaces of another one. A hub that replaces another has its install id and its
    names, and so finds what is its own without a word.
    """
    if namespace is None:
        return ""
    ref, theirs = ObjectRef.of(namespace), namespace["metadata"].get("labels") or {}
    for label, words in ((LABEL_INSTALL, "install"), (LABEL_REGION, "region")):
        if theirs.get(label, labels[label]) != labels[label]:
            return (
                f'{ref} belongs to {words} "{theirs[label]}": choose another spec.namespacePrefix'
                f' for Continent "{continent}", which is made anew for that'
            )
    owner = owner_of(namespace)
    if owner in {"", continent, take}:
        return ""
    return (
        f'{ref} was built for Continent "{owner}": if that one is not to have it any more, take it'
        f" over: kubectl annotate --overwrite continent {continent} {ANNOTATION_TAKE_OVER}={owner}"
    )
