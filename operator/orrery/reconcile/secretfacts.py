"""Read what the Secrets of a region's certificates hold, and write what they shall hold.

Nothing here talks to a cluster: texts in, values out, by way of the port `Pki`.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Final

from orrery.api.base import span
from orrery.api.regionclass import RegionClass
from orrery.planning.certificates import Facts, HeldAuthority, HeldLeaf, Leaf
from orrery.ports import Document, KeyPair, Pki
from orrery.ports.values import decoded

Texts = Mapping[str, str]
"""The data of a Secret, as text."""

TRUSTED_SINCE: Final = "next.trusted-since"
USED_SINCE: Final = "next.used-since"
PREVIOUS: Final = "previous"
ROTATION: Final = "rotation"

AUTHORITY_KEYS: Final = (
    "tls.crt",
    "tls.key",
    "ca.crt",
    "next.crt",
    "next.key",
    TRUSTED_SINCE,
    USED_SINCE,
    PREVIOUS,
    ROTATION,
)
"""All that the authority's Secret may hold.

All are written each time, the unused ones empty: a key left out may stay, as somebody else's.
"""


def read_facts(pki: Pki, authority: Texts | None, leaves: Mapping[str, Texts]) -> Facts:
    """Say what the authority's Secret and those of the leaves, by name, hold."""
    held = None if authority is None else _authority(pki, authority)
    issuers = trusted(authority or {})
    return Facts(
        held,
        damaged=authority is not None and held is None,
        leaves={secret: _leaf(pki, texts, issuers) for secret, texts in leaves.items()},
    )


def encode(texts: Texts) -> dict[str, str]:
    """Write *texts* as the data of a Secret."""
    return {key: b64encode(text.encode()).decode() for key, text in texts.items()}


def decode(secret: Document) -> dict[str, str]:
    """Read the data of a Secret; what is no text is read as something that no PEM is."""
    try:
        data = decoded(secret)
    except ValueError:
        return {}
    return {key: value.decode(errors="replace") for key, value in data.items()}


def pair_in(texts: Texts, prefix: str = "tls") -> KeyPair:
    """Return the pair that stands under *prefix*, empty when there is none."""
    return KeyPair(texts.get(f"{prefix}.crt", ""), texts.get(f"{prefix}.key", ""))


def texts_of(pair: KeyPair, prefix: str = "tls") -> dict[str, str]:
    """Write *pair* under *prefix*."""
    return {f"{prefix}.crt": pair.certificate, f"{prefix}.key": pair.key}


def trusted(authority: Texts) -> Sequence[str]:
    """Return the certificates of the authority and of its successor."""
    return [pem for key in ("tls.crt", "next.crt") if (pem := authority.get(key, ""))]


def bundle(authority: Texts) -> str:
    """Write one after the other what all Secrets shall trust."""
    return "".join(f"{pem.strip()}\n" for pem in trusted(authority))


def digest(texts: Texts) -> str:
    """Fingerprint what a server mounts, by its certificates alone."""
    return sha256(f"{texts['tls.crt']}\n{texts['ca.crt']}".encode()).hexdigest()


def joint_digest(several: Sequence[Texts]) -> str:
    """Fingerprint what several Secrets hold together; empty for none."""
    joined = "".join(map(digest, several))
    return sha256(joined.encode()).hexdigest() if joined else ""


def _authority(pki: Pki, texts: Texts) -> HeldAuthority | None:
    current = pki.inspect(pair_in(texts))
    successor = pki.inspect(pair_in(texts, "next"))
    has_successor = bool(texts.get("next.crt") or texts.get("next.key"))
    if current is None or not current.is_authority:
        return None
    if has_successor and (successor is None or not successor.is_authority):
        return None
    return HeldAuthority(
        current,
        frozenset(pki.split_bundle(texts.get("ca.crt", ""))),
        successor=successor,
        trusted_since=_moment(texts.get(TRUSTED_SINCE, "")),
        used_since=_moment(texts.get(USED_SINCE, "")),
        previous=texts.get(PREVIOUS, ""),
        rotation=texts.get(ROTATION, ""),
    )


def _leaf(pki: Pki, texts: Texts, authorities: Sequence[str]) -> HeldLeaf:
    signers = (pem for pem in authorities if pki.is_issued_by(texts.get("tls.crt", ""), pem))
    return HeldLeaf(
        certificate=pki.inspect(pair_in(texts)),
        issuer="".join(pki.split_bundle(next(signers, ""))),
        trusts=frozenset(pki.split_bundle(texts.get("ca.crt", ""))),
    )


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def issue_leaf(
    pki: Pki, signer: KeyPair, leaf: Leaf, class_: RegionClass, now: datetime
) -> KeyPair:
    """Issue *leaf* by *signer*, for as long as the class says."""
    return pki.issue(
        signer,
        leaf.name,
        hosts=sorted(leaf.hosts),
        usages=sorted(leaf.usages),
        lifetime=span(class_.spec.pki.certificate_lifetime),
        now=now,
    )
