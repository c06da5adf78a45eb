"""Prometheus metrics, their names in one place.

Labels are bounded: kinds, regions, verbs and results, never the name of a deployment. The registry
is our own, so that two operators in one process (as in tests) do not share numbers.
"""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_PASSES = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_WAITS = (0.001, 0.01, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 300)


class Telemetry:
    """Everything that Orrery measures. Each metric's sentence is its help text."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._pass_seconds = self._histogram(
            "orrery_reconcile_duration_seconds", "Time that one pass takes.", ["kind"], _PASSES
        )
        self._passes = self._counter(
            "orrery_reconcile_total", "Passes, by what they ended with.", ["kind", "result"]
        )
        self._depth = self._gauge(
            "orrery_queue_depth", "Keys that wait in a lane, delayed ones included.", ["lane"]
        )
        self._wait_seconds = self._histogram(
            "orrery_queue_latency_seconds", "Time that a key is ready and waits.", ["lane"], _WAITS
        )
        self._breaker_open = self._gauge(
            "orrery_breaker_open", "1 while a lane is held since its remote is dark.", ["lane"]
        )
        self._nomad_calls = self._counter(
            "orrery_nomad_requests_total",
            "Calls to a region's Nomad, by result.",
            ["region", "call", "result"],
        )
        self._nomad_seconds = self._histogram(
            "orrery_nomad_request_duration_seconds",
            "Time that a call to a region's Nomad takes.",
            ["region", "call"],
            _PASSES,
        )
        self._reachable = self._gauge(
            "orrery_region_reachable", "1 while a region's Nomad answers.", ["region"]
        )
        self._hub_writes = self._counter(
            "orrery_hub_writes_total", "Writes to the hub's API server.", ["kind", "verb"]
        )
        self._continent_writes = self._counter(
            "orrery_continent_writes_total",
            "Writes to the cluster of a continent; an apply that changes nothing counts, too.",
            ["continent", "kind", "verb"],
        )
        self._expiry = self._gauge(
            "orrery_region_certificate_expiry_timestamp_seconds",
            "Wall-clock time at which the first certificate of a Managed region expires.",
            ["region"],
        )
        self._leader = self._gauge("orrery_leader", "1 while this process leads.", [])
        self._last_event = self._gauge(
            "orrery_watch_last_event_seconds",
            "Wall-clock time at which a watch last gave a sign of life.",
            ["kind"],
        )
        self._watch_restarts = self._counter(
            "orrery_watch_restarts_total", "How often the watches ended and were started anew.", []
        )

    def reconciled(self, kind: str, result: str, seconds: float) -> None:
        """Count one pass over an object of *kind*."""
        self._passes.labels(kind, result).inc()
        self._pass_seconds.labels(kind).observe(seconds)

    def lane_opened(self, lane: str, depth: Callable[[], int]) -> None:
        """Show a lane; its *depth* is asked when somebody looks."""
        self._depth.labels(lane).set_function(depth)
        self._breaker_open.labels(lane).set(0)

    def lane_closed(self, lane: str) -> None:
        """Forget a lane: a region that is gone must not stay in the numbers."""
        for metric in (self._depth, self._breaker_open, self._wait_seconds):
            metric.remove(lane)

    def waited_in_queue(self, lane: str, seconds: float) -> None:
        """Take the time that a key was ready before a worker took it."""
        self._wait_seconds.labels(lane).observe(seconds)

    def breaker(self, lane: str, *, is_open: bool) -> None:
        """Show whether a lane is held."""
        self._breaker_open.labels(lane).set(is_open)

    def nomad_call(self, region: str, call: str, result: str, seconds: float) -> None:
        """Count one call to a region's Nomad; *result* is ``ok`` or the name of the error."""
        self._nomad_calls.labels(region, call, result).inc()
        self._nomad_seconds.labels(region, call).observe(seconds)

    def region(self, region: str, *, reachable: bool) -> None:
        """Show whether a region answers."""
        self._reachable.labels(region).set(reachable)

    def certificates(self, region: str, *, expire: float) -> None:
        """Show when the first certificate of a region expires, in wall-clock seconds."""
        self._expiry.labels(region).set(expire)

    def forget_region(self, region: str) -> None:
        """Forget a region that is gone."""
        for metric in (self._reachable, self._nomad_calls, self._nomad_seconds, self._expiry):
            metric.remove_by_labels({"region": region})

    def hub_write(self, kind: str, verb: str) -> None:
        """Count one write to the hub."""
        self._hub_writes.labels(kind, verb).inc()

    def continent_write(self, continent: str, kind: str, verb: str) -> None:
        """Count one write to a continent's cluster."""
        self._continent_writes.labels(continent, kind, verb).inc()

    def leading(self, *, is_leader: bool) -> None:
        """Show whether this process leads."""
        self._leader.set(is_leader)

    def watch_seen(self, kind: str, moment: float) -> None:
        """Take note of a sign of life of the watch of *kind*, at wall-clock time *moment*."""
        self._last_event.labels(kind).set(moment)

    def watch_restarted(self) -> None:
        """Count one new start of the watches."""
        self._watch_restarts.inc()

    def page(self) -> bytes:
        """Render the page that Prometheus scrapes."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, labels: list[str]) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, labels: list[str]) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _histogram(
        self, name: str, text: str, labels: list[str], buckets: tuple[float, ...]
    ) -> Histogram:
        return Histogram(name, text, labels, buckets=buckets, registry=self.registry)
