"""Where the files of a machine's bundle lie, and who may read them. Pure.

Paths are relative to the machine's root.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

FOLDER: Final = "etc/orrery"
TLS_FOLDER: Final = f"{FOLDER}/tls"
NOMAD_FOLDER: Final = f"{FOLDER}/nomad.d"
DATA_FOLDER: Final = "var/lib/orrery/nomad"

README: Final = f"{FOLDER}/README"
AUTHORITY: Final = f"{TLS_FOLDER}/ca.crt"
CERTIFICATE: Final = f"{TLS_FOLDER}/tls.crt"
KEY: Final = f"{TLS_FOLDER}/tls.key"
NOMAD_CONFIGURATION: Final = f"{NOMAD_FOLDER}/orrery.json"
TOKEN: Final = f"{DATA_FOLDER}/client/intro_token.jwt"
"""Where a Nomad client looks for it: in its state (2.0.6)."""

UNITS_FOLDER: Final = "etc/systemd/system"
UNIT: Final = "orrery-nomad.service"
NOMAD_UNIT: Final = f"{UNITS_FOLDER}/{UNIT}"

EXPIRY_SCRIPT: Final = f"{FOLDER}/expiry.sh"
EXPIRY_UNIT: Final = f"{UNITS_FOLDER}/orrery-expiry.service"
TIMER: Final = "orrery-expiry.timer"
EXPIRY_TIMER: Final = f"{UNITS_FOLDER}/{TIMER}"

MESH_FOLDER: Final = f"{FOLDER}/mesh"
LINK_CONFIGURATION: Final = f"{MESH_FOLDER}/envoy.json"
DATA_PLANE_SETTINGS: Final = f"{MESH_FOLDER}/kuma-dp.env"
DATA_PLANES_FOLDER: Final = f"{MESH_FOLDER}/data-planes"
DATA_PLANE: Final = f"{DATA_PLANES_FOLDER}/machine.json"
DATA_PLANE_TOKEN: Final = f"{DATA_PLANES_FOLDER}/machine.token"
LINK: Final = "orrery-mesh.service"
LINK_UNIT: Final = f"{UNITS_FOLDER}/{LINK}"
DATA_PLANE_UNIT: Final = f"{UNITS_FOLDER}/orrery-data-plane@.service"
MACHINE_DATA_PLANE: Final = "orrery-data-plane@machine.service"
"""The instance of that unit whose files are the bundle's."""

PUBLIC: Final = 0o644
PRIVATE: Final = 0o600

FOLDERS: Final[Mapping[str, int]] = {
    FOLDER: 0o755,
    TLS_FOLDER: 0o700,
    NOMAD_FOLDER: 0o755,
    MESH_FOLDER: 0o755,
    DATA_PLANES_FOLDER: 0o755,
    "var/lib/orrery": 0o755,
    DATA_FOLDER: 0o711,
    f"{DATA_FOLDER}/client": 0o700,
}
"""The folders that are the bundle's own, outermost first; tasks pass through the data's.

A bundle has those that hold a file of it.
"""


@dataclass(frozen=True, slots=True)
class BundleFile:
    """A file of a bundle."""

    path: str
    mode: int
    content: str = field(repr=False)
