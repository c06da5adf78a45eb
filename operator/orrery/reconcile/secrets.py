"""Read the Secrets of deployments: afresh for a user's change, from memory for a sweep.

The hub is asked for little however many Secrets there are: what was read is used again for a while
that grows with their number.
"""

from dataclasses import dataclass

from orrery.ports import Clock, Hub, Secret

FRESH_FOR = 300.0
"""Seconds for which a Secret that was read is used by sweeps; below the time between two."""

READS_PER_SECOND = 0.5
"""How often sweeps may ask the hub, on average."""


@dataclass(frozen=True, slots=True)
class _Read:
    secret: Secret | None
    at: float


class SecretReader:
    """Reads Secrets and remembers them; None stands for one that does not exist."""

    def __init__(self, hub: Hub, clock: Clock) -> None:
        self._hub = hub
        self._clock = clock
        self._read: dict[tuple[str, str], _Read] = {}

    async def read(self, namespace: str, name: str, *, afresh: bool) -> Secret | None:
        """Read a Secret; *afresh* asks the hub in any case, and so does one that was missing."""
        key = namespace, name
        known = self._read.get(key)
        if known is not None and known.secret is not None and not afresh and self._is_fresh(known):
            return known.secret
        secret = await self._hub.read_secret(namespace, name)
        self._read[key] = _Read(secret, self._clock.monotonic())
        return secret

    def forget_old(self) -> None:
        """Forget what nobody has asked for in a long time."""
        limit = self._clock.monotonic() - 4 * self._lasts
        self._read = {key: read for key, read in self._read.items() if read.at > limit}

    def _is_fresh(self, known: _Read) -> bool:
        return self._clock.monotonic() - known.at < self._lasts

    @property
    def _lasts(self) -> float:
        return max(FRESH_FOR, len(self._read) / READS_PER_SECOND)
