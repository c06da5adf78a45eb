"""Read what a task printed out of Nomad's answer, which comes from the task's machine. Pure."""

from typing import Final

from orrery.adapters.nomad.replies import Call, Reply, TransportFailure, failed, plain_words

_NO_PATH: Final = "No path to node"
"""Nomad's words, with a 404: the machine is away, and so its logs are not gone (2.0.6)."""


def log_of(call: Call, endpoint: str, reply: Reply, *, missing: bool) -> str | None:
    """Return the log, None when there is none any more; `Unreachable` when its machine is away."""
    if not missing:
        return reply.body.decode(errors="replace")
    if _NO_PATH in plain_words(reply.body, token=""):
        raise failed(call, endpoint, TransportFailure("the machine does not answer", sent=True))
    return None
