"""Count what a region is asked to do, so that tests can say "exactly one register"."""

from collections import Counter
from typing import Final

WRITES: Final = frozenset({"POST", "PUT", "DELETE"})

REGISTER: Final = ("/v1/jobs", "/v1/job/:id")
READ_BY_POST: Final = frozenset({"/v1/job/:id/plan"})


class Counters:
    """Requests by method and path template; POST counts as PUT, as it does for Nomad."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str]] = Counter()

    def count(self, method: str, template: str) -> None:
        """Count one request."""
        self.requests["PUT" if method == "POST" else method, template] += 1

    @property
    def writes(self) -> Counter[tuple[str, str]]:
        """The requests that change something; a plan does not."""
        return Counter(
            {
                key: number
                for key, number in self.requests.items()
                if key[0] in WRITES and key[1] not in READ_BY_POST
            }
        )

    @property
    def registers(self) -> int:
        """How often a job was registered, changed or not, accepted or not."""
        return sum(self.requests["PUT", template] for template in REGISTER)

    def reset(self) -> None:
        """Begin at zero."""
        self.requests.clear()

    def document(self) -> dict[str, dict[str, int]]:
        """Render the counters, as ``PUT /v1/jobs``."""
        return {
            "requests": {f"{method} {path}": n for (method, path), n in self.requests.items()},
            "writes": {f"{method} {path}": n for (method, path), n in self.writes.items()},
        }
