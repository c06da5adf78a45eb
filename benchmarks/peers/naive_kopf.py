"""A naive operator on kopf, to compare Orrery with: its handler loops over the regions.

What one would write on an afternoon: handlers for create and update, python-nomad for the regions,
kopf's defaults everywhere. kopf runs such handlers in threads; with ``--threads`` above 1 each
handler spreads its regions over so many threads of its own.
"""

import argparse
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import kopf
import nomad


def connect(entry: Mapping[str, str]) -> nomad.Nomad:
    """Make a client; it connects when it is first used."""
    address = urlsplit(entry["nomadAddress"])
    return nomad.Nomad(
        host=address.hostname,
        port=address.port,
        secure=True,
        timeout=15,
        verify=entry["caFile"],
        cert=(entry["certFile"], entry["keyFile"]),
        token=Path(entry["tokenFile"]).read_text(encoding="ascii"),
    )


def main() -> None:
    """Run the operator."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--regions", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    regions = [connect(entry) for entry in json.loads(options.regions.read_text(encoding="utf-8"))]

    @kopf.on.create("bench.orrery.dev", "v1", "fanouts")
    @kopf.on.update("bench.orrery.dev", "v1", "fanouts")
    def register(spec: Mapping[str, Any], patch: kopf.Patch, **_: Any) -> None:
        body = json.loads(spec["body"])

        def to(region: nomad.Nomad) -> None:
            region.job.register_job(spec["job"], body)

        if options.threads == 1:
            for region in regions:
                to(region)
        else:
            with ThreadPoolExecutor(options.threads) as pool:
                list(pool.map(to, regions))
        patch.status["registered"] = len(regions)

    kopf.run(standalone=True, clusterwide=True)


if __name__ == "__main__":
    main()
