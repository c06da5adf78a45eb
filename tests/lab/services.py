"""What a kube-proxy does, between the addresses of Services and those of pods, all on loopback."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from tests.lab.nomad_servers import _pump


class ServiceProxy:
    """Passes what reaches the Services on to the pods that are behind them at that moment."""

    def __init__(self, ports: Sequence[int], udp_ports: Sequence[int]) -> None:
        self._ports, self._udp_ports = ports, udp_ports
        self._open: list[Any] = []
        self.pods: dict[str, str] = {}
        """Address of the pod behind each Service's."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def start(self, services: Iterable[str]) -> None:
        """Listen at the addresses of *services*, in a thread of its own."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(list(services)), self._loop).result(10)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self, services: Sequence[str]) -> None:
        for service in services:
            for port in self._ports:
                passes = partial(self._pass, service, port)
                self._open.append(await asyncio.start_server(passes, service, port))
            for port in self._udp_ports:
                made = partial(_Datagrams, self, service, port)
                transport, _ = await self._loop.create_datagram_endpoint(made, (service, port))
                self._open.append(transport)

    async def _close(self) -> None:
        for opened in self._open:
            opened.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _pass(
        self, service: str, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            behind = await asyncio.open_connection(self.pods[service], port)
        except (OSError, LookupError):
            writer.transport.abort()
            return
        pumps = [
            asyncio.ensure_future(_pump(*w)) for w in ((reader, behind[1]), (behind[0], writer))
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            behind[1].transport.abort()
            writer.transport.abort()


class _Datagrams(asyncio.DatagramProtocol):
    """Passes datagrams on, and no answers back: gossip says in a question where to answer."""

    def __init__(self, proxy: ServiceProxy, service: str, port: int) -> None:
        self._proxy, self._service, self._port = proxy, service, port
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        pod = self._proxy.pods.get(self._service)
        if pod:
            with contextlib.suppress(OSError):
                self._socket.sendto(data, (pod, self._port))

    def connection_lost(self, exc: Exception | None) -> None:
        self._socket.close()
