"""Reserved ports: free for a server, taken for the next search."""

import socket

from orrery.playground.ports import reserve_port


def test_a_reserved_port_can_be_served_at_once() -> None:
    port = reserve_port()

    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", port))
        server.listen()


def test_no_port_is_given_twice() -> None:
    reserved = [reserve_port() for _ in range(50)]

    assert len(set(reserved)) == 50


def test_ports_lie_below_those_of_clients_and_of_tasks() -> None:
    assert 10_240 <= reserve_port() < 20_000
