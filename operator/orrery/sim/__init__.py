"""Simulated regions: an HTTP server with Nomad's behaviour, for rehearsal and tests.

::

    server       sockets: one port per region, TLS, connection limit, going dark
    └── http     requests: routes, queries, blocking, streams, faults, counters, admin
        └── region     one region as an object: every call of the API as a method
            ├── jobs, variables, namespaces, acl      what is written
            ├── canonical, validation, diff, updates  what a job means (pure)
            ├── reconcile, placement, evaluation, watcher, client   how it comes to run
            ├── wire       records -> Nomad's JSON (pure)
            └── store, records, stream, timers        one raft log: tables, index, events

A region is held to reality by ``tests/contract``: the same cases run here and on a real Nomad.
"""

from orrery.sim.faults import Faults
from orrery.sim.machines import Machine
from orrery.sim.region import SimulatedRegion
from orrery.sim.server import Served, serve
from orrery.sim.timing import Timing

__all__ = ["Faults", "Machine", "Served", "SimulatedRegion", "Timing", "serve"]
