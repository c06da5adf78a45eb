"""Write `regions.json`: how a program reaches each region."""

import json

from orrery.adapters.pki import PRIVATE, write_file
from orrery.playground.state import Layout, State


def write_regions_file(layout: Layout, state: State) -> None:
    """Write one entry per region, in the order of the regions' names on record."""
    entries = []
    for region in state.regions:
        files = layout.files_of(region.name)
        entries.append(
            {
                "name": region.name,
                "continent": region.continent,
                "nomadAddress": region.address,
                "tokenFile": str(files.token),
                "caFile": str(files.ca),
                "certFile": str(files.client_certificate),
                "keyFile": str(files.client_key),
                "pid": region.process.pid,
            }
        )
    write_file(layout.regions_file, json.dumps(entries, indent=2) + "\n", mode=PRIVATE)
