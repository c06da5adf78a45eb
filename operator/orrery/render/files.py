"""Write documents as the files that programs read, and people when something is wrong. Pure."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

_OPTIONS: Final = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE


def as_file(document: Mapping[str, Any]) -> str:
    """Return *document* as JSON, always the same for the same one."""
    return orjson.dumps(document, option=_OPTIONS).decode()
