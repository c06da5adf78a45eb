"""Ports on the loopback interface for servers that cannot be handed a socket."""

import os
import socket
from typing import Final

LOOPBACK: Final = "127.0.0.1"

_FIRST: Final = 10_240
_LAST: Final = 19_999
"""Below Linux's ephemeral range, where a client's socket could sit on the port of a server that is
down and about to return, and below the ports that Nomad hands to tasks."""


def reserve_port() -> int:
    """Find a free port, and keep every other caller away from it for a minute.

    The port is left in TIME_WAIT: a server, which sets SO_REUSEADDR, may bind it, and the next
    search, which does not, passes it over. So parallel searches never give the same answer.
    """
    size = _LAST - _FIRST + 1
    start = os.getpid() * 97
    for offset in range(size):
        port = _FIRST + (start + offset) % size
        with socket.socket() as listener:
            try:
                listener.bind((LOOPBACK, port))
            except OSError:
                continue
            # Inherited by the socket that stays in TIME_WAIT: Linux wants it on both sides.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.listen(1)
            with socket.create_connection((LOOPBACK, port)):
                accepted, _ = listener.accept()
                accepted.close()
            return port
    raise OSError(f"no free port between {_FIRST} and {_LAST} on {LOOPBACK}")
