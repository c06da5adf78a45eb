"""How log lines look: key=value for people, or one JSON object per line for machines.

Fields travel by `extra`. An object's name is given as *object*, since the standard library keeps
*name* for the logger; it is printed as ``name``. Nothing here may hold a secret: callers log names
and sentences, never bodies.
"""

import logging
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TextIO

import orjson

from orrery.config import LogFormat, LogLevel

FIELDS = ("kind", "object", "region", "phase", "reason", "lane")
"""The fields that lines carry, in the order they are printed."""

QUIET = {
    "kopf": logging.WARNING,
    "kopf._cogs.clients": logging.CRITICAL,  # Each attempt of each request while a hub is gone.
    "kopf._core.reactor.running": logging.ERROR,  # That it leaves the signals to us.
    "kubernetes": logging.WARNING,
    "aiohttp.access": logging.WARNING,
}
"""Libraries that tell of every step: only what went wrong is of interest."""


def configure(form: LogFormat, level: LogLevel, stream: TextIO | None = None) -> None:
    """Send the log lines of the whole process to *stream*, by default standard error."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for library, least in QUIET.items():
        logging.getLogger(library).setLevel(least)


class TextLines(logging.Formatter):
    """``time level message key=value ...``, with quotes where a value needs them."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one line; a traceback follows on lines of its own."""
        fields = "".join(f" {key}={_quoted(value)}" for key, value in _fields(record))
        message = " ".join(record.getMessage().splitlines())
        line = f"{_moment(record)} {record.levelname:<7} {message}{fields}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonLines(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one line; a traceback is the field ``traceback``."""
        line = {
            "time": _moment(record),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            "logger": record.name,
            **dict(_fields(record)),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def _fields(record: logging.LogRecord) -> Iterator[tuple[str, str]]:
    for field in FIELDS:
        value = getattr(record, field, "")
        if value:
            yield "name" if field == "object" else field, str(value)


def _quoted(value: str) -> str:
    return value if value and not set(value) & set(' "=\n') else orjson.dumps(value).decode()


def _moment(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
