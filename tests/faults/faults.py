"""What may be wrong with a region, as its callers meet it."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.lab import faultproxy_actions as do
from tests.lab.faultproxy import Act, Door, FaultProxy, Rule
from tests.lab.faultproxy_journal import Match

PLAIN = [("Content-Type", "text/plain; charset=utf-8")]
BUSY = "Your IP is issuing too many concurrent connections, please rate limit your calls\n"
ELSEWHERE = "https://127.0.0.1:9/v1/jobs"


@dataclass(frozen=True)
class Fault:
    """Something wrong with calls, or with connections as a whole."""

    name: str
    act: Callable[[], Act] | None = None
    door: Door = Door.OPEN


FAULTS = (
    Fault("slow", lambda: do.delay(2)),
    Fault("hang", do.hang),
    Fault("drip", do.drip),
    Fault("reset", do.lose_reply),
    Fault("half-open", door=Door.DEAF),
    Fault("truncated", do.truncate),
    Fault("html-502", lambda: do.answer(502, "<html>Bad gateway</html>", do.HTML)),
    Fault("throttled", lambda: do.answer(429, BUSY, PLAIN)),
    Fault("redirect", lambda: do.redirect(ELSEWHERE)),
    Fault("no-leader", lambda: do.answer(500, "No cluster leader", PLAIN)),
    Fault("refused", door=Door.REFUSED),
    Fault("tls-garbage", door=Door.GARBAGE),
    Fault("empty", lambda: do.truncate(0)),
    Fault("gigabyte", do.flood),
)
"""Slow, drip, reset, truncated, empty, gigabyte and hang: a write is carried out all the same."""


@dataclass
class Begun:
    """A fault that holds in one region."""

    proxy: FaultProxy
    region: str
    rule: Rule | None

    @classmethod
    async def begin(
        cls, proxy: FaultProxy, fault: Fault, match: Match, *, since: Match | None = None
    ) -> "Begun":
        """Begin a fault of requests that *match*, from the first one on that matches *since*.

        Then doors shut, too; without it they do at once. A fault of streams cuts those that stand,
        as a network does that changes its mind.
        """
        rule = None
        if fault.act is not None:
            rule = proxy.add(match, fault.act(), since=since)
            for stream in proxy.open_streams(match):
                stream.cut()
        elif since is not None:
            rule = proxy.add(since, do.slam(fault.door), nth=1)
        else:
            await proxy.turn(match.target, fault.door)
        return cls(proxy, match.target, rule)

    async def lift(self) -> None:
        """Make it as good as new; what was held or half done is cut."""
        if self.rule is not None:
            self.proxy.lift(self.rule)
        if self.proxy.targets[self.region].door is not Door.OPEN:
            await self.proxy.turn(self.region, Door.OPEN)
