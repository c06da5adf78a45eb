"""Moments as Kubernetes writes them: RFC 3339, in UTC and whole seconds. Pure."""

from datetime import UTC, datetime


def text_of(moment: datetime) -> str:
    """Write *moment*, which must be in UTC."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def text_at(seconds: float) -> str:
    """Write the moment that is *seconds* after the epoch."""
    return text_of(datetime.fromtimestamp(seconds, UTC))


def seconds_of(text: str) -> float:
    """Read a moment as seconds since the epoch. Raises `ValueError`."""
    return datetime.fromisoformat(text).timestamp()
