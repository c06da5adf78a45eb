"""The one place that turns errors into what happens next.

A reconcile is a list of phases; each is idempotent, and passes or raises a leaf of the error tree.
"""

import logging
from collections.abc import Awaitable, Callable

from orrery.engine.result import Again, Dark, Done, Result, Retry, RetryQuickly
from orrery.errors import (
    Conflict,
    InvalidSpec,
    NotYet,
    OrreryError,
    OutcomeUnknown,
    Refused,
    Unreachable,
)
from orrery.ports import Clock
from orrery.telemetry import Telemetry

log = logging.getLogger(__name__)

RESULTS: dict[type[OrreryError], Result] = {
    Conflict: RetryQuickly(),
    OutcomeUnknown: RetryQuickly(),
    Refused: Retry(),
    Unreachable: Dark(),
}


async def guarded(
    work: Callable[[], Awaitable[Result]],
    *,
    kind: str,
    name: str,
    region: str = "",
    clock: Clock,
    telemetry: Telemetry,
    report: Callable[[OrreryError], None] | None = None,
    on_bug: Callable[[], Awaitable[None]] | None = None,
) -> Result:
    """Run one pass and say what the queue does next.

    *report* hears of errors that users should see, *on_bug* is awaited after anything else.
    """
    fields = {"kind": kind, "object": name, "region": region}
    started = clock.monotonic()
    try:
        result = await work()
    except OrreryError as error:
        level = logging.WARNING if isinstance(error, Refused) else logging.DEBUG
        log.log(level, error.message, extra={**fields, "reason": error.reason})
        if report is not None and not isinstance(error, Conflict | OutcomeUnknown):
            report(error)
        result = after(error)
    except Exception:
        # The only broad catch: a bug in one pass must not stop the passes of other objects.
        log.exception("a pass failed: this is a bug", extra={**fields, "reason": "InternalError"})
        result = Retry()
        if on_bug is not None:
            await guarded(
                _as_pass(on_bug),
                kind=kind,
                name=name,
                region=region,
                clock=clock,
                telemetry=telemetry,
            )
    telemetry.reconciled(kind, type(result).__name__, clock.monotonic() - started)
    return result


def after(error: OrreryError) -> Result:
    """Say what the queue does after *error*."""
    if isinstance(error, NotYet):
        return Again(error.retry_after)
    if isinstance(error, InvalidSpec):
        return Done()
    return RESULTS[type(error)]


def _as_pass(on_bug: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[Result]]:
    async def work() -> Result:
        await on_bug()
        return Done()

    return work
