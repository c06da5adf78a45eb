"""A region's files: its authority, certificates and token. Each region has its own of each."""

import uuid
from dataclasses import dataclass
from pathlib import Path

from orrery.adapters.pki import (
    PRIVATE,
    PUBLIC,
    Usage,
    create_authority,
    issue,
    write_file,
    write_key_pair,
)
from orrery.playground.ports import LOOPBACK


@dataclass(frozen=True, slots=True)
class RegionFiles:
    """Where a region keeps what, below its folder *root*."""

    root: Path

    @property
    def data(self) -> Path:
        """The data directory: what a revived region comes back with."""
        return self.root / "data"

    @property
    def config(self) -> Path:
        """The agent's configuration."""
        return self.root / "agent.json"

    @property
    def token(self) -> Path:
        """The management token."""
        return self.root / "token"

    @property
    def ca(self) -> Path:
        """The authority's certificate."""
        return self.root / "ca.pem"

    @property
    def server_certificate(self) -> Path:
        """What the region shows."""
        return self.root / "server.pem"

    @property
    def server_key(self) -> Path:
        """The key to what the region shows."""
        return self.root / "server-key.pem"

    @property
    def client_certificate(self) -> Path:
        """What a client must show."""
        return self.root / "client.pem"

    @property
    def client_key(self) -> Path:
        """The key to what a client must show."""
        return self.root / "client-key.pem"

    def secret_texts(self) -> dict[str, str]:
        """Read what a client needs, under the keys of a Region's credentials Secret."""
        files = {
            "token": self.token,
            "ca.crt": self.ca,
            "tls.crt": self.client_certificate,
            "tls.key": self.client_key,
        }
        return {key: file.read_text(encoding="ascii") for key, file in files.items()}


def write_credentials(files: RegionFiles, region: str) -> None:
    """Make the region's authority, certificates and management token, and keep them.

    The token is chosen and stored before Nomad is asked to accept it: bootstrap works only once,
    and an answer that is lost would lock everybody out.
    """
    files.root.mkdir(parents=True, exist_ok=True)
    files.root.chmod(0o700)
    authority = create_authority(f"{region}-playground")
    write_file(files.ca, authority.certificate, mode=PUBLIC)
    # The two roles that Nomad's agents demand of each other's certificates.
    roles = [f"server.{region}.nomad", f"client.{region}.nomad"]
    server = issue(
        authority,
        roles[0],
        hosts=[*roles, "localhost", LOOPBACK],
        usages=[Usage.SERVER, Usage.CLIENT],
    )
    write_key_pair(files.root, "server", server)
    client = issue(authority, f"orrery.{region}", usages=[Usage.CLIENT])
    write_key_pair(files.root, "client", client)
    write_file(files.token, str(uuid.uuid4()), mode=PRIVATE)
