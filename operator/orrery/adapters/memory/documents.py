"""Copies of documents: who gets one may change it, and what is held stays as it is."""

from collections.abc import Mapping
from typing import Any, TypeVar, overload

import orjson

T = TypeVar("T")


@overload
def copied(document: Mapping[str, Any]) -> dict[str, Any]: ...
@overload
def copied(document: T) -> T: ...
def copied(document: Any) -> Any:
    """Return *document* as JSON would bring it; ten times as quick as `copy.deepcopy`."""
    return orjson.loads(orjson.dumps(document, default=dict))
