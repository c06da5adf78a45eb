"""`orrery probe`: how long TCP connects to an address take, from the machine that runs it."""

import json
import socket
import sys
import time
from dataclasses import dataclass
from typing import Any, Final

import click

PAUSE: Final = 0.05
"""Seconds between two connects: a probe is no load."""

_EXAMPLE: Final = """\b
Example:
  $ orrery probe --address 203.0.113.10:4647
  {"address": "203.0.113.10:4647", "seconds": [0.0121, 0.0118, ...]}
"""


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port, as given and apart."""

    text: str
    host: str
    port: int


def _address(context: click.Context, parameter: click.Parameter, text: str) -> Address:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        message = f"{text!r} is not allowed, must be HOST:PORT, such as 203.0.113.10:4647"
        raise click.BadParameter(message, ctx=context, param=parameter)
    return Address(text, host.strip("[]"), int(port))


@click.command(epilog=_EXAMPLE)
@click.option(
    "--address",
    required=True,
    callback=_address,
    metavar="HOST:PORT",
    help="Where to connect to.",
)
@click.option(
    "--count",
    type=click.IntRange(1, 1000),
    default=20,
    show_default=True,
    help="Connects, one after the other.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0.1, 60),
    default=2.0,
    show_default=True,
    help="Seconds after which a connect has failed.",
)
@click.option(
    "--linger",
    type=click.FloatRange(0, 600),
    default=0.0,
    metavar="SECONDS",
    help="Stay for this long after printing; a machine may drop logs at once.",
)
def probe(address: Address, count: int, timeout: float, linger: float) -> None:
    """Time TCP connects to an address, and print them as one line of JSON.

    Nothing is sent. The exit code is 1 when a connect failed, and "error" says why. Regions whose
    class has `spec.probe` run this on their machines.
    """
    found = measured(address, count, timeout)
    click.echo(json.dumps({"address": address.text, **found}))
    sys.stdout.flush()
    time.sleep(linger)
    if "error" in found:
        sys.exit(1)


def measured(address: Address, count: int, timeout: float) -> dict[str, Any]:
    """Return the seconds that each of *count* connects took; how many failed, and why, if any."""
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM
        )[0]
    except OSError as error:
        return {"seconds": [], "error": f"cannot look up {address.host}: {_words(error)}"}
    seconds: list[float] = []
    failures: list[str] = []
    for number in range(count):
        time.sleep(PAUSE if number else 0)
        with socket.socket(family, kind, protocol) as connection:
            connection.settimeout(timeout)
            started = time.perf_counter()
            try:
                connection.connect(target)
            except OSError as error:
                failures.append(_words(error))
            else:
                seconds.append(round(time.perf_counter() - started, 6))
    if not failures:
        return {"seconds": seconds}
    what = f"{len(failures)} of {count} connects to {address.text} failed: {failures[0]}"
    return {"seconds": seconds, "error": what}


def _words(error: OSError) -> str:
    """Say what went wrong, the same for every attempt."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return (error.strerror or type(error).__name__).lower()
