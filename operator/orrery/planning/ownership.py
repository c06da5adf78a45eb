"""Decide whether a region's namespace is there for it: never two owners for one namespace. Pure."""

from collections.abc import Mapping

from orrery.names import ANNOTATION_OWNER, ANNOTATION_TAKE_OVER, LABEL_INSTALL, LABEL_REGION
from orrery.ports import Document, ObjectRef


def owner_of(namespace: Document) -> str:
    """Return the uid of the Continent that a region's namespace was built for; empty: not known."""
    annotations = namespace["metadata"].get("annotations") or {}
    return str(annotations.get(ANNOTATION_OWNER, ""))


def taken(
    namespace: Document | None, labels: Mapping[str, str], continent: Mapping[str, str | None]
) -> str:
    """Say who else has *namespace*, and what to do about it; empty when the region may use it.

    *labels* are those of the region. *continent* has the ``name`` and ``uid`` of the region's
    Continent, and whose namespaces it may ``take``. An install id does not tell two hubs apart,
    nor a hub from the one that replaces it: the uid of the Continent does.
    """
    if namespace is None:
        return ""
    ref, theirs = ObjectRef.of(namespace), namespace["metadata"].get("labels") or {}
    for label, words in ((LABEL_INSTALL, "install"), (LABEL_REGION, "region")):
        if theirs.get(label, labels[label]) != labels[label]:
            return (
                f'{ref} belongs to {words} "{theirs[label]}": choose another spec.namespacePrefix'
                f' for Continent "{continent["name"]}", which is made anew for that'
            )
    owner = owner_of(namespace)
    if not owner or not continent["uid"] or owner in {continent["uid"], continent["take"]}:
        return ""
    return (
        f"{ref} was built for a Continent with another uid, {owner}: two hubs, or two continents,"
        f" would share it. If that one is gone for good, take its regions over: kubectl annotate"
        f" --overwrite continent {continent['name']} {ANNOTATION_TAKE_OVER}={owner}"
    )
