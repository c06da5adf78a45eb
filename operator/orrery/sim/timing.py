"""How fast a simulated region lives."""

from dataclasses import dataclass

NANOSECOND = 1e-9


@dataclass(frozen=True, slots=True)
class Timing:
    """Delays in seconds; a job's own durations are scaled, so that minutes pass in moments."""

    evaluate: float = 0.005
    """From a write to the evaluation that it causes."""
    start: float = 0.02
    """From placed to running."""
    healthy: float | None = 0.05
    """From running to healthy; None: the job's own MinHealthyTime, scaled."""
    stop: float = 0.01
    """From told to stop to stopped."""
    settle: float = 0.01
    """From a change of health to the evaluation that it causes."""
    scale: float = 0.01
    """What one second of a job's policies (deadlines, delays) takes."""
    batch: float = 0.05
    """How long a batch instance runs when nothing in its job says so."""
    heartbeat: float = 30.0
    """Between the heartbeats of an event stream."""

    def policy(self, nanoseconds: int) -> float:
        """Return how many seconds a duration from a job takes."""
        return nanoseconds * NANOSECOND * self.scale

    def until_healthy(self, min_healthy_time: int) -> float:
        """Return the time from running to healthy."""
        return self.policy(min_healthy_time) if self.healthy is None else self.healthy
