"""The error tree, and what the loop does about each leaf.

::

    OrreryError
    ├── InvalidSpec     the user must change the spec     -> Stalled until the generation moves
    ├── NotYet          something else must happen first  -> Reconciling, retry after its delay
    ├── Unreachable     a remote does not answer          -> facts Unknown, last state kept
    ├── Conflict        somebody wrote in between         -> read again, not shown to users
    ├── OutcomeUnknown  a write may have happened         -> the next call there is a read
    └── Refused         a remote understood and said no   -> shown in its words, backoff

Anything else is a bug: logged with its traceback, shown as ``InternalError``, retried with backoff.

Adapters translate every third-party exception into one of these and chain the cause. Messages are
sentences for users: they name the field, the value and what is allowed, and never hold a secret.
"""


class OrreryError(Exception):
    """The root: a *reason* in CamelCase (stable API) and a *message* for people."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class InvalidSpec(OrreryError):
    """Waiting will not cure it: the user must change the spec."""


class NotYet(OrreryError):
    """Something else must happen first; look again after *retry_after* seconds."""

    def __init__(self, reason: str, message: str, *, retry_after: float = 5.0) -> None:
        super().__init__(reason, message)
        self.retry_after = retry_after


class Unreachable(OrreryError):
    """A remote gives no usable answer: refused, timed out, dark, or not who it should be."""


class Conflict(OrreryError):
    """A compare-and-set found another index than expected: somebody wrote in between."""


class OutcomeUnknown(OrreryError):
    """A write was sent and its fate is not known: read before writing again."""


class Refused(OrreryError):
    """A remote understood the request and refused it: invalid job, missing right."""
