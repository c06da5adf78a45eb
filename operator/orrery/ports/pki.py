"""Certificates, keys and tokens: what makes them, and the values it exchanges."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key, both PEM."""

    certificate: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that signs tokens, and the one that proves them, both PEM."""

    private: str = field(repr=False)
    public: str


class Usage(StrEnum):
    """What a leaf certificate may prove."""

    SERVER = "server"
    CLIENT = "client"


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a certificate says of itself."""

    fingerprint: str
    """SHA-256 over its DER form, in hexadecimal."""
    not_before: datetime
    not_after: datetime
    hosts: frozenset[str] = frozenset()
    """DNS names and IP addresses."""
    usages: frozenset[Usage] = frozenset()
    is_authority: bool = False

    def is_valid(self, now: datetime) -> bool:
        """Whether *now* lies between its two moments."""
        return self.not_before <= now < self.not_after

    def renewal_is_due(self, now: datetime) -> bool:
        """Whether two thirds of its life are over, or it has not begun: then a clock was wrong."""
        renewal = self.not_after - (self.not_after - self.not_before) / 3
        return not self.not_before <= now < renewal


class Pki(Protocol):
    """Makes and reads certificates; nothing here is kept or sent anywhere.

    No method raises for input that is damaged: it says so.
    """

    def create_authority(self, name: str, *, lifetime: timedelta, now: datetime) -> KeyPair:
        """Make a self-signed authority that may sign leaves and no further authorities."""

    def issue(
        self,
        authority: KeyPair,
        name: str,
        *,
        hosts: Collection[str],
        usages: Collection[Usage],
        lifetime: timedelta,
        now: datetime,
    ) -> KeyPair:
        """Issue a leaf certificate for *hosts*, each a DNS name or an IP address."""

    def inspect(self, pair: KeyPair) -> Certificate | None:
        """Say what the certificate of *pair* is; None when it is damaged or the key is not its."""

    def split_bundle(self, bundle: str) -> Mapping[str, str]:
        """Return the certificates of *bundle* by fingerprint; none when it is damaged."""

    def is_issued_by(self, certificate: str, authority: str) -> bool:
        """Whether *authority* signed *certificate*, both PEM."""

    def gossip_key(self) -> str:
        """Make a key for the gossip of Nomad's servers: 32 random bytes in base64."""

    def signing_key(self) -> SigningKey:
        """Make an RSA key of 2048 bits for signing tokens, in the form PKCS #1 that Kuma reads."""

    def token(self) -> str:
        """Make a secret token: a random UUID."""
