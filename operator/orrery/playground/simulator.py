"""The process of one simulated region: ``python -m orrery.playground.simulator CONFIG``.

It writes its state to disk about a tenth of a second after a change, and when it is told to end;
it reads it when it starts. So a region that is killed comes back with what it knew, as a Nomad
does. Only SIGKILL can lose something: the writes of that tenth of a second.
"""

import asyncio
import io
import pickle
import signal
import ssl
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from orrery.adapters.pki import write_bytes
from orrery.playground.nomad import PRETENDED_CPU_MHZ, PRETENDED_MEMORY_MB
from orrery.sim.machines import Machine
from orrery.sim.records import Spec
from orrery.sim.region import SimulatedRegion
from orrery.sim.server import serve
from orrery.sim.specs import spec_of
from orrery.sim.store import Tables

SAVE_EVERY: Final = 0.1
_REST: Final = 9
"""A region with thousands of jobs spends at most a tenth of its time on saving."""
_EVENT_BUFFER: Final = 10_000


class SimulatorConfig(BaseModel):
    """What a region's process must know."""

    name: str
    data_center: str
    port: int
    state: Path
    token: Path
    ca: Path
    certificate: Path
    key: Path


def dump(tables: Tables) -> bytes:
    """Serialize a region's state."""
    buffer = io.BytesIO()
    _Pickler(buffer).dump(tables)
    return buffer.getvalue()


def load(data: bytes) -> Tables:
    """Read what `dump` made."""
    tables = pickle.loads(data)  # noqa: S301 - made by `dump`, see above
    assert isinstance(tables, Tables), "dump takes nothing else"
    return tables


async def run(config: SimulatorConfig) -> None:
    """Serve the region until told to end."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    region = _region(config)
    async with serve([region], ports=[config.port], ssl=_tls(config)) as served:
        sys.stdout.write(
            f"region {config.name} at {served.address(config.name)},"
            f" faults and counters at {served.admin_address}\n"
        )
        sys.stdout.flush()
        await _keep(region, config.state, ended)


def main() -> None:
    """Run the process."""
    config = SimulatorConfig.model_validate_json(Path(sys.argv[1]).read_bytes())
    asyncio.run(run(config))


class _Pickler(pickle.Pickler):
    """Writes a job's spec as the document it is made of: equal specs must be the very same one."""

    def reducer_override(self, obj: object) -> Any:
        if isinstance(obj, Spec):
            return _spec, (obj.document,)
        return NotImplemented


_spec: Callable[[dict[str, Any]], Spec] = spec_of


def _region(config: SimulatorConfig) -> SimulatedRegion:
    machine = Machine(
        f"{config.name}-machine",
        datacenter=config.data_center,
        cpu_mhz=PRETENDED_CPU_MHZ,
        memory_mb=PRETENDED_MEMORY_MB,
    )
    token = config.token.read_text(encoding="ascii").strip()
    region = SimulatedRegion(config.name, nodes=[machine], token=token, event_buffer=_EVENT_BUFFER)
    if config.state.exists():
        region.resume(load(config.state.read_bytes()))
    return region


def _tls(config: SimulatorConfig) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(config.ca))
    context.load_cert_chain(config.certificate, config.key)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


async def _keep(region: SimulatedRegion, path: Path, ended: asyncio.Event) -> None:
    """Keep *path* up to date until *ended*, and leave it so."""
    saved = None
    while True:
        last = ended.is_set()
        begin = time.monotonic()
        if region.index != saved:
            saved, data = region.index, dump(region.core.tables)
            await asyncio.to_thread(write_bytes, path, data)
        if last:
            return
        spent = time.monotonic() - begin
        with suppress(TimeoutError):
            async with asyncio.timeout(max(SAVE_EVERY, _REST * spent)):
                await ended.wait()


if __name__ == "__main__":
    main()
