"""How much time and memory one region may cost its client. Pure."""

from dataclasses import dataclass

from orrery.adapters.nomad.shapes import PAGE_ROWS

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one region may cost."""

    deadline: float = 15.0
    """Seconds for one call as a whole."""
    list_deadline: float = 60.0
    """Seconds for a list of the whole region, all pages together."""
    connect_timeout: float = 5.0
    """Seconds for a new connection; below the deadline, so that "never sent" can be told."""
    reply_bytes: int = 8 * MIB
    list_bytes: int = 64 * MIB
    """For all pages of a list together."""
    list_rows: int = 50_000
    """The same, in rows: each costs time, however small it is."""
    page: int = PAGE_ROWS
    """Rows per page."""
    connections: int = 8
    """For calls; Nomad gains nothing from more. The event stream has its own."""
    heartbeat: float = 30.0
    """Seconds between the heartbeats of the event stream; it may miss three."""
    settle: float = 2.0
    """Seconds that the proof of a gapless resume may take after the first heartbeat."""
    event_bytes: int = 32 * MIB
    """For one line of the event stream, which may hold a whole job several times."""
    thread_bytes: int = MIB
    """Documents above this size are decoded in a thread, so that no other region waits."""
