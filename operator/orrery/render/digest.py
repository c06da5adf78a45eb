"""Name contents by their digest, to recognise equal contents without comparing. Pure."""

from hashlib import sha256

import orjson

from orrery.api.globaldeployment import GlobalDeploymentSpec
from orrery.ports import Document


def job_digest(job: Document) -> str:
    """Digest what *job* asks of Nomad, 16 hex digits.

    Its description for people is left out: it changes with every revision, and two revisions that
    ask a region for the same are the same there.
    """
    return _digest({key: value for key, value in job.items() if key != "UI"})[:16]


def spec_revision(spec: GlobalDeploymentSpec) -> str:
    """Name the contents of *spec*, 10 hex digits; whether it is paused is no part of them."""
    return _digest(spec_document(spec, exclude={"paused"}))[:10]


def spec_document(spec: GlobalDeploymentSpec, *, exclude: set[str] | None = None) -> Document:
    """Write *spec* as the user did: by wire names, without the defaults."""
    return spec.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude=exclude)


def _digest(document: Document) -> str:
    return sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).hexdigest()
