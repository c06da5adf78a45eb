"""`regions.json`: how a program reaches each region, of a playground or of `orrery sim`."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic.alias_generators import to_camel

from orrery.adapters.pki import PRIVATE, write_file
from orrery.playground.state import Layout, State


@dataclass(frozen=True, slots=True)
class RegionEntry:
    """How one region is reached."""

    name: str
    continent: str
    nomad_address: str
    token_file: Path
    ca_file: Path
    cert_file: Path
    key_file: Path
    pid: int | None
    """The process that serves it; None while it is killed."""


def entries_of(layout: Layout, state: State) -> list[RegionEntry]:
    """List the regions of a playground, in the order in which they are on record."""
    found = []
    for region in state.regions:
        files = layout.files_of(region.name)
        found.append(
            RegionEntry(
                name=region.name,
                continent=region.continent,
                nomad_address=region.address,
                token_file=files.token,
                ca_file=files.ca,
                cert_file=files.client_certificate,
                key_file=files.client_key,
                pid=None if region.killed else region.process.pid,
            )
        )
    return found


def write_regions_file(path: Path, entries: Iterable[RegionEntry]) -> None:
    """Write *entries* to *path*, for its owner only: they lead to tokens and keys."""
    documents = [
        {to_camel(field): value for field, value in asdict(entry).items()} for entry in entries
    ]
    write_file(path, json.dumps(documents, indent=2, default=str) + "\n", mode=PRIVATE)
