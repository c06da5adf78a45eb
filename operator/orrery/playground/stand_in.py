"""A small web server that stands in for a container where there is no container engine.

Nomad starts it by path, one per instance, so it needs nothing but Python's standard library. It
answers every path on every port that Nomad allocated with what it knows of itself, as JSON:
image, place, and its whole environment, so that overrides and secrets can be seen to arrive.
Without a port it just stays. An image with the tag ``bad`` fails at once, port or not, so that it
is noticed without a health check, too.
"""

import argparse
import json
import os
import signal
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

BAD_TAG: Final = "bad"
_PORT_VARIABLE: Final = "NOMAD_PORT_"
_ADDRESS_VARIABLE: Final = "NOMAD_IP_"


class StandIn(BaseHTTPRequestHandler):
    """Answers with the facts of this instance."""

    image = ""
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer any path."""
        body = json.dumps(facts(self.image, self.path), indent=2).encode() + b"\n"
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - the name is http.server's

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        """Say nothing: health checks would fill the log."""


def facts(image: str, path: str) -> dict[str, object]:
    """Collect what this instance knows of itself."""
    variables = dict(sorted(os.environ.items()))
    return {
        "image": image,
        "path": path,
        "region": variables.get("NOMAD_REGION"),
        "dataCenter": variables.get("NOMAD_DC"),
        "namespace": variables.get("NOMAD_NAMESPACE"),
        "job": variables.get("NOMAD_JOB_ID"),
        "allocation": variables.get("NOMAD_ALLOC_ID"),
        "index": variables.get("NOMAD_ALLOC_INDEX"),
        "env": variables,
    }


def tag(image: str) -> str:
    """Return the tag of an image reference; a registry's port is none.

    >>> tag("registry:5000/shop:1.4")
    '1.4'
    """
    name = image.partition("@")[0].rpartition("/")[2]
    return name.partition(":")[2]


def ports(wanted: str, variables: dict[str, str]) -> list[int]:
    """List the ports to listen on: *wanted*, and all that Nomad allocated."""
    allocated = [text for name, text in variables.items() if name.startswith(_PORT_VARIABLE)]
    numbers = [text for text in [wanted, *allocated] if text.isascii() and text.isdecimal()]
    return sorted({int(text) for text in numbers})


def address(variables: dict[str, str]) -> str:
    """Return the address that Nomad allocated the ports on."""
    allocated = [text for name, text in variables.items() if name.startswith(_ADDRESS_VARIABLE)]
    return allocated[0] if allocated else "127.0.0.1"


def main() -> None:
    """Serve until told to end."""
    parser = argparse.ArgumentParser(description="Stand in for a container.")
    parser.add_argument("--port", default="")
    parser.add_argument("--image", default="")
    options, _ = parser.parse_known_args()
    StandIn.image = options.image
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    if tag(options.image) == BAD_TAG:
        sys.exit(f"the image {options.image} is bad")
    for port in ports(options.port, dict(os.environ)):
        server = ThreadingHTTPServer((address(dict(os.environ)), port), StandIn)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
    ended.wait()


if __name__ == "__main__":
    main()
