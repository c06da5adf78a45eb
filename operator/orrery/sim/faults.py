"""What may be wrong with a region, switchable at any moment."""

from dataclasses import dataclass, fields
from typing import Any


@dataclass(slots=True)
class Faults:
    """The faults of one region; all off by default."""

    latency: float = 0.0
    """Seconds of round-trip time that every request takes; a line of a stream takes half of it."""
    hang: bool = False
    """Requests are taken and never answered, nor are those under way; open streams are silent."""
    no_leader: bool = False
    """Every request fails with 500 "No cluster leader"."""
    dark: bool = False
    """Connections are refused, and those that stand are cut."""
    too_many_connections: bool = False
    """Every request is turned away with 429."""
    lose_replies: int = 0
    """So many of the next writes are carried out, and cut off before the reply."""
    silent_streams: bool = False
    """Event streams stay open and show nothing, not even heartbeats."""

    @property
    def one_way(self) -> float:
        """Seconds from here to there."""
        return self.latency / 2

    @property
    def mute(self) -> bool:
        """Whether event streams that are open show nothing."""
        return self.silent_streams or self.hang

    def change(self, values: dict[str, Any]) -> None:
        """Set faults by name. Raises ValueError for a name or a type that there is not."""
        known = {field.name: type(getattr(self, field.name)) for field in fields(self)}
        for name, value in values.items():
            if name not in known:
                raise ValueError(f"there is no fault {name!r}; there are {', '.join(known)}")
            wanted = known[name]
            if isinstance(value, bool) != (wanted is bool) or not isinstance(value, int | float):
                raise ValueError(f"fault {name!r} is {wanted.__name__}, not {value!r}")
        for name, value in values.items():
            setattr(self, name, known[name](value))

    def document(self) -> dict[str, Any]:
        """Render the faults."""
        return {field.name: getattr(self, field.name) for field in fields(self)}
