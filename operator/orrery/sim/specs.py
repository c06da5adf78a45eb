"""One `Spec` per different job, however many regions run it."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any
from weakref import WeakValueDictionary

import orjson

from orrery.sim.canonical import canonical_job
from orrery.sim.records import Spec

_BY_DIGEST: WeakValueDictionary[bytes, Spec] = WeakValueDictionary()
_BY_REQUEST: WeakValueDictionary[bytes, Spec] = WeakValueDictionary()

NOT_SPECIFICATION = frozenset(
    {
        "CreateIndex",
        "JobModifyIndex",
        "ModifyIndex",
        "NomadTokenID",
        "Region",
        "Stable",
        "Status",
        "StatusDescription",
        "Stop",
        "SubmitTime",
        "Version",
    }
)
"""Fields of a job that its author does not decide, or that each region keeps beside the spec."""


def spec_of(given: Mapping[str, Any]) -> Spec:
    """Return the spec of a job as submitted; equal jobs get the very same spec."""
    authored = {name: value for name, value in given.items() if name not in NOT_SPECIFICATION}
    request = _digest(authored)
    spec = _BY_REQUEST.get(request)
    if spec is None:
        document = canonical_job(authored)
        digest = _digest(document)
        spec = _BY_DIGEST.get(digest)
        if spec is None:
            spec = _BY_DIGEST[digest] = Spec(document, digest)
        _BY_REQUEST[request] = spec
    return spec


def _digest(document: object) -> bytes:
    packed = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    return blake2b(packed, digest_size=16).digest()
