"""Certificates for tests: one authority, and what it signs, as files."""

from dataclasses import dataclass
from pathlib import Path

from orrery.adapters.pki import KeyPair, Usage, create_authority, issue, write_file, write_key_pair

LOOPBACK_NAMES = ("localhost", "127.0.0.1")


@dataclass(frozen=True)
class Certificates:
    """An authority in a folder; `server` and `client` issue and write a leaf each."""

    folder: Path
    authority: KeyPair

    @property
    def ca_file(self) -> Path:
        return self.folder / "ca.pem"

    def server(self, name: str = "server", *hosts: str) -> tuple[Path, Path]:
        pair = issue(self.authority, name, hosts=[*LOOPBACK_NAMES, *hosts], usages=[Usage.SERVER])
        return write_key_pair(self.folder, name, pair)

    def client(self, name: str = "client") -> tuple[Path, Path]:
        return write_key_pair(self.folder, name, issue(self.authority, name, usages=[Usage.CLIENT]))


def make_certificates(folder: Path, name: str = "test") -> Certificates:
    """Make an authority and write its certificate to *folder*."""
    certificates = Certificates(folder, create_authority(name))
    write_file(certificates.ca_file, certificates.authority.certificate, mode=0o644)
    return certificates
