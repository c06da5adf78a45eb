"""What a pass over one key tells its lane to do next. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing to do until something changes."""


@dataclass(frozen=True, slots=True)
class Again:
    """Nothing failed; look again *after* seconds."""

    after: float


@dataclass(frozen=True, slots=True)
class Retry:
    """It failed: try again after a growing pause."""


@dataclass(frozen=True, slots=True)
class RetryQuickly:
    """Somebody wrote in between: try again after a short pause."""


@dataclass(frozen=True, slots=True)
class Dark:
    """The remote does not answer: hold the whole lane when this goes on."""


Result = Done | Again | Retry | RetryQuickly | Dark
